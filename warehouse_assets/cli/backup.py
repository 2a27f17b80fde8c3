"""The command `backup`: a copy of what must be kept."""

from pathlib import Path

import click

from warehouse_assets.backup import back_up
from warehouse_assets.cli import terminal
from warehouse_assets.interruption import InterruptibleCommand
from warehouse_assets.progress import heard_by
from warehouse_assets.settings import Settings


@click.command("backup", cls=InterruptibleCommand)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def command(folder: Path) -> None:
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
