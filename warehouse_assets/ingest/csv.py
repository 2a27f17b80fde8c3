"""Records of CSV files: good ones as rows of a table, bad ones with their reasons.

A table names the CSV column of each of its columns in `info["field"]`, and what else a header may
call it in `info["also_called"]`. A column that may be null may be missing in a file.

A file is read once, by DuckDB, in one statement that stops at the first record that cannot be
used. Only then it is read again, record by record (`csv_records`), which tells of each where it is
and why it cannot be used.
"""

import glob
import io
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

import duckdb
from arro3.core import RecordBatch
from sqlalchemy import Table, Text

from warehouse_assets.ingest.csv_records import (
    MOST_RECORD_BYTES,
    Layout,
    NotARecordError,
    fields_of,
    may_end_amid_quotes,
    read_lines,
    read_records,
    readable,
    split_record,
)
from warehouse_assets.ingest.file_kinds import FileKind, Unit, reject_unit
from warehouse_assets.ingest.inbox import InboxFile
from warehouse_assets.ingest.plain_text import (
    DAMAGED,
    MARK,
    UnreadableFileError,
    make_plain,
    opened,
)
from warehouse_assets.ingest.staging import (
    FIELDS,
    STAGED,
    checked,
    create_stage,
    known_fields,
    note_names,
    sort_out,
)
from warehouse_assets.ingest.validate import Validator, literal, text
from warehouse_assets.lake import LakeTable, WrittenFile
from warehouse_assets.lake.commit import cast_query
from warehouse_assets.lake.files import write_parquet
from warehouse_assets.tables import column_names, identifiers
from warehouse_assets.times import BLANKS

_DELIMITERS = (",", ";", "\t", "|")  # the header shows which, or a line `sep=` before it
_TELLS_DELIMITER = re.compile("sep=(.)")  # Excel writes and reads such a line
# Of the file at once. A quarter of DuckDB's own number: memory that large comes from the system
# each time, which clears it.
_BUFFER_BYTES = 8 << 20
_HEAD_BYTES = 1 << 16
_MOST_CHARACTERS_SHOWN = 200


def csv_files(table: Table, answers: Sequence[str] = ()) -> FileKind:
    """The files of CSV that are for `table`; where that has a key, they are merged by it.

    Args:
        answers: the tables that hold what follows from a file, once they have been published.
    """
    name = str(table.name)
    return FileKind(
        name,
        table,
        partial(_recognises, table),
        stage_csv_files,
        answers=answers,
        takes=f"{name} (.csv, also .gz; by the name {name}… or by the header)",
        suffixes=(".csv",),
    )


def stage_csv_files(
    connection: duckdb.DuckDBPyConnection,
    table: LakeTable | None,
    units: Sequence[Unit],
    spool: Path,
    is_numbered: bool = False,
) -> Sequence[WrittenFile]:
    """Read files of CSV, plain or compressed by gzip, with a header; see `file_kinds.Stage`.

    Args:
        is_numbered: whether good records have their positions, too; then nothing is written, also
            of a table without a key, but staged.
    """
    if table is None:
        raise TypeError("records of CSV need a table")
    create_stage(connection, table.declaration)
    return _Reader(connection, table, is_numbered).read(units, spool)


@dataclass(frozen=True)
class _Header:
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


@dataclass(frozen=True)
class _File:
    """A file that is not compressed, with its number and how many lines its header has."""

    arrival: int
    path: Path
    header_lines: int


