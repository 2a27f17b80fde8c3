"""What a file of CSV is like before any record of it is read: encoding, delimiter and columns.

A table names the CSV column of each of its columns in `info["field"]`, and what else a header may
call it in `info["also_called"]`. A column that may be null may be missing in a file.
"""

import codecs
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from operator import length_hint
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import Table

from warehouse_assets.ingest.csv_records import (
    NotARecordError,
    read_lines,
    readable,
    split_fields,
)
from warehouse_assets.ingest.inbox import InboxFile
from warehouse_assets.ingest.plain_text import DAMAGED, UnreadableFileError, make_plain, opened
from warehouse_assets.times import BLANKS

SUFFIXES = (".csv", ".csv.gz")
"""How files of CSV are called."""

DELIMITERS = (",", ";", "\t", "|")
"""What may separate the fields; the header shows which does, or a line `sep=` before it."""

_TELLS_DELIMITER = re.compile("sep=(.)")  # Excel writes and reads such a line
_HEAD_BYTES = 1 << 16
_COPIED_BYTES = 1 << 20
_MOST_CHARACTERS_SHOWN = 200


@dataclass(frozen=True)
class Layout:
    """What files must have in common to be read together.

    Args:
        delimiter: separates fields.
        width: how many columns the header has.
        indices: of each field wanted its place in the header, from 0; None if it is not there.
        is_usual: whether the header is all of the first line, without stray bytes before it.
    """

    delimiter: str
    width: int
    indices: tuple[int | None, ...]
    is_usual: bool


@dataclass(frozen=True)
class Header:
    """The names of the columns, stripped and in small letters, and how they are written.

    Args:
        text: the names as they are written.
        lines: how many lines there are before the first record.
    """

    text: str
    names: Sequence[str]
    delimiter: str
    lines: int


@dataclass(frozen=True)
class CsvFile:
    """A file that is not compressed, its layout, and the columns of it that nobody wants."""

    path: Path
    layout: Layout
    header_lines: int
    ignored: Sequence[str]


def recognises(file: InboxFile, table: Table) -> bool:
    """Whether a file in the inbox is for `table`: its name or its header says so."""
    name = file.name.lower()
    if not name.endswith(SUFFIXES):
        return False
    return name.startswith(str(table.name)) or _has_columns(file.path, table)


def open_csv(path: Path, spool: Path, table: Table, unpacked_limit: int) -> CsvFile | None:
    """Find out the layout of the file at `path`; None if it is empty.

    Args:
        spool: where the file is unpacked to, or linked from.
        unpacked_limit: the most bytes that it may be when it is unpacked.

    Raises:
        UnreadableFileError: the file is damaged, too large when unpacked, in an encoding other
            than UTF-8, or a column is missing or there twice.
    """
    make_plain(path, spool, unpacked_limit)
    with spool.open("rb") as stream:
        head = stream.read(_HEAD_BYTES)
        if b"\r" in head and b"\n" not in head:
            spool = _copy_with_lf(stream, head, spool)
    with spool.open("rb") as stream:
        header = _read_header(stream, spool.stat().st_size, table)
    if header is None:
        return None
    names, required = _names(table), _required(table)
    places = [
        [place for place, name in enumerate(header.names) if name in known]
        for known in names.values()
    ]
    found = list(zip(names.items(), places, strict=True))
    problems = {
        "missing in": [known for (field, known), at in found if not at and field in required],
        "more than once in": [known for (_, known), at in found if at[1:]],
    }
    if any(problems.values()):
        reason = "; ".join(
            f"columns {what} the header: {', '.join(' or '.join(known) for known in columns)}"
            for what, columns in problems.items()
            if columns
        )
        raise UnreadableFileError(reason, readable(header.text)[:_MOST_CHARACTERS_SHOWN])
    indices = tuple(at[0] if at else None for at in places)
    ignored = [name for place, name in enumerate(header.names) if name and place not in indices]
    is_usual = header.lines == 1 and head.removeprefix(codecs.BOM_UTF8).startswith(
        header.text.encode()
    )
    layout = Layout(header.delimiter, len(header.names), indices, is_usual)
    return CsvFile(spool, layout, header.lines, ignored)


