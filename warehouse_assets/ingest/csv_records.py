"""The records of a CSV file with the numbers of their lines, for DuckDB by Arrow.

DuckDB's own reader tells neither on which line a good record stood nor, of many files, that a quote
is open at the end of one. Here a broken line is lost by itself. Lines without quotes are split in
SQL.

The dialect is RFC 4180 with what DuckDB takes beyond it: a blank before and blanks behind quotes,
and quotes as text within a field that does not begin with one.
"""

import csv
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import length_hint
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from arro3.core import Array, DataType, RecordBatch

from warehouse_assets.ingest.lines import NOT_UTF8, LineReader, Lines, Problem
from warehouse_assets.ingest.validate import POSITION, PROBLEM, RAW, SEEN, literal
from warehouse_assets.times import trimmed

MOST_RECORD_BYTES = 2 << 20
"""The longest record that is read."""

OTHER_WIDTH = "not as many fields as the header has"
"""Reason for a line of another number of fields."""

OPEN_QUOTE = "a quote is not closed on this line, nor fittingly on those behind it"
"""Reason for a line that is lost by itself, instead of all that its quote holds."""

# Separates the fields of records that were split here: Unicode has no such character.
_SEPARATOR = "\uffff"
# In lines without any of these the fields are what the delimiters separate.
_has_special = re.compile('["\0\ufeff\r\uffff]').search
_has_unreadable = re.compile("[\0\ufeff\uffff]").search
_KINDS = [DataType.int64(), DataType.int64(), *[DataType.utf8()] * 4]
_NAMES = ["arrival", "position", "line", "problem", "seen", "record"]


@dataclass(frozen=True)
class Layout:
    """What files must have in common to be read together.

    Args:
        delimiter: separates fields.
        width: how many columns the header has; a record may have more, if they are empty.
        places: of each field wanted its place in the header, from 0; None if it is not there.
        is_usual: whether the header is all of the first line, without stray bytes before it.
    """

    delimiter: str
    width: int
    places: tuple[int | None, ...]
    is_usual: bool


class NotARecordError(ValueError):
    """Text that is no record; the message is the reason."""


class _Record(NamedTuple):
    """A record, or a line that is none.

    Args:
        position: number of its (first) line in the file, from 1.
        line: the record as it stands in the file.
        problem: why the line is no record.
        seen: what shows that.
        record: the same with `_SEPARATOR` between fields, and no quotes; None if that is what the
            delimiters separate.
    """

    position: int
    line: str
    problem: str | None = None
    seen: str | None = None
    record: str | None = None


def read_lines(stream: BinaryIO, size: int) -> Iterator[Lines]:
    """The lines of a file of `size` bytes, numbered from 1."""
    return LineReader(stream, size, 1, is_numbered=True, longest=MOST_RECORD_BYTES).read()


def read_records(
    parts: Iterator[Lines],
    arrival: int,
    layout: Layout,
    wanted: Mapping[int, str],
    lines_before: int,
) -> Iterator[RecordBatch]:
    """The records of a file and the lines that are none, in order, as `fields_of` takes them.

    Args:
        parts: its lines.
        arrival: its number.
        wanted: names of fields by their place, from 0; others may hold anything.
        lines_before: how many lines there are before the first record.
    """
    for part in parts:
        text, first = _text_of(part), part.positions[0]
        index = max(lines_before + 1 - first, 0)
        plain = text.replace("\r\n", "\n").removesuffix("\r")
        if index == 0 and not part.problems and not _has_special(plain):
            lines = plain.split("\n")
            nothing = [None] * len(lines)
            yield _batch(arrival, range(first, first + len(lines)), lines, *[nothing] * 3)
            continue
        block = _Block(text.split("\n"), dict(part.problems), parts)
        records: list[_Record] = []
        while index < len(block.lines):
            line, used = block.lines[index].rstrip("\r"), 1
            if index not in block.problems and not _has_special(line):
                records.append(_Record(first + index, line))
            else:
                record, used = block.record(index, layout, wanted)
                records.append(record._replace(position=first + index))
            index += used
        if records:
            yield _batch(arrival, *zip(*records, strict=True))


def split_record(lines: Sequence[str], delimiter: str) -> tuple[list[str], int]:
    """The fields of the record that `lines` begin with, and how many of them it takes.

    Raises:
        NotARecordError: a quote is not closed, or something follows a closing one.
    """
    following = iter(lines)
    fields = _split_fields(next(following), delimiter, lambda: next(following, None))
    return fields, len(lines) - length_hint(following)


def may_end_amid_quotes(path: Path) -> bool:
    """Whether a quote may be open at the end of a file, of which DuckDB tells only if it is one."""
    with path.open("rb") as stream:
        stream.seek(max(stream.seek(0, os.SEEK_END) - MOST_RECORD_BYTES, 0))
        return b'"' in stream.read()


def fields_of(relation: str, layout: Layout) -> str:
    """SQL for the records of `relation`, split into the list `_fields`, and those that are none."""
    delimiter, width = literal(layout.delimiter), layout.width
    count = f"""CASE WHEN len(_fields) < {width} THEN len(_fields)
        ELSE len(string_split(rtrim(line, {delimiter}), {delimiter})) END"""
    return f"""
        SELECT arrival, position AS {POSITION}, line AS {RAW}, _fields,
            CASE WHEN _fits THEN problem ELSE coalesce(problem, '{OTHER_WIDTH}') END AS {PROBLEM},
            CASE WHEN _fits OR problem IS NOT NULL THEN seen
                ELSE {count} || ' where the header has {width}' END AS {SEEN}
        FROM (
            SELECT *, CASE WHEN len(_fields) = {width} THEN true WHEN len(_fields) > {width}
                THEN array_to_string(_fields[{width + 1}:], '') = '' ELSE false END AS _fits
            FROM (
                SELECT *, CASE WHEN record IS NULL THEN string_split(line, {delimiter})
                    ELSE string_split(record, '{_SEPARATOR}') END AS _fields
                FROM {relation} AS records
                WHERE CASE WHEN line >= '!' THEN true ELSE {trimmed("line")} <> '' END))"""


