"""The commands about what was: `label`."""

import click

from warehouse_assets.catalogue import TABLES
from warehouse_assets.cli import terminal
from warehouse_assets.cli.terminal import examples
from warehouse_assets.errors import UsageError
from warehouse_assets.history.as_of import check_label, handles_of, read_moment
from warehouse_assets.interruption import InterruptibleCommand
from warehouse_assets.lake import Lake, give_label, labelled, remove_label
from warehouse_assets.settings import Settings
from warehouse_assets.warehouse import warehouse_at


@click.command(
    "label",
    cls=InterruptibleCommand,
    epilog=examples("warehouse label 2026-Q4", "warehouse answers --as-of 2026-Q4"),
)
@click.argument("label", required=False)
@click.option("--as-of", metavar="MOMENT", default=None, help="What was then; otherwise what is.")
@click.option("--remove", is_flag=True, help="Keep what has LABEL no longer than anything else.")
def label(label: str | None, as_of: str | None, remove: bool) -> None:
    """Keep the tables as they are published now under LABEL, beyond TIME_TRAVEL_DAYS.

    The files that they had then stay, and so does the log since then. Without LABEL the labels that
    there are are shown.
    """
    settings = Settings.from_environment()
    lake = Lake.of(settings)
    if label is None:
        given = {(one.label, f"{one.at:%Y-%m-%d %H:%M:%S}") for one in labelled(lake)}
        terminal.print_table("", ["label", "given at (UTC)"], sorted(given))
        return
    if remove:
        remove_label(lake, label)
        return
    check_label(label)
    moment = read_moment(lake, as_of or "now")
    found = handles_of(lake, warehouse_at(settings.warehouse_url), moment, TABLES)
    handles = {name: handle for name, handle in found.items() if handle is not None}
    if not handles:
        raise UsageError("There is no table yet that could have a label.")
    give_label(lake, label, handles)
    terminal.out.print(f"{label}: {len(handles)} tables", markup=False)
