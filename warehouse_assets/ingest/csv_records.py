"""The records of a CSV file with the numbers of their lines, for DuckDB by Arrow.

DuckDB's own reader tells neither on which line a good record stood nor, of many files, that a quote
is open at the end of one. Here a broken line is lost by itself. Lines are handed over many in one
text, for that costs least, and those without quotes are split in SQL.

The dialect is RFC 4180 with what DuckDB takes beyond it: a blank before and blanks behind quotes,
and quotes as text within a field that does not begin with one.
"""

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import BinaryIO, NamedTuple

from arro3.core import Array, DataType, Field, RecordBatch, Schema, Table

from warehouse_assets.ingest.lines import BLOCK_BYTES, NOT_UTF8, LineReader, Lines, Problem

MOST_RECORD_BYTES = 2 << 20
"""The longest record that is read."""

OTHER_WIDTH = "not as many fields as the header has"
"""Reason for a line of another number of fields."""

OPEN_QUOTE = "a quote is not closed on this line, nor fittingly on those behind it"
"""Reason for a line that is lost by itself, instead of all that its quote holds."""

SEPARATOR = "\uffff"
"""Separates the fields of `Piece.records`: Unicode has no such character."""

_BLOCKS_TOGETHER = 32
# In lines without any of these the fields are what the delimiters separate.
_has_special = re.compile('["\0\ufeff\r\uffff]').search
_has_unreadable = re.compile("[\0\ufeff\uffff]").search
_SCHEMA = Schema(
    [
        Field("arrival", DataType.int64()),
        Field("_line", DataType.int64()),
        Field("_text", DataType.utf8()),
        Field("_records", DataType.utf8()),
        Field("_is_one", DataType.bool()),
        Field("_problem", DataType.utf8()),
        Field("_seen", DataType.utf8()),
    ]
)


class NotARecordError(ValueError):
    """Text that is no record; the message is the reason."""


class Piece(NamedTuple):
    """Lines of which each is a record, or blank; or one record; or a line that is none.

    Args:
        line: number of the (first) line in the file, from 1.
        text: the lines, or the record as it stands in the file.
        records: the same with `SEPARATOR` between fields, and no quotes; None if that is what the
            delimiters separate.
        is_one: whether it is one record, or none, even if there are line ends in it.
        problem: why the line is no record.
        seen: what shows that.
    """

    line: int
    text: str
    records: str | None = None
    is_one: bool = False
    problem: str | None = None
    seen: str | None = None


def tables(files: Iterable[tuple[int, Iterable[Piece]]]) -> Iterator[Table]:
    """The pieces of files, each with its arrival number, as tables of some megabytes of text.

    The columns are `arrival` and those of `Piece`, the latter with names that begin with `_`.
    """
    batches: list[RecordBatch] = []
    for batch in _batches(files):
        batches.append(batch)
        if len(batches) == _BLOCKS_TOGETHER:
            yield Table.from_batches(batches, schema=_SCHEMA)
            batches = []
    if batches:
        yield Table.from_batches(batches, schema=_SCHEMA)


def _batches(files: Iterable[tuple[int, Iterable[Piece]]]) -> Iterator[RecordBatch]:
    rows: list[tuple[int | str | bool | None, ...]] = []
    size = 0
    for arrival, pieces in files:
        for piece in pieces:
            rows.append((arrival, *piece))
            size += len(piece.text)
            if size >= BLOCK_BYTES:
                yield _batch(rows)
                rows, size = [], 0
    if rows:
        yield _batch(rows)


def _batch(rows: list[tuple[int | str | bool | None, ...]]) -> RecordBatch:
    columns = zip(*rows, strict=True)
    arrays = [Array(column, _SCHEMA.field(place).type) for place, column in enumerate(columns)]
    return RecordBatch.from_arrays(arrays, schema=_SCHEMA)


def read_lines(stream: BinaryIO, size: int) -> Iterator[Lines]:
    """The lines of a file of `size` bytes, numbered from 1."""
    return LineReader(stream, size, 1, is_numbered=True, longest=MOST_RECORD_BYTES).read()


def read_pieces(
    parts: Iterator[Lines],
    delimiter: str,
    width: int,
    wanted: Mapping[int, str],
    lines_before: int,
) -> Iterator[Piece]:
    """The records of a file and the lines that are none, in order.

    Args:
        parts: its lines.
        delimiter: separates fields.
        width: how many fields a record has; more of them may be there at the end, if empty.
        wanted: names of fields by their place, from 0; others may hold anything.
        lines_before: how many lines there are before the first record.
    """
    for part in parts:
        text, first = _text_of(part), part.positions[0]
        index = max(lines_before + 1 - first, 0)
        plain = text.replace("\r\n", "\n").removesuffix("\r")
        if index == 0 and not part.problems and not _has_special(plain):
            yield Piece(first, plain)
            continue
        block = _Block(text.split("\n"), dict(part.problems), parts)
        texts: list[str] = []  # of records that follow each other, each of one line
        records: list[str] = []
        while index < len(block.lines):
            bare = block.lines[index].rstrip("\r")
            if index not in block.problems and not _has_special(bare):
                texts.append(bare)
                records.append(bare.replace(delimiter, SEPARATOR))
                index += 1
                continue
            piece, used = block.record(index, delimiter, width, wanted)
            if used == 1 and piece.records is not None:
                texts.append(piece.text)
                records.append(piece.records)
            else:
                yield Piece(first + index - len(texts), "\n".join(texts), "\n".join(records))
                yield piece._replace(line=first + index)
                texts, records = [], []
            index += used
        yield Piece(first + index - len(texts), "\n".join(texts), "\n".join(records))


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

    def record(
        self, index: int, delimiter: str, width: int, wanted: Mapping[int, str]
    ) -> tuple[Piece, int]:
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
                fields = _split_usual(self.lines[index], delimiter) or split_fields(
                    self.lines[index], delimiter, following
                )
                problem = _other_width(fields, width)
            except NotARecordError as error:
                problem = Problem(str(error))
            if problem is not None and used > 1:
                problem, used = Problem(OPEN_QUOTE), 1
        text = "\n".join(self.lines[index : index + used]).rstrip("\r")
        is_utf8 = self.problems.keys().isdisjoint(range(index, index + used))
        if problem is None and (not is_utf8 or _has_unreadable(text)):
            problem = _unreadable(fields, wanted, is_utf8)
            fields = [readable(field) for field in fields]
        records = None if problem else SEPARATOR.join(fields)
        return Piece(0, readable(text), records, True, *(problem or ())), used


def _split_usual(line: str, delimiter: str) -> list[str] | None:
    """The fields of a record of one line; None where Python's reader may know another dialect."""
    if ' "' not in line and '" ' not in line and "\r" not in line:
        try:
            return next(csv.reader((line,), delimiter=delimiter, strict=True))
        except csv.Error:
            pass
    return None


def split_fields(text: str, delimiter: str, following: Callable[[], str | None]) -> list[str]:
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
        if SEPARATOR in fields[index]:
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
        SEPARATOR, "\N{REPLACEMENT CHARACTER}"
    )
