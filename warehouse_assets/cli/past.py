"""The commands about what was, and why: `changes`, `why`, `trace` and `label`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import click
import sqlalchemy as sa

from warehouse_assets.catalogue import TABLES, reads_of
from warehouse_assets.cli import terminal
from warehouse_assets.cli.answers import asked_for
from warehouse_assets.cli.terminal import examples
from warehouse_assets.errors import UsageError
from warehouse_assets.history.as_of import check_label, handles_of, read_moment
from warehouse_assets.history.changes import Change, Changes, changes_between
from warehouse_assets.history.places import Places
from warehouse_assets.history.receipt import find, receipt
from warehouse_assets.history.why import Explanation, explain
from warehouse_assets.ingest.inbox import Inbox
from warehouse_assets.interruption import InterruptibleCommand
from warehouse_assets.lake import Lake, give_label, labelled, remove_label
from warehouse_assets.questions import Question
from warehouse_assets.settings import Settings
from warehouse_assets.tables import key_names
from warehouse_assets.warehouse import warehouse_at

_MOST_FILES = 5
_FATES = {
    "taken": "taken",
    "replaced": "taken and replaced since",
    "known": "known before",
    "rejected": "rejected",
    "missing": "not in the table yet",
}


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
    keys = [] if isinstance(asked, Question) else key_names(asked)
    _print_changes(title, found, ["", *found.names], ["", *keys], [])


@click.command(
    "why",
    cls=InterruptibleCommand,
    epilog=examples(
        "warehouse why mean_votes_per_post_per_week 2022-01-03 --since yesterday",
        "warehouse why batch_completions 7",
    ),
)
@click.argument("name")
@click.argument("key", nargs=-1)
@click.option(
    "--since",
    metavar="MOMENT",
    help="Why it differs from what it was then; without it, what it is made of.",
)
@click.option(
    "--until", metavar="MOMENT", default="now", show_default=True, help="What it is then."
)
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="Rows to show of each table.",
)
def why(name: str, key: Sequence[str], since: str | None, until: str, limit: int) -> None:
    """Show why a row of the table NAME is what it is, down to the files, logs and sources.

    KEY has the value of each column of the table's key. Table by table, from NAME down, the rows
    are shown that its row follows from: those that changed, or without --since all of them.
    """
    settings, table = Settings.from_environment(), asked_for(name)
    if isinstance(table, Question):
        names = ", ".join(str(read.name) for read in table.reads)
        raise click.UsageError(f"{name} is a question without a key; ask why of a row of {names}.")
    columns = key_names(table)
    if len(key) != len(columns):
        told = (
            f"{len(columns)} values: {', '.join(columns)}" if columns else "nothing: it has no key"
        )
        raise click.UsageError(f"A row of {name} is told by {told}.")
    lake, warehouse = Lake.of(settings), warehouse_at(settings.warehouse_url)
    before = since and handles_of(lake, warehouse, read_moment(lake, since, True), TABLES)
    after = handles_of(lake, warehouse, read_moment(lake, until), TABLES)
    values = dict(zip(columns, key, strict=True))
    with lake.connect() as connection:
        found = explain(lake, connection, table, values, before or None, after, limit, settings)
    _show(found, Places(Inbox.of(settings), lake), since)


def _show(found: Explanation, places: Places, since: str | None) -> None:
    title = f"{found.table.name}, {'since ' + since if since else 'made of'}"
    if not found.row.total:
        terminal.out.print(f"{found.table.name}: the row is what it was.", markup=False)
        return
    _show_rows(title, found.table, found.row, places, ())
    for step in found.steps:
        name = step.table.name
        what = f"{name}, on which depends {step.context}" if step.context else str(name)
        counted = f"{step.changes.total:,} rows"
        if since:
            changes = step.changes
            counted = (
                f"{changes.added:,} added, {changes.changed:,} changed, {changes.removed:,} removed"
            )
        _show_rows(f"{what}: {counted}", step.table, step.changes, places, step.used)
        for arrival, rows in list(step.loads.items())[-_MOST_FILES:]:
            file = places.file(step.table, arrival)
            terminal.out.print(f"{rows:,} of them came in {file}", markup=False)
    for note in found.notes:
        terminal.out.print(note, markup=False)


def _show_rows(
    title: str, table: sa.Table, changes: Changes, places: Places, used: Sequence[str]
) -> None:
    """Show rows, and of loaded tables where they came from; what is null in all is left out."""
    told = [change.after or change.before or {} for change in changes.rows]
    found = [places.place(table, row) for row in told]
    came_from, kind = ["came from"] * any(found), [""] * (changes.added < changes.total)
    shown = [
        name
        for name in changes.names
        if any(row[name] is not None for row in told) and not (came_from and name == "arrival")
    ]
    needed = [*kind, *key_names(table), *came_from]
    _print_changes(title, changes, [*kind, *shown, *came_from], needed, used, found)


def _print_changes(
    title: str,
    changes: Changes,
    shown: Sequence[str],
    needed: Sequence[str],
    used: Sequence[str],
    places: Sequence[str] = (),
) -> None:
    """Print columns of rows: those needed, and as many as fit, first what changed or was used."""
    rows = []
    for number, change in enumerate(changes.rows):
        values = dict(zip(changes.names, old_to_new(change), strict=True))
        values |= {"": change.kind, "came from": places[number] if places else None}
        rows.append([values[name] for name in shown])
    changed = [
        name
        for name in changes.names
        if any(
            one.before and one.after and one.before[name] != one.after[name] for one in changes.rows
        )
    ]
    known = [
        name for index, name in enumerate(shown) if any(row[index] is not None for row in rows)
    ]
    ranked = dict.fromkeys([*needed, *changed, *used, *known, *shown])
    order = [shown.index(name) for name in ranked if name in shown]
    first = sum(name in shown for name in dict.fromkeys(needed))
    headings = [name.replace("_", " ") for name in shown]
    terminal.print_fitting(title, headings, rows, changes.total - len(rows), order, first)


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
    "trace",
    cls=InterruptibleCommand,
    epilog=examples("warehouse trace votes.jsonl", "warehouse trace votes.jsonl --line 3"),
)
@click.argument("file")
@click.option("--line", type=click.IntRange(min=1), help="What became of this line, or element.")
@click.option(
    "--limit", type=click.IntRange(min=0), default=20, show_default=True, help="Lines to show."
)
def trace(file: str, line: int | None, limit: int) -> None:
    """Show what became of each line of FILE, which was taken from the inbox.

    FILE is its name, as it was delivered or as the archive has it, or a file of the same content.
    Without --line, lines are counted, and those shown that are not in the table as they came.
    """
    settings = Settings.from_environment()
    lake, inbox = Lake.of(settings), Inbox.of(settings)
    found = find(inbox, file, Path(file))
    handles = handles_of(
        lake, warehouse_at(settings.warehouse_url), read_moment(lake, "now"), TABLES
    )
    with lake.connect() as connection:
        told = receipt(lake, connection, found, handles, settings, line, limit)
    counted = ", ".join(f"{rows:,} {_FATES[fate]}" for fate, rows in sorted(told.fates.items()))
    where = f"for {told.table.name}" if told.table is not None else "for no table"
    terminal.out.print(f"{found.path.name}, {where}: {counted or 'no records'}", markup=False)
    if line is not None and not told.lines:
        terminal.out.print(f"Line {line} has no record.", markup=False)
    rows = [[one.position, one.fate, one.words, _values(one.row)] for one in told.lines]
    if rows:
        others = sum(told.fates.values()) - told.fates.get("taken", 0) - len(rows)
        headings = ["line", "what became of it", "", "values"]
        terminal.print_table("", headings, rows, 0 if line is not None else others)
    for name, number in (told.counted_in or {}).items():
        terminal.out.print(f"counted in {number:,} rows of {name}", markup=False)


def _values(row: Mapping[str, object] | None) -> str:
    there = {name: value for name, value in (row or {}).items() if value is not None}
    return ", ".join(f"{name} {terminal.words(value)}" for name, value in there.items())


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
