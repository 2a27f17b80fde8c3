"""The commands `ingest`, files into the inbox and what follows from them, and `recompute`."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import click
import dagster as dg
from rich.console import Console
from sqlalchemy import Table

from warehouse_assets import runs
from warehouse_assets.cli import terminal
from warehouse_assets.cli.answers import DAY, lake_query
from warehouse_assets.definitions import FILE_KINDS
from warehouse_assets.ingest.file_kinds import (
    FileKind,
    format_of,
    left_behind,
    left_in_words,
    name_in_inbox,
)
from warehouse_assets.ingest.files import is_taken, rejected_whole
from warehouse_assets.ingest.inbox import (
    Inbox,
    InboxFile,
    copy_file,
    delivered_name,
    partial_path,
    unit_name,
)
from warehouse_assets.ingestions import Ingestions
from warehouse_assets.interruption import InterruptibleCommand, when_told_to_end
from warehouse_assets.lake import Lake
from warehouse_assets.progress import Progress, report
from warehouse_assets.settings import Settings
from warehouse_assets.tables import METADATA
from warehouse_assets.terminal_text import visible
from warehouse_assets.times import Weeks

_KINDS = {kind.name: kind for kind in FILE_KINDS if kind.table is not None}
_REASONS_SHOWN = 10
_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


@click.command("ingest", cls=InterruptibleCommand)
@click.argument("files", nargs=-1, type=_FILE)
def ingest(files: Sequence[Path], **named: Sequence[Path]) -> None:
    """Take FILES (of posts, votes or trips), then compute and publish what follows from them.

    The files are copied into the inbox; yours stay where they are. Without any file, everything
    that waits in the inbox is taken. What was taken and what was rejected, and why, is printed,
    and which files stay in the inbox because nobody takes them.

    Exit code: 0 if all went well, even if single records were rejected or a file was taken
    before; 1 if a step or a blocking check failed, or nothing in one of FILES could be used
    (without FILES: in one of those that waited), now or when it was taken before; 2 for wrong
    usage; 130 after Ctrl-C, which ends it at once: run it again, and it goes on.
    """
    settings = Settings.from_environment()
    given = [(path, _recognised(path)) for path in files]
    given += [(path, _KINDS[name]) for name, paths in named.items() for path in paths]
    started = datetime.now(timezone.utc)
    with terminal.progress_shown():
        known, copies = _deliver(settings, given)
        result = runs.materialize(settings, sorted({kind.name for _, kind in given}) or None)
    for path in known:
        _say(f"{path} was taken before: its content is known.", terminal.out)
    _print_taken(settings, result, started)
    for sentence in left_in_words(left_behind(Inbox.of(settings).look(), FILE_KINDS)):
        _say(sentence)
    refused = _print_refused(result, known, copies)
    terminal.print_failed_checks(runs.failed_checks(result))
    terminal.print_failed_steps(runs.failed_steps(result))
    if refused or not result.success:
        sys.exit(1)


for _kind in _KINDS:
    _help = f"A file of {_kind}, however named."
    click.option(f"--{_kind}", _kind, multiple=True, type=_FILE, help=_help)(ingest)


@click.command("recompute", cls=InterruptibleCommand)
@click.option("--from", "first", type=DAY, required=True, help="A day of the first week.")
@click.option("--to", "last", type=DAY, help="A day of the last week; if not given, of the first.")
def recompute(first: datetime, last: datetime | None) -> None:
    """Compute weeks of all tables anew, whatever has changed, and publish what differs.

    Tables are caught up with those that they are computed from first; sources are not read. How
    many rows differed is printed. The job `recompute_weeks` of the Dagster UI does the same.

    Exit code: 0 if all went well, whether or not rows differed; 1 if a step failed.
    """
    try:
        weeks = Weeks.of(first.date(), (last or first).date())
    except ValueError as error:
        raise click.UsageError(f"{error}.") from None
    settings, started = Settings.from_environment(), datetime.now(timezone.utc)
    with terminal.progress_shown():
        result = runs.recompute(settings, weeks)
    _print_taken(settings, result, started)
    terminal.print_failed_steps(runs.failed_steps(result))
    if not result.success:
        sys.exit(1)


def _say(text: str, where: Console = terminal.err) -> None:
    """Print what may hold names of files, on one line."""
    where.print(visible(text), markup=False)


def _recognised(path: Path) -> FileKind:
    """What a file holds.

    Raises:
        click.UsageError: that is not known; nothing has been copied.
    """
    file = _look_at(path)
    for kind in _KINDS.values():
        if kind.recognises(file):
            return kind
    raise click.UsageError(
        f"{path} is not recognised as {_any_of(_KINDS)}, by its name or its fields. "
        f"Say what it is with {_any_of(f'--{name} FILE' for name in _KINDS)}."
    )


def _any_of(words: Iterable[str]) -> str:
    *others, last = words
    return f"{', '.join(others)} or {last}"


def _look_at(path: Path) -> InboxFile:
    """A file that was named to the command, which may be a link to it.

    Raises:
        click.UsageError: it is none that could be read twice.
    """
    if not path.is_file():
        raise click.UsageError(f"{path} is no file but a pipe or a device. Give a file.")
    return InboxFile.look_at(path.resolve(), path.name)


def _deliver(
    settings: Settings, given: Sequence[tuple[Path, FileKind]]
) -> tuple[Mapping[Path, str], Mapping[str, Path]]:
    """Copy the files into the inbox, in their order; each is there whole or not at all.

    Those whose content has been taken before are not copied.

    Returns:
        Those files, each with the reason if it was rejected as a whole then; and the names of the
        others in the inbox, with the files that they are copies of.
    """
    inbox, lake = Inbox.of(settings), Lake.of(settings)
    inbox.prepare()
    known = {
        path: rejected_whole(lake, kind, file)
        for path, kind in given
        if is_taken(lake, kind, file := _look_at(path))
    }
    new = [(path, kind) for path, kind in given if path not in known]
    done, total = 0, sum(path.stat().st_size for path, _ in new)

    def copied(count: int) -> None:
        nonlocal done
        done += count
        report(Progress("to the inbox", "copying", done, total, "bytes"))

    copies = {}
    for path, kind in new:
        size = path.stat().st_size
        table = METADATA.tables[kind.name]
        ingestion, target = None, _free(inbox.folder / _name(path.name, table))
        if not kind.is_merged:  # rows that are merged tell their file, by a name that people know
            ingestion = Ingestions(settings.ingestions).create(kind.name, path.name, size)
            target = inbox.folder / name_in_inbox(table, path.name, ingestion.id)
        remove = partial(partial_path(target).unlink, missing_ok=True)
        try:
            with when_told_to_end(remove):
                copy_file(path, target, copied)
        except OSError as error:
            if ingestion:
                ingestion.tell("failed", reason=f"It could not be copied: {error}.")
            raise
        if ingestion:
            ingestion.tell("queued", bytes=size)
        copies[_name_in_units(target)] = path
    return known, copies


def _name_in_units(path: Path) -> str:
    """How a file of the inbox is called within the name of its unit."""
    return delivered_name(Path(unit_name(0, InboxFile.look_at(path).name)))


def _print_taken(settings: Settings, result: dg.ExecuteInProcessResult, started: datetime) -> None:
    """Print what each table took and what was rejected since the run was `started`, and why."""
    rejected = 0
    for event in result.get_asset_materialization_events():
        metadata: dict[str, Any] = {
            name: value.value for name, value in event.materialization.metadata.items()
        }
        name = event.asset_key.to_user_string() if event.asset_key else ""
        terminal.out.print(f"[bold]{name}[/]: {_account(metadata)}")
        if names := metadata.get("unknown_fields"):
            terminal.out.print(
                f"{name}: fields that no column is for: {', '.join(names)}", markup=False
            )
        rejected += metadata.get("records_rejected", 0)
    if rejected:
        _print_rejected(settings, started)


def _print_refused(
    result: dg.ExecuteInProcessResult, known: Mapping[Path, str], copies: Mapping[str, Path]
) -> bool:
    """Print of which files nothing could be used, and why; returns whether the command failed.

    It fails if one of the files that it was given is among them; or any file if it was given none,
    and so was to take what waits.
    """
    refused_before = {path: reason for path, reason in known.items() if reason}
    for path, reason in refused_before.items():
        _say(f"{path} was rejected as a whole then: {reason}.")
    refused: dict[str, str] = {}
    for event in result.get_asset_materialization_events():
        files: Any = event.materialization.metadata.get("files_refused")
        refused.update(files.value if files is not None else {})
    originals = {unit: copies.get(delivered_name(Path(unit))) for unit in refused}
    for unit, reason in refused.items():
        _say(f"Nothing in {originals[unit] or unit} could be used: {reason}.")
    if not copies and not known:
        return bool(refused)
    return bool(refused_before) or any(originals.values())


_WORDS = {
    "is_source_missing": "its source is not there",
    "records_taken": "took {records_taken:,} records{of_files}",
    "records_rejected": "rejected {records_rejected:,}",
    "files_known_already": "{files_known_already:,} files were taken before",
    "files_still_being_written": "{files_still_being_written:,} files are still being written",
    "successes": "{average} over {successes:,} deliveries",
    "is_unchanged": "unchanged",
    "is_changed": "{rows_inserted:,} rows inserted, {rows_updated:,} updated, "
    "{rows_deleted:,} deleted",
    "has_rows": "{dagster/row_count:,} rows",
}
"""What is said of a table, in this order, where its metadata of that name is there."""


def _account(metadata: Mapping[str, Any]) -> str:
    said = {
        **metadata,
        "of_files": f" of {metadata['files_taken']:,} files" if "files_taken" in metadata else "",
        "is_changed": "rows_inserted" in metadata and not metadata["is_unchanged"],
        "has_rows": "dagster/row_count" in metadata,
    }
    return ", ".join(words.format(**said) for name, words in _WORDS.items() if said.get(name))


def _print_rejected(settings: Settings, started: datetime) -> None:
    query = """SELECT unit, reason, arg_min(value, position) AS first_value,
            count(*) AS records, min(position) AS first_position
        FROM rejected_records WHERE rejected_at >= CAST(? AS TIMESTAMPTZ) AT TIME ZONE 'UTC'
        GROUP BY unit, reason ORDER BY records DESC, unit, first_position"""
    with lake_query(settings, query, [started]) as (names, rows):
        reasons = list(rows)
    shown = reasons[:_REASONS_SHOWN]
    terminal.print_table("Rejected", names, shown, len(reasons) - len(shown))


def _name(name: str, table: Table) -> str:
    """A name by which the inbox knows what the file `name` is."""
    is_told_by_name = name.lower().startswith(str(table.name)) and Path(name).suffix != ""
    name = name if is_told_by_name else f"{table.name}-{name}"
    suffixes = tuple(format_of(table).suffixes)
    return name if name.lower().removesuffix(".gz").endswith(suffixes) else f"{name}{suffixes[0]}"


def _free(path: Path) -> Path:
    """`path`, or one like it if a file of that name waits already."""
    candidate, number = path, 2
    while candidate.exists():
        stem, dot, suffixes = path.name.partition(".")
        candidate = path.with_name(f"{stem}-{number}{dot}{suffixes}")
        number += 1
    return candidate
