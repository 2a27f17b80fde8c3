"""How the command line shows things: tables, how far work has come, and what failed."""

import csv
import json
import math
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from warehouse_assets import progress as reports
from warehouse_assets.interruption import when_told_to_end
from warehouse_assets.terminal_text import visible

if TYPE_CHECKING:
    from dagster import AssetCheckEvaluation


class _Terminal(Console):
    """Prints text of any source, of several lines; what would control the terminal is shown."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print text, with its markup unless told otherwise, and things of rich as they are."""
        shown = (visible(each, "\n") if isinstance(each, str) else each for each in objects)
        super().print(*shown, **options)


out = _Terminal(soft_wrap=False, highlight=False, emoji=False)
err = _Terminal(stderr=True, highlight=False, emoji=False)

_NARROWEST_COLUMN = 7
_LONGEST_FOLDED = 40
_SECONDS_BETWEEN_LINES = 5.0

Rows = Sequence[Sequence[object]]


def examples(*lines: str) -> str:
    """Commands for the end of a help text, each on a line of its own."""
    return "\b\n" + "\n".join(lines)


class Answer(NamedTuple):
    """The first rows of a table that answers a question; `more` rows are left out.

    One that has not been published has no columns.
    """

    title: str
    names: Sequence[str]
    rows: Sequence[Sequence[object]]
    more: int


def print_table(title: str, headings: Sequence[str], rows: Rows, more: int = 0) -> None:
    """Print `rows`, numbers to the right; `more` is how many rows are not among them."""
    if title:
        out.print()
        out.print(Text(visible(title), "bold"))
    if not headings:
        return
    if len(headings) * _NARROWEST_COLUMN > out.width:
        _print_records(headings, rows)
    else:
        _print_grid(headings, rows)
    if more > 0:
        out.print(f"… and {more:,} more rows")


