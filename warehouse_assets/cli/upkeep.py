"""The commands that keep the warehouse whole: `check`, `rebuild`, `maintain` and `backup`.

Those that need Dagster import it when they are used: it takes seconds.
"""

import sys
from pathlib import Path

import click

from warehouse_assets.backup import back_up
from warehouse_assets.catalogue import TABLES
from warehouse_assets.cli import terminal
from warehouse_assets.defs.deliveries.state import state_database
from warehouse_assets.errors import LakeError
from warehouse_assets.interruption import InterruptibleCommand
from warehouse_assets.lake import Lake
from warehouse_assets.progress import heard_by
from warehouse_assets.settings import Settings
from warehouse_assets.warehouse import publish, warehouse_at

_NOTHING_TO_CHECK = 3  # 1 and 2 are click's


@click.command("check", cls=InterruptibleCommand)
@click.option(
    "--deep",
    is_flag=True,
    help="Also compare every file of the lake with the hash kept of it, and the rows of the "
    "warehouse with those of the lake; minutes for gigabytes.",
)
def check(deep: bool) -> None:
    """Make every asset check and show what failed.

    Exit code: 0 if no check failed, warnings aside; 1 if one failed, as all checks of a table do
    that cannot be read; 2 for wrong usage; 3 if there is nothing to check, for no table has a row.
    """
    import dagster as dg

    from warehouse_assets import runs

    settings = Settings.from_environment()
    job = runs.job_of("check", settings, dg.AssetSelection.all_asset_checks())
    if not _has_data(settings):
        terminal.err.print(
            f"There is nothing to check: no table of the lake {settings.lake} has a row. Set "
            "WAREHOUSE_HOME (or LAKE_URI) to where the warehouse is, or take data with `warehouse "
            "ingest` first.",
            markup=False,
        )
        sys.exit(_NOTHING_TO_CHECK)
    result = runs.run(job, settings)
    evaluations = result.get_asset_check_evaluations()
    terminal.print_failed_checks(evaluations)
    passed = sum(1 for evaluation in evaluations if evaluation.passed)
    terminal.out.print(f"{passed:,} of {len(evaluations):,} checks passed.")
    is_whole = _is_whole(settings) if deep else True
    terminal.print_failed_steps(runs.failed_steps(result))
    if not is_whole or runs.failed_checks(result) or not result.success:
        sys.exit(1)


def _has_data(settings: Settings) -> bool:
    """Whether any table of the lake has a file, or is damaged, which its checks then say."""
    lake = Lake.of(settings)
    for table in map(lake.table, TABLES):
        try:
            handle = table.open_existing()
        except LakeError:
            return True
        if next(table.path.glob("*.parquet"), None) or (handle and handle.file_uris()):
            return True
    return False


def _is_whole(settings: Settings) -> bool:
    """Compare files of the lake with their hashes, and the warehouse with the lake; print it."""
    from warehouse_assets.orchestration.maintenance import deep_check

    lake = Lake.of(settings)
    found = deep_check(lake, warehouse_at(settings.warehouse_url), settings)
    for problem in found.problems:
        terminal.err.print(problem, markup=False, soft_wrap=True)
    without = f", {found.without_hash:,} without a hash" if found.without_hash else ""
    terminal.out.print(
        f"{found.files:,} files of the lake compared with their hashes{without}; {found.tables:,} "
        f"tables of the warehouse compared with the lake; {len(found.problems):,} damaged."
    )
    return not found.problems


@click.command("rebuild", cls=InterruptibleCommand)
def rebuild() -> None:
    """Write the whole warehouse anew from the lake.

    A database file that cannot be read is moved aside first. Tables of another lake are written
    over, too.
    """
    settings = Settings.from_environment()
    lake = Lake.of(settings)
    warehouse = warehouse_at(settings.warehouse_url)
    if aside := warehouse.move_aside_if_unreadable():
        terminal.out.print(f"The unreadable database was moved to {aside}.", markup=False)
    tables = [lake.table(table) for table in TABLES if settings.publishes(table)]
    present = [table for table in tables if table.exists()]
    if present:  # with nothing to put in its place, what another lake published stays
        warehouse.adopt(lake.folder)
        state_database(settings.state_url).adopt(lake.folder)
    with terminal.progress_shown():
        written = {
            table.name: publish(lake, warehouse, table, whole=True).rows_written
            for table in present
        }
    for name, rows in written.items():
        terminal.out.print(f"{name}: {rows:,} rows")


@click.command("maintain", cls=InterruptibleCommand)
def maintain() -> None:
    """Make the lake small and quick to open, and the warehouse's statistics current.

    Small files are put together; files that no version of the last TIME_TRAVEL_DAYS needs are
    removed, and so is what Dagster keeps of runs that ended RUN_RETENTION_DAYS ago. The schedule
    does the same each night. Damage that `warehouse check --deep` would find is named at the end,
    with exit code 1; a table with a damaged file is left as it is.
    """
    from warehouse_assets import runs
    from warehouse_assets.orchestration import maintenance
    from warehouse_assets.orchestration.history import forget_runs

    settings = Settings.from_environment()
    lake = Lake.of(settings)
    warehouse = warehouse_at(settings.warehouse_url)
    with runs.history(settings) as instance:
        forget_runs(instance, settings.run_retention_days)
    with heard_by(tell=terminal.err.print):
        for name, maintained in maintenance.maintain_all(lake, warehouse, settings):
            terminal.out.print(maintenance.account(name, maintained))


@click.command("backup", cls=InterruptibleCommand)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def backup(folder: Path) -> None:
    """Copy what must be kept into FOLDER, consistently, while runs go on.

    That is the lake, the inbox, the archive and the keys of the API; the rest is made of them. A
    folder with a backup is brought up to date. A complete one has a file `backup.json`. To restore,
    copy the folder and set WAREHOUSE_HOME to the copy; the next run takes what came since.
    """
    settings = Settings.from_environment()
    with heard_by(tell=terminal.err.print):
        done = back_up(settings, folder)
    terminal.out.print(
        f"{folder} holds {len(done.versions)} tables and {done.files:,} files; {done.copied:,} "
        f"of them, {done.bytes:,} bytes, were copied now.",
        markup=False,
    )
