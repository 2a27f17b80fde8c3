"""The command `backup`: a copy of what must be kept."""

from graphlib import TopologicalSorter
from pathlib import Path

import click

from warehouse_assets.backup import back_up
from warehouse_assets.catalogue import TABLES
from warehouse_assets.cli import terminal
from warehouse_assets.cli.interruption import InterruptibleCommand
from warehouse_assets.definitions import build_defs
from warehouse_assets.lake import Lake, LakeTable
from warehouse_assets.progress import heard_by
from warehouse_assets.settings import Settings
from warehouse_assets.tables import REJECTED_RECORDS


@click.command("backup", cls=InterruptibleCommand)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def command(folder: Path) -> None:
    """Copy what must be kept into FOLDER, consistently, while runs go on.

    That is the lake, the inbox, the archive and the keys of the API; the rest is made of them. A
    folder with a backup is brought up to date. A complete one has a file `backup.json`. To restore,
    copy the folder and set WAREHOUSE_HOME to the copy; the next run takes what came since.
    """
    settings = Settings.from_environment()
    tables = results_before_sources(settings)
    with heard_by(tell=terminal.err.print):
        done = back_up(settings, folder, tables)
    terminal.out.print(
        f"{folder} holds {len(done.versions)} tables and {done.files:,} files; {done.copied:,} "
        f"of them, {done.bytes:,} bytes, were copied now.",
        markup=False,
    )


def results_before_sources(settings: Settings) -> list[LakeTable]:
    """The tables, each before those that it is computed from, and rejected records at the end."""
    lake = Lake(settings.lake, settings.scratch, settings.memory_limit)
    specs = build_defs({"settings": settings}).resolve_all_asset_specs()
    reads = {
        spec.key.to_user_string(): {dep.asset_key.to_user_string() for dep in spec.deps}
        for spec in specs
    }
    # A key that is none of our tables, such as the running average, is of no file.
    known = {str(table.name): table for table in TABLES}
    ordered = [name for name in TopologicalSorter(reads).static_order() if name in known]
    ordered = [*reversed(ordered), *sorted(known.keys() - set(ordered))]
    last = str(REJECTED_RECORDS.name)
    ordered = [*(name for name in ordered if name != last), last]
    return [lake.table(known[name]) for name in ordered]
