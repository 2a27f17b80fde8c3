"""The command `rebuild`: the whole warehouse anew from the lake."""

import click

from warehouse_assets.catalogue import TABLES
from warehouse_assets.cli import terminal
from warehouse_assets.defs.deliveries.state import state_database
from warehouse_assets.interruption import InterruptibleCommand
from warehouse_assets.lake import Lake
from warehouse_assets.settings import Settings
from warehouse_assets.warehouse import publish, warehouse_at


@click.command("rebuild", cls=InterruptibleCommand)
def command() -> None:
    """Write the whole warehouse anew from the lake.

    A database file that cannot be read is moved aside first. Tables of another lake are written
    over, too.
    """
    settings = Settings.from_environment()
    lake = Lake(settings.lake, settings.scratch, settings.memory_limit)
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
