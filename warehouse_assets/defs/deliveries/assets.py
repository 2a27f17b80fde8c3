"""The running average of deliveries as an asset, and what the sensor of sources does for it."""

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import dagster as dg

from warehouse_assets.defs.deliveries.catch_up import Change, DeliveryAverage
from warehouse_assets.defs.deliveries.tables import DELIVERIES
from warehouse_assets.orchestration.failures import in_step
from warehouse_assets.orchestration.sources import Resources, Seen, Watch

_AVERAGE = "average_delivery_duration"
# A tick may take 60 s. Of an event log with more to take the next tick takes the rest.
_SECONDS_OF_A_TICK = 20


@dg.asset(
    name=_AVERAGE,
    description="The average duration of all successful deliveries so far, kept record by record "
    "in a database of its own (STATE_URL). A sensor brings it up to date every few seconds.",
    kinds={"python", "log"},
    deps=[str(DELIVERIES.name)],
)
def average_delivery_duration(
    context: dg.AssetExecutionContext, delivery_average: dg.ResourceParam[DeliveryAverage]
) -> dg.MaterializeResult[Any]:
    """Take what is new in the feed; a sensor may do so at the same time."""
    with in_step(context):
        return dg.MaterializeResult(metadata=_account_of(delivery_average.catch_up()))


def look(average: DeliveryAverage, before: Sequence[str]) -> Seen:
    """Take what is new in the feed, if its file has changed, and report the average.

    The signs are the feed's file as it was looked at last, and the revision of the state that was
    reported. What was taken is remembered with the state, not by the sensor: a tick that is lost
    after it only leaves its report out, and the next one makes up for it.

    Raises:
        WarehouseAssetsError: the feed cannot be taken; see `DeliveryAverage.catch_up`.
    """
    looked, end = average.look(), time.monotonic() + _SECONDS_OF_A_TICK
    if looked is None and not average.source.is_given:
        return Seen(before)
    if looked and f"file {looked}" in before and average.database.exists():
        return Seen(before)
    change = average.catch_up(is_enough=lambda: time.monotonic() >= end)
    revision = f"revision {change.after.revision} {change.after.changed_at}"
    signs = [revision] if change.is_cut else [f"file {looked or ''}", revision]
    if change.after.revision == 0 or (not change.is_any and revision in before):
        return Seen(signs)
    return Seen(signs, events=[dg.AssetMaterialization(_AVERAGE, metadata=_account_of(change))])


def _look(resources: Resources, before: Sequence[str]) -> Seen:
    return look(resources["delivery_average"], before)


FEED_WATCH = Watch(
    "deliveries_feed",
    "Brings the running average of deliveries up to date with the feed (DELIVERIES_FEED), without "
    "a run.",
    _look,
    starts_runs=False,
)


def _account_of(change: Change) -> dict[str, Any]:
    """Metadata of a materialisation after `change`; Dagster draws the numbers over time."""
    now = change.after
    account: dict[str, Any] = {
        "average": "none yet" if now.average is None else str(now.average),
        "successes": now.successes,
        "abandoned": now.abandoned,
        "open": now.open,
        "rejected": now.rejected + now.unusable,
        "repetitions": now.repetitions,
        "records": now.records,
        "records_taken": now.records - change.before.records,
        "lag_bytes": change.lag,
        "feed_position": now.position,
        "is_source_missing": change.is_missing,
        "is_unchanged": not change.is_any,
    }
    if now.average is not None:
        account["average_minutes"] = now.average / timedelta(minutes=1)
    return account