class _Reader:
    """Reads files into the tables of `connection`; rows for a table without a key into files."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, table: LakeTable, is_numbered: bool
    ) -> None:
        self.is_numbered = is_numbered
        self.connection = connection
        self.lake_table = table
        self.table = table.declaration
        self.is_merged = bool(self.table.primary_key.columns)
        self.validator = Validator(self.table)
        self._is_by_week = not self.is_merged and table.is_by_week()

    def read(self, units: Sequence[Unit], spool: Path) -> list[WrittenFile]:
        """Write or stage the good records of `units`; reject the others."""
        groups: dict[Layout, list[_File]] = {}
        for unit in units:
            path = spool / f"{unit.arrival}.csv"
            try:
                make_plain(unit.file.path, path, unit.unpacked_limit)
                header, head = self._header(path)
                if header is not None:
                    layout = self._layout(unit, header, head)
                    groups.setdefault(layout, []).append(_File(unit.arrival, path, header.lines))
            except UnreadableFileError as error:
                reject_unit(self.connection, unit, str(error), error.seen)
        return [each for layout, files in groups.items() for each in self._read(layout, files)]

    def _header(self, path: Path) -> tuple[_Header | None, bytes]:
        """The header of a file, which has LF at the ends of its lines afterwards; and its head."""
        with path.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
            if b"\r" in head and b"\n" not in head:
                copy, chunk = path.with_suffix(".lf"), head
                with copy.open("wb") as writer:
                    while chunk:
                        writer.write(chunk.replace(b"\r", b"\n"))
                        chunk = stream.read(_HEAD_BYTES)
                copy.replace(path)
        with path.open("rb") as stream:
            return _read_header(stream, path.stat().st_size, self.table), head

    def _layout(self, unit: Unit, header: _Header, head: bytes) -> Layout:
        """How the records behind a header are laid out; columns that nobody wants are noted.

        Raises:
            UnreadableFileError: a column is missing, or there twice.
        """
        wanted = _names(self.table).values()
        found = [[p for p, name in enumerate(header.names) if name in known] for known in wanted]
        doubled = [known for known, at in zip(wanted, found, strict=True) if at[1:]]
        problems = [("missing in", _missing(header, self.table)), ("more than once in", doubled)]
        reasons = [
            f"columns {what} the header: {', '.join(' or '.join(known) for known in columns)}"
            for what, columns in problems
            if columns
        ]
        if reasons:
            shown = readable(header.text)[:_MOST_CHARACTERS_SHOWN]
            raise UnreadableFileError("; ".join(reasons), shown)
        places = tuple(at[0] if at else None for at in found)
        ignored = {name for p, name in enumerate(header.names) if name and p not in places}
        note_names(self.connection, ignored - known_fields(self.table), unit.arrival)
        is_usual = header.lines == 1 and head.removeprefix(MARK).startswith(header.text.encode())
        return Layout(header.delimiter, len(header.names), places, is_usual)

    def _read(self, layout: Layout, files: Sequence[_File]) -> list[WrittenFile]:
        # Of many files DuckDB does not tell that a quote is open at the end of one.
        may_be_open = len(files) > 1 and any(may_end_amid_quotes(file.path) for file in files)
        if layout.is_usual and not may_be_open and not self.is_numbered:
            try:
                return self._write_at_once(layout, files)
            except (duckdb.InvalidInputException, duckdb.NotImplementedException):
                pass  # A record cannot be used, or parts of the file were taken for others.
        return self._write_by_record(layout, files)

    def _write_at_once(self, layout: Layout, files: Sequence[_File]) -> list[WrittenFile]:
        """Write what DuckDB's own reader gives, which raises an error for any bad record."""
        # What is written as files cannot have parameters.
        paths = ", ".join(literal(glob.escape(str(file.path))) for file in files)
        place = "1" if len(files) == 1 else "CAST(file_index AS BIGINT) + 1"
        columns = ", ".join(f"'c{column}': 'VARCHAR'" for column in range(layout.width))
        # Nothing is left to detection, and no text of a file means anything but itself.
        texts = f"""
            SELECT {self._texts(layout, "c{}", 0)},
                CAST({[file.arrival for file in files]} AS BIGINT[])[{place}] AS arrival
            FROM read_csv([{paths}], columns = {{{columns}}},
                auto_detect = false, header = false, skip = 1, delim = {literal(layout.delimiter)},
                quote = '"', escape = '"', comment = '', strict_mode = true, null_padding = false,
                max_line_size = {MOST_RECORD_BYTES}, buffer_size = {_BUFFER_BYTES},
                compression = 'uncompressed', hive_partitioning = false)"""
        # Of characters that cannot be seen a text of any other type has none.
        is_odd = " OR ".join(
            f"contains({text(str(column.info['field']))}, chr({code}))"
            for column in self.table.columns
            if "field" in column.info and isinstance(column.type, Text)
            for code in (0, 0xFEFF, 0xFFFF)
        )
        is_bad = f"{self.validator.is_unusable} OR coalesce({is_odd or 'false'}, false)"
        return self._write(
            f"""SELECT * REPLACE (CASE WHEN {is_bad} THEN error('unusable') ELSE arrival END
                AS arrival) FROM ({self.validator.query(texts)})"""
        )

    def _write_by_record(self, layout: Layout, files: Sequence[_File]) -> list[WrittenFile]:
        """Write or stage the good ones of all records; reject the others."""
        written = list[WrittenFile]()

        def texts(relation: str) -> str:
            return f"""SELECT {self._texts(layout, "_fields[{}]", 1)}, *,
                NULL::VARCHAR[] AS {FIELDS} FROM ({fields_of(relation, layout)})"""

        paths = [file.path for file in files]
        for table in checked(self._records(layout, files), str(self.table.name), paths):
            sort_out(self.connection, self.validator, table, texts)
            if not (self.is_merged or self.is_numbered):
                written += self._write(f"FROM {STAGED}")
                empty = f"CREATE OR REPLACE TEMP TABLE {STAGED} AS FROM {STAGED} LIMIT 0"
                self.connection.execute(empty)
        return written

    def _write(self, query: str) -> list[WrittenFile]:
        """Keep the rows of `query`: in files, or for a table with a key in `STAGED`."""
        if not self.is_merged:
            rows = cast_query(self.lake_table, query)
            return write_parquet(
                self.connection,
                self.lake_table,
                rows,
                has_short_values=True,
                is_by_week=self._is_by_week,
            )
        names = identifiers(list(dict.fromkeys([*column_names(self.table), "arrival"])))
        self.connection.execute(f"INSERT INTO {STAGED} BY NAME SELECT {names} FROM ({query})")
        return []

    def _texts(self, layout: Layout, form: str, first: int) -> str:
        """The texts of the fields wanted, null where one is empty or not in the files."""
        fields = zip(self.validator.fields, layout.places, strict=True)
        return ", ".join(
            f"nullif({'NULL' if p is None else form.format(p + first)}, '') AS {text(field)}"
            for field, p in fields
        )

    def _records(self, layout: Layout, files: Sequence[_File]) -> Iterator[RecordBatch]:
        places = zip(layout.places, self.validator.fields, strict=True)
        wanted = {place: field for place, field in places if place is not None}
        for file in files:
            with file.path.open("rb") as stream:
                lines = read_lines(stream, file.path.stat().st_size)
                yield from read_records(lines, file.arrival, layout, wanted, file.header_lines)


