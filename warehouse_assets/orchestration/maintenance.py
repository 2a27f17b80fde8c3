"""Maintenance of the lake and the warehouse, and the search for damage that no check can see.

Such damage is of files, and of rows that somebody changed by hand.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import dagster as dg

from warehouse_assets.catalogue import TABLES
from warehouse_assets.crash_points import crash_point
from warehouse_assets.errors import LakeError, PermanentError, TransientError
from warehouse_assets.ingestions import Ingestions
from warehouse_assets.lake import Lake, LakeTable, Maintained, maintain, verify
from warehouse_assets.orchestration.history import forget_runs
from warehouse_assets.orchestration.step import in_step
from warehouse_assets.settings import Settings
from warehouse_assets.times import utc_now
from warehouse_assets.warehouse import Warehouse, forget_publications
from warehouse_assets.warehouse.compare import difference

_DAYS_OF_A_JOURNAL = 30


def maintain_all(
    lake: Lake, warehouse: Warehouse, settings: Settings
) -> Iterator[tuple[str, Maintained]]:
    """Maintain the journals, each table of the lake that exists, then the warehouse.

    Files are compared with their hashes, and the rows of the warehouse with the lake's.

    Raises:
        LakeError: at the end, if files were damaged or the warehouse differs from the lake; tables
            of which files are damaged were left as they are.
    """
    problems = []
    Ingestions(settings.ingestions).prune(_DAYS_OF_A_JOURNAL)
    for declaration in TABLES:
        table = lake.table(declaration)
        if table.exists():
            try:
                yield table.name, maintain(lake, table, settings.time_travel_days)
            except LakeError as error:
                problems.append(str(error))
                continue  # to compare rows with damaged ones would only mislead
            with suppress(TransientError):  # a server that is away is told of below
                if warehouse.exists():
                    problems += rows_problems(lake, warehouse, table, settings, False)
    crash_point("warehouse to be maintained", "")
    if warehouse.exists():
        with warehouse.write_from(lake.folder) as connection:
            forget_publications(connection, utc_now() - timedelta(days=settings.time_travel_days))
    warehouse.maintain()
    crash_point("warehouse maintained", "")
    if problems:
        raise LakeError("\n".join(problems))


def account(name: str, maintained: Maintained) -> str:
    """What was done to the table `name`, in words."""
    return (
        f"{name}: {maintained.files_before:,} files are now {maintained.files_after:,}; "
        f"{maintained.files_removed:,} that no version needs were removed"
    )


@dg.op(
    description="Compares all files with their hashes and the warehouse with the lake, compacts "
    "and vacuums every table of the lake and analyzes the warehouse."
)
def maintain_tables(
    context: dg.OpExecutionContext,
    lake: dg.ResourceParam[Lake],
    warehouse: dg.ResourceParam[Warehouse],
    settings: dg.ResourceParam[Settings],
) -> None:
    """Maintain everything; what was done to each table is logged."""
    with in_step(context):
        forget_runs(context.instance, settings.run_retention_days)
        for name, maintained in maintain_all(lake, warehouse, settings):
            context.log.info(account(name, maintained))


@dg.job(
    name="maintenance",
    description="Keeps the lake small and quick to open, and the warehouse's statistics current.",
    executor_def=dg.in_process_executor,
)
def maintenance_job() -> Any:
    """The job of the maintenance schedule."""
    maintain_tables()


@dataclass
class DeepCheck:
    """What looking at everything found.

    Args:
        files: files compared with the hash that was kept of them.
        without_hash: files that have none; maintenance keeps one.
        tables: tables of the warehouse compared with the lake.
        problems: what is wrong and what to do, a sentence or two each.
    """

    files: int
    without_hash: int
    tables: int
    problems: list[str]


def deep_check(lake: Lake, warehouse: Warehouse, settings: Settings) -> DeepCheck:
    """Compare every file of the lake with its hash, and the warehouse's rows with the lake's.

    Raises:
        BusyError: the warehouse cannot be reached.
    """
    found = DeepCheck(0, 0, 0, [])
    for declaration in TABLES:
        table = lake.table(declaration)
        try:
            if not table.exists():
                continue
            verified = verify(table)
        except PermanentError as error:
            found.problems.append(str(error))
            continue
        found.files += verified.files - len(verified.without_hash)
        found.without_hash += len(verified.without_hash)
        if verified.damaged:
            found.problems.append(" ".join([*verified.damaged, table.remedy]))
        elif settings.publishes(declaration):
            found.tables += 1
            found.problems += rows_problems(lake, warehouse, table, settings)
    # What is wrong with the whole database is said of each table.
    found.problems = list(dict.fromkeys(found.problems))
    return found


def rows_problems(
    lake: Lake, warehouse: Warehouse, table: LakeTable, settings: Settings, is_run_over: bool = True
) -> list[str]:
    """In what the warehouse's copy of a table differs from the lake, and what to do; none is well.

    Args:
        is_run_over: whether a table that is still to be published is a problem, too.

    Raises:
        BusyError: the warehouse cannot be reached.
    """
    if not settings.publishes(table.declaration):
        return []
    name = f"The table {table.name} of the warehouse {warehouse}"
    try:
        found = difference(lake, warehouse, table)
    except PermanentError as error:
        return [str(error)]
    if found is None or (found.is_behind and not is_run_over):
        return []
    if found.is_behind:
        return [f"{name} is behind the lake. {found.words} The next run publishes it."]
    remedy_of_rows = "`warehouse rebuild` writes it anew from the lake."
    return [f"{name} differs from the lake. {found.words} {remedy_of_rows}"]