def _copy_with_lf(stream: BinaryIO, head: bytes, spool: Path) -> Path:
    """A copy of a file whose lines end with CR alone, as old programs write them."""
    target = spool.with_suffix(".lf")
    with target.open("wb") as writer:
        while head:
            writer.write(head.replace(b"\r", b"\n"))
            head = stream.read(_COPIED_BYTES)
    return target


def _has_columns(path: Path, table: Table) -> bool:
    """Whether the file at `path`, compressed or not, has a header with the columns of `table`."""
    try:
        with opened(path) as stream:
            # A header is at the beginning, however much there is to unpack.
            head = stream.read(_HEAD_BYTES)
        head = head if b"\n" in head else head.replace(b"\r", b"\n")
        header = _read_header(io.BytesIO(head), len(head), table)
    except (OSError, UnreadableFileError, *DAMAGED):
        return False
    known = [names for field, names in _names(table).items() if field in _required(table)]
    return header is not None and _count_found(header.names, known) == len(known)


def _read_header(stream: BinaryIO, size: int, table: Table) -> Header | None:
    """The first record that is not blank, split by the delimiter that finds most columns."""
    delimiters: Sequence[str] = DELIMITERS
    for part in read_lines(stream, size):
        lines = [text.decode() for text in part.texts]
        for index, line in enumerate(lines):
            if told := _TELLS_DELIMITER.fullmatch(line.rstrip("\r")):
                delimiters = (told[1],)
            elif line.strip(BLANKS):
                header = _header_of(lines[index:], delimiters, table)
                return replace(header, lines=part.positions[index] - 1 + header.lines)
    return None


def _header_of(lines: Sequence[str], delimiters: Sequence[str], table: Table) -> Header:
    """The header that `lines` begin with."""
    wanted = _names(table)
    candidates = []
    for delimiter in delimiters:
        try:
            fields, used = _split(lines, delimiter)
        except NotARecordError:
            continue
        names = [field.strip().lower() for field in fields]
        names = _without_trailing(names, lines[used:], delimiter)
        candidates.append(Header("\n".join(lines[:used]), names, delimiter, used))
    if not candidates:
        raise UnreadableFileError("the header cannot be read: its quotes are not closed")
    return max(candidates, key=lambda header: _count_found(header.names, wanted.values()))


def _without_trailing(names: list[str], lines: Sequence[str], delimiter: str) -> list[str]:
    """The names without empty ones at the end that the first record has no fields for.

    Programs that end the header with a delimiter may not do so with the records.
    """
    last = max((place for place, name in enumerate(names, 1) if name), default=1)
    first = next((place for place, line in enumerate(lines) if line.strip(BLANKS)), len(lines))
    try:
        fields, _ = _split(lines[first:] or [""], delimiter)
    except NotARecordError:
        return names
    return names[:last] if len(fields) == last else names


def _split(lines: Sequence[str], delimiter: str) -> tuple[list[str], int]:
    """The fields of the record that `lines` begin with, and how many of them it takes."""
    following = iter(lines)
    fields = split_fields(next(following), delimiter, lambda: next(following, None))
    return fields, len(lines) - length_hint(following)


def _names(table: Table) -> dict[str, Sequence[str]]:
    """The CSV columns that `table` wants, each with the names that a header may give it."""
    names: dict[str, Sequence[str]] = {}
    for column in table.columns:
        if field := column.info.get("field"):
            names.setdefault(field, (field, *column.info.get("also_called", ())))
    return names


def _required(table: Table) -> set[str]:
    return {c.info["field"] for c in table.columns if "field" in c.info and not c.nullable}


def _count_found(names: Sequence[str], wanted: Iterable[Sequence[str]]) -> int:
    return sum(not known.isdisjoint(names) for known in map(set, wanted))
