"""Deliveries: how long customers wait, step by step as they are made."""

import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
from sqlalchemy import Table

from warehouse_assets.defs.deliveries.catch_up import Change, DeliveryAverage, event_log
from warehouse_assets.defs.deliveries.lines import delivery_lines
from warehouse_assets.defs.deliveries.state import average_up_to, state_database
from warehouse_assets.defs.deliveries.tables import DELIVERIES, DELIVERY_DURATIONS
from warehouse_assets.ingest.log import LogKind, checkpoint_of
from warehouse_assets.orchestration.assets import log_asset, sql_asset
from warehouse_assets.orchestration.checks import Check, CheckContext, CheckResult
from warehouse_assets.orchestration.families import Family
from warehouse_assets.orchestration.sources import Resources, Seen, Watch
from warehouse_assets.orchestration.standard_checks import no_rows, values_are_plausible
from warehouse_assets.orchestration.step import Step, in_step

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


def _look(resources: Resources, before: Sequence[str]) -> Seen:
    """Take what is new in the feed, if its file has changed, and report the average.

    The signs are the feed's file as it was looked at last, and the revision of the state that was
    reported. What was taken is remembered with the state, not by the sensor: a tick that is lost
    after it only leaves its report out, and the next one makes up for it.

    Raises:
        WarehouseAssetsError: the feed cannot be taken; see `DeliveryAverage.catch_up`.
    """
    average: DeliveryAverage = resources["delivery_average"]
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


def _averages_agree(context: CheckContext) -> CheckResult:
    """Compare at the last position of the event log that both have reached."""
    handle = context.handle(DELIVERIES)
    checkpoint = checkpoint_of(handle, str(DELIVERIES.name)) if handle else None
    if checkpoint is None:
        return CheckResult()
    point = average_up_to(state_database(context.settings.state_url), checkpoint.position)
    if point is None:
        return CheckResult(metadata={"compared": False})
    position, running = point
    context.view(DELIVERY_DURATIONS)
    ((count, total_us),) = context.connection.execute(
        """SELECT count(*), coalesce(sum(epoch_us(delivered_at) - epoch_us(opened_at)), 0)
        FROM delivery_durations WHERE log_position < ?""",
        [position],
    ).fetchall()
    computed = int(count), timedelta(microseconds=int(total_us))
    difference = ""
    if computed != running:
        difference = (
            f"Up to position {position:,} of the feed the running average is {_shown(*running)}, "
            f"that of delivery_durations {_shown(*computed)}. If the table is fresh, delete the "
            "state (STATE_URL): it is made again from the lake."
        )
    return CheckResult(
        difference, {"compared": True, "feed_position": position, "successes": int(count)}
    )


def _shown(successes: int, total: timedelta) -> str:
    average = total / successes if successes else None
    return f"{average} over {successes:,} deliveries"


CHECKS: dict[Table, list[Check]] = {
    DELIVERIES: [
        no_rows(
            "steps_are_known",
            "delivery_step is 1 to 4, and no time is later than the newest.",
            """SELECT * FROM deliveries
            WHERE delivery_step NOT BETWEEN 1 AND 4 OR occurred_at > newest_at""",
            blocks=True,
        ),
    ],
    DELIVERY_DURATIONS: [
        values_are_plausible(
            DELIVERY_DURATIONS,
            "No delivery ends before it begins.",
            "duration_seconds < 0",
        ),
        Check(
            "averages_agree",
            "The running average is the average of this table, up to the same place of the feed.",
            _averages_agree,
        ),
    ],
}


_SQL = Path(__file__).parent / "sql"
_FEED = dg.AssetSpec(
    "deliveries_feed",
    description="The file to which the mobile app appends a line for each step "
    "(`DELIVERIES_FEED`).",
    kinds={"log"},
)


def _lines(step: Step) -> LogKind:
    return delivery_lines(step.lake, timedelta(hours=step.settings.delivery_open_hours))


FAMILY = Family(
    "deliveries",
    [
        log_asset(_lines, DELIVERIES, _FEED, event_log, FEED_WATCH),
        sql_asset(DELIVERY_DURATIONS, [DELIVERIES], _SQL, computed_per="customer"),
        average_delivery_duration,
    ],
    CHECKS,
    resources=lambda settings, lake: {"delivery_average": DeliveryAverage.of(settings, lake)},
)
