"""What the sensor of sources does with the feed of deliveries: it takes it, and starts no run."""

import time
from collections.abc import Sequence
from typing import Any

import dagster as dg

from warehouse_assets.defs.deliveries.assets import AVERAGE, account_of
from warehouse_assets.defs.deliveries.catch_up import DeliveryAverage
from warehouse_assets.orchestration.sources import Seen, Watch

# A tick may take 60 s. Of a feed with more to take the next tick takes the rest.
_SECONDS_OF_A_TICK = 20


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
    return Seen(signs, events=[dg.AssetMaterialization(AVERAGE, metadata=account_of(change))])


def _look(resources: Any, before: Sequence[str]) -> Seen:
    return look(resources.delivery_average, before)


FEED_WATCH = Watch(
    "deliveries_feed",
    "Brings the running average of deliveries up to date with the feed (DELIVERIES_FEED), without "
    "a run.",
    _look,
    frozenset({"delivery_average"}),
    starts_runs=False,
)
