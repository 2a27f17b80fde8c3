"""Records of CSV files: good ones as rows of a table, bad ones with their reasons.

A table names the CSV column of each of its columns in `info["field"]`, and what else a header may
call it in `info["also_called"]`. A column that may be null may be missing in a file.

A file is read once, by DuckDB, in one statement that stops at the first record that cannot be
used. Only then it is read again, record by record (`csv_records`), which tells of each where it is
and why it cannot be used.
"""

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import duckdb
from arro3.core import RecordBatch
from sqlalchemy import Table, Text

from warehouse_assets.ingest.csv_header import (
    HEAD_BYTES,
    Header,
    missing_columns,
    names_of_columns,
    read_header,
    recognises,
)
from warehouse_assets.ingest.csv_records import (
    MOST_RECORD_BYTES,
    Layout,
    fields_of,
    may_end_amid_quotes,
    read_lines,
    read_records,
    readable,
)
from warehouse_assets.ingest.file_kinds import FileKind, Unit, reject_unit
from warehouse_assets.ingest.plain_text import (
    MARK,
    UnreadableFileError,
    make_plain,
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

# Of the file at once. A quarter of DuckDB's own number: memory that large comes from the system
# each time, which clears it.
_BUFFER_BYTES = 8 << 20
_MOST_CHARACTERS_SHOWN = 200


def csv_files(table: Table) -> FileKind:
    """The files of CSV that are for `table`; where that has a key, they are merged by it."""
    name = str(table.name)
    return FileKind(
        name,
        table,
        partial(recognises, table),
        stage_csv_files,
        takes=f"{name} (.csv, also .gz; by the name {name}… or by the header)",
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

    def _header(self, path: Path) -> tuple[Header | None, bytes]:
        """The header of a file, which has LF at the ends of its lines afterwards; and its head."""
        with path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
            if b"\r" in head and b"\n" not in head:
                copy, chunk = path.with_suffix(".lf"), head
                with copy.open("wb") as writer:
                    while chunk:
                        writer.write(chunk.replace(b"\r", b"\n"))
                        chunk = stream.read(HEAD_BYTES)
                copy.replace(path)
        with path.open("rb") as stream:
            return read_header(stream, path.stat().st_size, self.table), head

    def _layout(self, unit: Unit, header: Header, head: bytes) -> Layout:
        """How the records behind a header are laid out; columns that nobody wants are noted.

        Raises:
            UnreadableFileError: a column is missing, or there twice.
        """
        wanted = names_of_columns(self.table).values()
        found = [[p for p, name in enumerate(header.names) if name in known] for known in wanted]
        doubled = [known for known, at in zip(wanted, found, strict=True) if at[1:]]
        problems = [
            ("missing in", missing_columns(header, self.table)),
            ("more than once in", doubled),
        ]
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