def print_fitting(
    title: str, headings: Sequence[str], rows: Rows, more: int, ranked: Sequence[int], needed: int
) -> None:
    """Print of a wide table the columns that the terminal has room for, and name the others.

    Args:
        ranked: all columns, by their place, the most important first.
        needed: how many of these are shown in any case.
    """
    room, kept = out.width - 1, set[int]()
    for rank, index in enumerate(ranked):
        width = 3 + max(4, _width_of(headings, rows, index))
        if rank < needed:
            width = min(width, 3 + out.width // 3)
        if rank < needed or width <= room:
            kept.add(index)
            room -= width
    shown = [[value for index, value in enumerate(row) if index in kept] for row in rows]
    names = [heading for index, heading in enumerate(headings) if index in kept]
    print_table(title, names, shown, more)
    if others := [heading for index, heading in enumerate(headings) if index not in kept]:
        out.print(f"not shown: {', '.join(others)}", markup=False)


def _width_of(headings: Sequence[str], rows: Rows, index: int) -> int:
    return max(map(_width, [headings[index], *(row[index] for row in rows)]))


def _width(value: object) -> int:
    """How wide a column must be to show a value readably: short ones may be folded at spaces."""
    text = visible(words(value))
    return max(map(len, text.split()), default=0) if len(text) <= _LONGEST_FOLDED else len(text)


def _print_records(headings: Sequence[str], rows: Rows) -> None:
    """Print each row as lines of heading and value, for rows too wide for a grid."""
    headings = [visible(heading) for heading in headings]
    width = max(map(len, headings))
    for row in rows:
        out.rule(style="dim")
        for heading, value in zip(headings, row, strict=True):
            out.print(Text(f"{heading:<{width}}  ") + _cell(value))


def _print_grid(headings: Sequence[str], rows: Rows) -> None:
    table = Table()
    widths = [
        min(_width_of(headings, rows, index), out.width // 3) for index in range(len(headings))
    ]
    spare = out.width - 1 - sum(widths) - 3 * len(widths)
    is_room = spare >= 0
    for index, heading in enumerate(headings):
        cells = [heading, *(row[index] for row in rows)]
        whole = max(len(visible(words(cell))) for cell in cells)
        more = max(0, min(spare, whole - widths[index]))
        widths[index], spare = widths[index] + more, spare - more
    for index, heading in enumerate(headings):
        is_number = all(isinstance(row[index], int | float | None) for row in rows)
        table.add_column(
            Text(visible(heading)),
            justify="right" if is_number and rows else "left",
            overflow="fold",
            width=widths[index] if is_room else None,
        )
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    out.print(table)


def write_csv(names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write `rows` to standard output as CSV with a header."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)


def write_json_lines(names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write each of `rows` to standard output as a JSON object on a line."""
    for row in rows:
        # JSON has no word for what is not a number.
        values = (None if isinstance(v, float) and not math.isfinite(v) else v for v in row)
        record = dict(zip(names, values, strict=True))
        sys.stdout.write(json.dumps(record, default=str, ensure_ascii=False) + "\n")


def _cell(value: object) -> Text:
    return Text("null", "dim") if value is None else Text(visible(words(value)))


def words(value: object) -> str:
    """A value as people read it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:,.4f}"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def print_failed_steps(steps: Iterable[tuple[str, str]]) -> None:
    """Print which steps of a run failed, and why."""
    for step, reason in steps:
        err.print(f"[bold red]{step} failed[/]: ", end="")
        err.print(reason, markup=False)


def print_failed_checks(evaluations: Iterable["AssetCheckEvaluation"]) -> None:
    """Print why the checks that did not pass failed, with sample rows.

    What is the same of several, such as that a table cannot be read, is printed once.
    """
    names: dict[tuple[bool, str, str], list[str]] = {}
    for evaluation in evaluations:
        if evaluation.passed:
            continue
        is_error = evaluation.severity.value == "ERROR"
        sample = evaluation.metadata.get("sample")
        told = (is_error, evaluation.description or "", "" if sample is None else str(sample.value))
        name = f"{evaluation.asset_key.to_user_string()}.{evaluation.check_name}"
        names.setdefault(told, []).append(name)
    for (is_error, description, rows), alike in names.items():
        word, style = ("FAILED", "bold red") if is_error else ("WARNING", "bold yellow")
        out.print(f"[{style}]{word}[/] [bold]{', '.join(alike)}[/]: ", end="")
        out.print(description, markup=False)
        if rows:
            out.print(rows, markup=False)


@contextmanager
def progress_shown() -> Iterator[None]:
    """Show on standard error what is reported while the block runs.

    On a terminal a bar shows the activity reported last, with the time that it has taken so far;
    where nobody knows how long it will take, it moves to and fro. It is gone when the block ends.
    Elsewhere a line is written now and then, and none of what is over soon.
    """
    with _own_errors() as stream:
        if not stream.isatty():
            with reports.heard_by(report=_Lines(stream).listen):
                yield
            return
        bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            console=Console(file=stream),
            transient=True,
        )
        shown: dict[tuple[str, str], TaskID] = {}

        def listen(report: reports.Progress) -> None:
            key = (report.table, report.activity)
            now: dict[str, Any] = {
                "completed": report.done,
                "total": report.total,
                "figures": _figures(report),
            }
            if key in shown:
                bars.update(shown[key], **now)
                return
            for task in shown.values():
                bars.remove_task(task)
            shown.clear()
            shown[key] = bars.add_task(f"{report.activity} {report.table}", **now)

        with bars, when_told_to_end(bars.stop), reports.heard_by(report=listen):
            yield


class _Lines:
    """Writes what is reported as lines, if the last one was written some time ago."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._written = time.monotonic()

    def listen(self, report: reports.Progress) -> None:
        if time.monotonic() - self._written < _SECONDS_BETWEEN_LINES:
            return
        self._written = time.monotonic()
        words = f"{time.strftime('%H:%M:%S')} {report.activity} {report.table}"
        with suppress(OSError):  # nobody reads any more, which is no failure of the work
            self._stream.write(f"{words} {_figures(report)}".rstrip() + "\n")
            self._stream.flush()


def _figures(report: reports.Progress) -> str:
    return "" if report.total is None else f"{report.done:,} of {report.total:,} {report.unit}"


@contextmanager
def _own_errors() -> Iterator[TextIO]:
    """Standard error as it is now: Dagster redirects it into its own logs while a step runs."""
    try:
        descriptor = os.dup(sys.stderr.fileno())
    except (OSError, ValueError):  # there is none
        yield sys.stderr
        return
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        yield stream