def _recognises(table: Table, file: InboxFile) -> bool:
    """Whether a file in the inbox is for `table`: its name or its header says so."""
    name = file.name.lower()
    if not name.endswith((".csv", ".csv.gz")):
        return False
    if name.startswith(str(table.name)):
        return True
    try:
        with opened(file.path) as stream:
            # A header is at the beginning, however much there is to unpack.
            head = stream.read(_HEAD_BYTES)
        head = head if b"\n" in head else head.replace(b"\r", b"\n")
        header = _read_header(io.BytesIO(head), len(head), table)
    except (OSError, UnreadableFileError, *DAMAGED):
        return False
    return header is not None and not _missing(header, table)


def _read_header(stream: BinaryIO, size: int, table: Table) -> _Header | None:
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


def _header_of(lines: Sequence[str], delimiters: Sequence[str], table: Table) -> _Header:
    """The header that `lines` begin with."""
    candidates = []
    for delimiter in delimiters:
        try:
            fields, used = split_record(lines, delimiter)
        except NotARecordError:
            continue
        names = [field.strip().lower() for field in fields]
        names = _without_trailing(names, lines[used:], delimiter)
        candidates.append(_Header("\n".join(lines[:used]), names, delimiter, used))
    if not candidates:
        raise UnreadableFileError("the header cannot be read: its quotes are not closed")
    wanted = _names(table).values()
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


def _names(table: Table) -> dict[str, Sequence[str]]:
    """The CSV columns that `table` wants, each with the names that a header may give it."""
    names: dict[str, Sequence[str]] = {}
    for column in table.columns:
        if field := column.info.get("field"):
            names.setdefault(field, (field, *column.info.get("also_called", ())))
    return names


def _missing(header: _Header, table: Table) -> list[Sequence[str]]:
    """The names of columns that must be there and are not."""
    required = {c.info["field"] for c in table.columns if "field" in c.info and not c.nullable}
    names = _names(table)
    return [known for field, known in names.items() if field in required and not header.has(known)]
