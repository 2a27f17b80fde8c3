"""The asset of the running average of deliveries; the tables are in `family`."""

from datetime import timedelta
from typing import Any

import dagster as dg

from warehouse_assets.defs.deliveries.catch_up import Change, DeliveryAverage
from warehouse_assets.defs.deliveries.tables import DELIVERIES
from warehouse_assets.orchestration.failures import in_step

AVERAGE = "average_delivery_duration"
"""The asset of the running average; it is a number, not a table."""


@dg.asset(
    name=AVERAGE,
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
        return dg.MaterializeResult(metadata=account_of(delivery_average.catch_up()))


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
