"""The scheduled maintenance of the lake and the warehouse."""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import dagster as dg

from warehouse_assets.catalogue import TABLES
from warehouse_assets.crash_points import crash_point
from warehouse_assets.errors import LakeError, TransientError
from warehouse_assets.ingestions import Ingestions
from warehouse_assets.lake import Lake, Maintained, maintain
from warehouse_assets.orchestration.deep_check import rows_problems
from warehouse_assets.orchestration.failures import in_step
from warehouse_assets.settings import Settings
from warehouse_assets.warehouse import Warehouse

_DAYS_OF_A_JOURNAL = 30
_ENDED = [
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
]
_PRINTED = {".err", ".out", ".complete", ".partial"}


def maintain_all(
    lake: Lake, warehouse: Warehouse, settings: Settings
) -> Iterator[tuple[str, Maintained]]:
    """Maintain each table of the lake that exists, then the warehouse.

    Files are compared with their hashes, and the rows of the warehouse with the lake's.

    Raises:
        LakeError: at the end, if files were damaged or the warehouse differs from the lake; tables
            of which files are damaged were left as they are.
    """
    problems = []
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
    warehouse.maintain()
    crash_point("warehouse maintained", "")
    if problems:
        raise LakeError("\n".join(problems))


def forget_ingestions(settings: Settings) -> int:
    """Remove the journals of ingestions that were over long ago; returns how many."""
    return Ingestions(settings.ingestions).prune(_DAYS_OF_A_JOURNAL)


def forget_runs(instance: dg.DagsterInstance, days: int) -> int:
    """Delete from Dagster's history the runs that ended `days` ago or earlier; returns how many.

    The run that materialised an asset last is kept, for Dagster takes an asset of whose
    materialisation it does not know for one that was never made. What runs and ticks printed goes
    after the same time.
    """
    before = datetime.now(timezone.utc) - timedelta(days=days)
    keys = instance.get_asset_keys()
    last = {
        event.run_id for key in keys if (event := instance.get_latest_materialization_event(key))
    }
    records = instance.get_run_records(dg.RunsFilter(statuses=_ENDED, updated_before=before))
    old = {record.dagster_run.run_id for record in records} - last
    storage = Path(instance.storage_directory())
    for run_id in old:
        instance.delete_run(run_id)
        shutil.rmtree(storage / run_id, ignore_errors=True)
        for path in (storage.parent / "history" / "runs").glob(f"{run_id}.db*"):
            path.unlink(missing_ok=True)
    for folder in (storage, storage.parent / "compute_logs"):
        _remove_logs(folder, before.timestamp())
    return len(old)


def _remove_logs(folder: Path, before: float) -> None:
    """Remove what was printed before a time, and the folders that it leaves empty."""
    for path, folders, names in os.walk(folder, topdown=False):
        for name in names:
            file = Path(path, name)
            with suppress(OSError):  # another maintenance may be at it
                if file.suffix in _PRINTED and file.stat().st_mtime < before:
                    file.unlink()
        for name in folders:
            with suppress(OSError):
                Path(path, name).rmdir()


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
        forget_ingestions(settings)
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
