"""Headers of CSV files: which columns of a table they name, by which delimiter, and where."""

import io
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

from sqlalchemy import Table

from warehouse_assets.ingest.csv_records import NotARecordError, read_lines, split_record
from warehouse_assets.ingest.inbox import InboxFile
from warehouse_assets.ingest.plain_text import DAMAGED, UnreadableFileError, opened
from warehouse_assets.times import BLANKS

_DELIMITERS = (",", ";", "\t", "|")  # the header shows which, or a line `sep=` before it
_TELLS_DELIMITER = re.compile("sep=(.)")  # Excel writes and reads such a line
HEAD_BYTES = 1 << 16
"""How much of a file is looked at to see what it is."""


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

    def has(self, known: Collection[str]) -> bool:
        """Whether a column has one of these names."""
        return not set(known).isdisjoint(self.names)


def recognises(table: Table, file: InboxFile) -> bool:
    """Whether a file in the inbox is for `table`: its name or its header says so."""
    name = file.name.lower()
    if not name.endswith((".csv", ".csv.gz")):
        return False
    if name.startswith(str(table.name)):
        return True
    try:
        with opened(file.path) as stream:
            # A header is at the beginning, however much there is to unpack.
            head = stream.read(HEAD_BYTES)
        head = head if b"\n" in head else head.replace(b"\r", b"\n")
        header = read_header(io.BytesIO(head), len(head), table)
    except (OSError, UnreadableFileError, *DAMAGED):
        return False
    return header is not None and not missing_columns(header, table)


def read_header(stream: BinaryIO, size: int, table: Table) -> Header | None:
    """The first record that is not blank, split by the delimiter that finds most columns."""
    delimiters: Sequence[str] = _DELIMITERS
    for part in read_lines(stream, size):
        lines = [line.decode() for line in part.texts]
        for index, line in enumerate(lines):
            if told := _TELLS_DELIMITER.fullmatch(line.rstrip("\r")):
                delimiters = (told[1],)
            elif line.strip(BLANKS):
                header = _header_of(lines[index:], delimiters, table)
                return replace(header, lines=part.positions[index] - 1 + header.lines)
    return None


def _header_of(lines: Sequence[str], delimiters: Sequence[str], table: Table) -> Header:
    """The header that `lines` begin with."""
    candidates = []
    for delimiter in delimiters:
        try:
            fields, used = split_record(lines, delimiter)
        except NotARecordError:
            continue
        names = [field.strip().lower() for field in fields]
        names = _without_trailing(names, lines[used:], delimiter)
        candidates.append(Header("\n".join(lines[:used]), names, delimiter, used))
    if not candidates:
        raise UnreadableFileError("the header cannot be read: its quotes are not closed")
    wanted = names_of_columns(table).values()
    return max(candidates, key=lambda header: sum(map(header.has, wanted)))


def _without_trailing(names: list[str], lines: Sequence[str], delimiter: str) -> list[str]:
    """The names without empty ones at the end that the first record has no fields for.

    Programs that end the header with a delimiter may not do so with the records.
    """
    last = max((place for place, name in enumerate(names, 1) if name), default=1)
    first = next((place for place, line in enumerate(lines) if line.strip(BLANKS)), len(lines))
    try:
        fields, _ = split_record(lines[first:] or [""], delimiter)
    except NotARecordError:
        return names
    return names[:last] if len(fields) == last else names


def names_of_columns(table: Table) -> dict[str, Sequence[str]]:
    """The CSV columns that `table` wants, each with the names that a header may give it."""
    names: dict[str, Sequence[str]] = {}
    for column in table.columns:
        if field := column.info.get("field"):
            names.setdefault(field, (field, *column.info.get("also_called", ())))
    return names


def missing_columns(header: Header, table: Table) -> list[Sequence[str]]:
    """The names of columns that must be there and are not."""
    required = {c.info["field"] for c in table.columns if "field" in c.info and not c.nullable}
    names = names_of_columns(table)
    return [known for field, known in names.items() if field in required and not header.has(known)]
