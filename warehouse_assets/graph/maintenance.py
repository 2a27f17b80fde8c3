"""The scheduled maintenance of the lake and the warehouse."""

from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg

from warehouse_assets.catalogue import TABLES
from warehouse_assets.graph.failures import in_step
from warehouse_assets.ingestions import Ingestions
from warehouse_assets.lake import Lake, Maintained, maintain
from warehouse_assets.settings import Settings
from warehouse_assets.warehouse import Warehouse

_DAYS_OF_A_JOURNAL = 30


def maintain_all(
    lake: Lake, warehouse: Warehouse, keep_days: int, on_wait: Callable[[str], object] = str
) -> Iterator[tuple[str, Maintained]]:
    """Maintain each table of the lake that exists, then the warehouse."""
    for declaration in TABLES:
        table = lake.table(declaration)
        if table.exists():
            yield table.name, maintain(lake, table, keep_days, on_wait)
    warehouse.maintain()


def forget_ingestions(settings: Settings) -> int:
    """Remove the journals of ingestions that were over long ago; returns how many."""
    return Ingestions(settings.ingestions).prune(_DAYS_OF_A_JOURNAL)


def account(name: str, maintained: Maintained) -> str:
    """What was done to the table `name`, in words."""
    return (
        f"{name}: {maintained.files_before:,} files are now {maintained.files_after:,}; "
        f"{maintained.files_removed:,} that no version needs were removed"
    )


@dg.op(description="Compacts and vacuums every table of the lake and analyzes the warehouse.")
def maintain_tables(
    context: dg.OpExecutionContext,
    lake: dg.ResourceParam[Lake],
    warehouse: dg.ResourceParam[Warehouse],
    settings: dg.ResourceParam[Settings],
) -> None:
    """Maintain everything; what was done to each table is logged."""
    with in_step(context):
        for name, maintained in maintain_all(
            lake, warehouse, settings.time_travel_days, context.log.info
        ):
            context.log.info(account(name, maintained))
        forget_ingestions(settings)


@dg.job(
    name="maintenance",
    description="Keeps the lake small and quick to open, and the warehouse's statistics current.",
    executor_def=dg.in_process_executor,
)
def maintenance_job() -> Any:
    """The job of the maintenance schedule."""
    maintain_tables()
