"""The assets of the deliveries family."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from warehouse_assets.deliveries.catch_up import Change, DeliveryAverage, feed_of
from warehouse_assets.deliveries.lines import delivery_lines
from warehouse_assets.deliveries.tables import DELIVERIES, DELIVERY_DURATIONS
from warehouse_assets.graph.assets import source_asset, sql_asset
from warehouse_assets.graph.failures import in_step
from warehouse_assets.graph.metadata import log_metadata
from warehouse_assets.graph.step import Step
from warehouse_assets.ingest.log_load import load_log
from warehouse_assets.lake import Written

GROUP = "deliveries"
AVERAGE = "average_delivery_duration"
"""The asset of the running average; it is a number, not a table."""

_SQL = Path(__file__).parent / "sql"


def _take_deliveries(step: Step) -> tuple[Written, Mapping[str, Any]]:
    kind = delivery_lines(step.lake, timedelta(hours=step.settings.delivery_open_hours))
    taken = load_log(step.lake, feed_of(step.settings), kind, step.tell, step.progress)
    return taken.written, log_metadata(taken)


deliveries = source_asset(DELIVERIES, GROUP, ["log"], _take_deliveries)
delivery_durations = sql_asset(
    DELIVERY_DURATIONS, [DELIVERIES], GROUP, _SQL, computed_per="customer"
)


@dg.asset(
    name=AVERAGE,
    group_name=GROUP,
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
        return dg.MaterializeResult(
            metadata=account_of(delivery_average.catch_up(context.log.info))
        )


def account_of(change: Change) -> dict[str, Any]:
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


ASSETS = (deliveries, delivery_durations, average_delivery_duration)