def _batch(arrival: int, *columns: Any) -> RecordBatch:
    """Columns of `_Record`, as Arrow."""
    given = ([arrival] * len(columns[0]), *columns)
    arrays = [Array(column, kind) for column, kind in zip(given, _KINDS, strict=True)]
    return RecordBatch.from_arrays(arrays, names=_NAMES)


class _Block:
    """Lines with what is wrong with some of them, by index; more of them are read from `parts`."""

    def __init__(
        self, lines: list[str], problems: dict[int, Problem], parts: Iterator[Lines]
    ) -> None:
        self.lines = lines
        self.problems = problems
        self._parts = parts

    def _has(self, index: int) -> bool:
        if index == len(self.lines) and (part := next(self._parts, None)):
            self.problems |= {index + place: each for place, each in part.problems.items()}
            self.lines += _text_of(part).split("\n")
        return index < len(self.lines)

    def record(self, index: int, layout: Layout, wanted: Mapping[int, str]) -> tuple[_Record, int]:
        """The record that begins with a line, or that line by itself; and how many it takes."""
        used, left = 1, MOST_RECORD_BYTES - len(self.lines[index])

        def following() -> str | None:
            nonlocal used, left
            if not self._has(index + used):
                return None
            line = self.lines[index + used]
            used += 1
            left -= len(line)
            return line if left > 0 else None

        fields: list[str] = []
        problem = self.problems.get(index)
        if problem is None or problem.reason == NOT_UTF8:
            try:
                fields = _split_usual(self.lines[index], layout.delimiter) or _split_fields(
                    self.lines[index], layout.delimiter, following
                )
                problem = _other_width(fields, layout.width)
            except NotARecordError as error:
                problem = Problem(str(error))
            if problem is not None and used > 1:
                problem, used = Problem(OPEN_QUOTE), 1
        text = "\n".join(self.lines[index : index + used]).rstrip("\r")
        is_utf8 = self.problems.keys().isdisjoint(range(index, index + used))
        if problem is None and (not is_utf8 or _has_unreadable(text)):
            problem = _unreadable(fields, wanted, is_utf8)
            fields = [readable(field) for field in fields]
        if problem:
            return _Record(0, readable(text), *problem), used
        return _Record(0, readable(text), record=_SEPARATOR.join(fields)), used


def _split_usual(line: str, delimiter: str) -> list[str] | None:
    """The fields of a record of one line; None where Python's reader may know another dialect."""
    if ' "' not in line and '" ' not in line and "\r" not in line:
        try:
            return next(csv.reader((line,), delimiter=delimiter, strict=True))
        except csv.Error:
            pass
    return None


def _split_fields(text: str, delimiter: str, following: Callable[[], str | None]) -> list[str]:
    """The fields of a record that begins with the line `text`.

    Args:
        text: carriage returns at its end belong to the line end.
        following: gives the next line in the same manner, when a quote is open; None if there is
            none that could belong to the record.

    Raises:
        NotARecordError: a quote is not closed, or something follows a closing one.
    """
    fields = []
    position = 0
    while True:
        # One blank may come before a quote; DuckDB takes a quote after more of them as text.
        start = position + text.startswith(" ", position)
        if not text.startswith('"', start):
            end = text.find(delimiter, position)
            fields.append(text[position:].rstrip("\r") if end < 0 else text[position:end])
        else:
            closing = start
            while (closing := text.find('"', closing + 1)) < 0 or text.startswith('"', closing + 1):
                if closing >= 0:
                    closing += 1
                    continue
                closing = len(text)
                if (more := following()) is None:
                    raise NotARecordError(OPEN_QUOTE)
                text += "\n" + more
            fields.append(text[start + 1 : closing].replace('""', '"'))
            end = closing + 1
            while text.startswith(" ", end):
                end += 1
            if not text[end : end + 1].strip("\r") and not text[end:].strip("\r"):
                end = -1
            elif not text.startswith(delimiter, end):
                raise NotARecordError("text follows a closing quote")
        if end < 0:
            return fields
        position = end + 1


def _text_of(part: Lines) -> str:
    return b"\n".join(part.texts).decode()


def _other_width(fields: list[str], width: int) -> Problem | None:
    # A delimiter at the end of a line is usual with some programs.
    while len(fields) > width and not fields[-1]:
        fields.pop()
    if len(fields) == width:
        return None
    return Problem(OTHER_WIDTH, f"{len(fields)} where the header has {width}")


def _unreadable(fields: list[str], wanted: Mapping[int, str], is_utf8: bool) -> Problem | None:
    """What is wrong with the characters of the fields wanted."""
    for index, name in wanted.items():
        if "\0" in fields[index]:
            return Problem(f"{name} has a NUL byte")
        if _SEPARATOR in fields[index]:
            return Problem(f"{name} has U+FFFF, which is no character")
        if fields[index].lstrip(" ").startswith("\ufeff"):
            return Problem(f"{name} begins with a byte-order mark")
        before, replaced, _ = fields[index].partition("\N{REPLACEMENT CHARACTER}")
        if replaced and not is_utf8:
            return Problem(f"{name} is {NOT_UTF8}", f"byte {len(before.encode()) + 1}")
    return None


def readable(text: str) -> str:
    """The text with replacement characters for what no database takes."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").replace(
        _SEPARATOR, "\N{REPLACEMENT CHARACTER}"
    )
