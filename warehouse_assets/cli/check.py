"""The command `check`: every asset check, and with `--deep` every file and row."""

import sys

import click
import dagster as dg

from warehouse_assets import runs
from warehouse_assets.catalogue import TABLES
from warehouse_assets.cli import outcome, terminal
from warehouse_assets.errors import LakeError
from warehouse_assets.interruption import InterruptibleCommand
from warehouse_assets.lake import Lake
from warehouse_assets.orchestration.maintenance import deep_check
from warehouse_assets.orchestration.resources import build_resources
from warehouse_assets.settings import Settings

_NOTHING_TO_CHECK = 3  # 1 and 2 are click's


@click.command("check", cls=InterruptibleCommand)
@click.option(
    "--deep",
    is_flag=True,
    help="Also compare every file of the lake with the hash kept of it, and the rows of the "
    "warehouse with those of the lake; minutes for gigabytes.",
)
def command(deep: bool) -> None:
    """Make every asset check and show what failed.

    Exit code: 0 if no check failed, warnings aside; 1 if one failed, as all checks of a table do
    that cannot be read; 2 for wrong usage; 3 if there is nothing to check, for no table has a row.
    """
    settings = Settings.from_environment()
    job = runs.job_of("check", settings, dg.AssetSelection.all_asset_checks())
    if _is_without_data(settings):
        terminal.err.print(
            f"There is nothing to check: no table of the lake {settings.lake} has a row. Set "
            "WAREHOUSE_HOME (or LAKE_URI) to where the warehouse is, or take data with `warehouse "
            "ingest` first.",
            markup=False,
        )
        sys.exit(_NOTHING_TO_CHECK)
    result = runs.run(job, settings)
    evaluations = result.get_asset_check_evaluations()
    outcome.print_failed_checks(evaluations)
    passed = sum(1 for evaluation in evaluations if evaluation.passed)
    terminal.out.print(f"{passed:,} of {len(evaluations):,} checks passed.")
    is_damaged = deep and not _is_whole(settings)
    outcome.end(result, failed=is_damaged or bool(runs.failed_checks(result)))


def _is_without_data(settings: Settings) -> bool:
    """Whether there is nothing to check: no table of the lake has a row or a file."""
    lake = Lake(settings.lake, settings.scratch, settings.memory_limit)
    for table in map(lake.table, TABLES):
        try:
            handle = table.open_existing()
        except LakeError:
            return False  # its checks say what is wrong
        if next(table.path.glob("*.parquet"), None) or (handle and handle.file_uris()):
            return False
    return True


def _is_whole(settings: Settings) -> bool:
    """Compare files of the lake with their hashes, and the warehouse with the lake; print it."""
    resources = build_resources(settings)
    found = deep_check(resources["lake"], resources["warehouse"], settings)
    for problem in found.problems:
        terminal.err.print(problem, markup=False, soft_wrap=True)
    without = f", {found.without_hash:,} without a hash" if found.without_hash else ""
    terminal.out.print(
        f"{found.files:,} files of the lake compared with their hashes{without}; {found.tables:,} "
        f"tables of the warehouse compared with the lake; {len(found.problems):,} damaged."
    )
    return not found.problems
