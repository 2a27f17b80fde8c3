"""The commands about what was: `changes` and `label`."""

import click

from warehouse_assets.catalogue import TABLES, reads_of
from warehouse_assets.cli import terminal
from warehouse_assets.cli.answers import asked_for
from warehouse_assets.cli.terminal import examples
from warehouse_assets.errors import UsageError
from warehouse_assets.history.as_of import check_label, handles_of, read_moment
from warehouse_assets.history.changes import Change, changes_between
from warehouse_assets.interruption import InterruptibleCommand
from warehouse_assets.lake import Lake, give_label, labelled, remove_label
from warehouse_assets.settings import Settings
from warehouse_assets.warehouse import warehouse_at


@click.command(
    "changes",
    cls=InterruptibleCommand,
    epilog=examples(
        "warehouse changes outlier_weeks --since yesterday",
        "warehouse changes batch_completions --since 2026-Q4 --until 2026-11-20T10:00",
    ),
)
@click.argument("name")
@click.option(
    "--since",
    metavar="MOMENT",
    default="yesterday",
    show_default=True,
    help="What was before: a time, a day (its beginning), a version, or a label.",
)
@click.option("--until", metavar="MOMENT", default="now", show_default=True, help="What was after.")
@click.option(
    "--limit", type=click.IntRange(min=0), default=20, show_default=True, help="Rows to show."
)
def changes(name: str, since: str, until: str, limit: int) -> None:
    """Show which rows of NAME, a table or a question, were added, changed or removed."""
    settings, asked = Settings.from_environment(), asked_for(name)
    lake, warehouse = Lake.of(settings), warehouse_at(settings.warehouse_url)
    before, after = (
        handles_of(lake, warehouse, read_moment(lake, text, is_since), reads_of(asked))
        for text, is_since in ((since, True), (until, False))
    )
    with lake.connect() as connection:
        found = changes_between(lake, connection, asked, before, after, limit)
    if not found.total:
        terminal.out.print(f"{name}: nothing changed.", markup=False)
        return
    title = f"{name}: {found.added:,} added, {found.changed:,} changed, {found.removed:,} removed"
    rows = [[one.kind, *old_to_new(one)] for one in found.rows]
    headings = ["", *(column.replace("_", " ") for column in found.names)]
    terminal.print_table(title, headings, rows, found.total - len(rows))


def old_to_new(change: Change) -> list[object]:
    """The values of a row, and of those that changed both."""
    before, after = change.before or change.after or {}, change.after or change.before or {}
    return [
        after[name]
        if before[name] == after[name]
        else f"{terminal.words(before[name])} → {terminal.words(after[name])}"
        for name in after
    ]


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
