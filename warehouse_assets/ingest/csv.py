"""Records of CSV files: good ones as rows of a table, bad ones with their reasons.

A file is read once, by DuckDB, in one statement that stops at the first record that cannot be
used. Only then it is read again, record by record (`csv_records`), which tells of each where it is
and why it cannot be used.
"""

import glob
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import duckdb
from sqlalchemy import Table, Text

from warehouse_assets.ingest.csv_header import (
    CsvFile,
    Layout,
    open_csv,
    recognises,
)
from warehouse_assets.ingest.csv_records import (
    MOST_RECORD_BYTES,
    OTHER_WIDTH,
    SEPARATOR,
    Columns,
    read_lines,
    read_records,
    tables,
)
from warehouse_assets.ingest.file_kinds import FileKind, Unit, reject_unit
from warehouse_assets.ingest.plain_text import UnreadableFileError
from warehouse_assets.ingest.staging import (
    FIELDS,
    STAGED,
    checked,
    create_stage,
    known_fields,
    note_names,
    sort_out,
)
from warehouse_assets.ingest.validate import POSITION, PROBLEM, RAW, SEEN, Validator, text
from warehouse_assets.lake import LakeTable, WrittenFile
from warehouse_assets.lake.commit import cast_query
from warehouse_assets.lake.files import write_parquet
from warehouse_assets.tables import column_names, identifiers
from warehouse_assets.times import trimmed

_PATHS, _ARRIVALS = "_csv_paths", "_csv_arrivals"
_RECORDS = "_csv_records"
_ROWS_TOGETHER = 1_000_000  # are held in memory
# Of the file at once. A quarter of DuckDB's own number: memory that large comes from the system
# each time, which clears it.
_BUFFER_BYTES = 8 * 2**20

_Files = Sequence[tuple[int, CsvFile]]  # with their arrival numbers


def csv_files(table: Table, answers: Sequence[str] = ()) -> FileKind:
    """The files of CSV that are for `table`; where that has a key, they are merged by it.

    Args:
        answers: the tables that hold what follows from a file, once they have been published.
    """
    name = str(table.name)
    return FileKind(
        name,
        table,
        lambda file: recognises(file, table),
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
) -> Sequence[WrittenFile]:
    """Read files of CSV, plain or compressed by gzip, with a header; see `file_kinds.Stage`.

    Args:
        table: its columns that are read name the CSV column in `info["field"]`; `arrival` is the
            number of the unit.
    """
    if table is None:
        raise TypeError("records of CSV need a table")
    has_key = bool(table.declaration.primary_key.columns)
    create_stage(connection, table.declaration)

    def write(query: str) -> list[WrittenFile]:
        if not has_key:
            return write_parquet(connection, table, cast_query(table, query), has_short_values=True)
        names = identifiers(list(dict.fromkeys([*column_names(table.declaration), "arrival"])))
        connection.execute(f"INSERT INTO {STAGED} BY NAME SELECT {names} FROM ({query})")
        return []

    return _Reader(connection, table.declaration, spool, write).read(units)


class _Reader:
    """Reads files; `write` keeps the rows that a query gives, others go into `STAGED`."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        table: Table,
        spool: Path,
        write: Callable[[str], list[WrittenFile]],
    ) -> None:
        self.connection = connection
        self.table = table
        self.spool = spool
        self.write = write
        self.validator = Validator(table)
        self.staged = 0

    def read(self, units: Sequence[Unit]) -> list[WrittenFile]:
        """Write or stage the good records of `units`; reject the others."""
        groups: dict[Layout, list[tuple[int, CsvFile]]] = {}
        for unit in units:
            spool = self.spool / f"{unit.arrival}.csv"
            try:
                file = open_csv(unit.file.path, spool, self.table, unit.unpacked_limit)
            except UnreadableFileError as error:
                reject_unit(self.connection, unit, str(error), error.seen)
                continue
            if file is not None:
                groups.setdefault(file.layout, []).append((unit.arrival, file))
                unknown = set(file.ignored) - known_fields(self.table)
                note_names(self.connection, unknown, unit.arrival)
        written = [each for layout, files in groups.items() for each in self._read(layout, files)]
        return written + self._write_staged(1)

    def _read(self, layout: Layout, files: _Files) -> list[WrittenFile]:
        # Of many files DuckDB does not tell that a quote is open at the end of one.
        may_be_open = len(files) > 1 and any(_has_quotes_at_end(file.path) for _, file in files)
        if layout.is_usual and not may_be_open:
            try:
                return self._write_at_once(layout, files)
            except (duckdb.InvalidInputException, duckdb.NotImplementedException):
                pass  # A record cannot be used, or parts of the file were taken for others.
        return self._write_by_record(layout, files)

    def _write_at_once(self, layout: Layout, files: _Files) -> list[WrittenFile]:
        """Write what DuckDB's own reader gives, which raises an error for any bad record."""
        # What is written as files cannot have parameters.
        self._set_variable(_PATHS, "VARCHAR", [glob.escape(str(file.path)) for _, file in files])
        self._set_variable(_ARRIVALS, "BIGINT", [arrival for arrival, _ in files])
        place = "1" if len(files) == 1 else "CAST(file_index AS BIGINT) + 1"
        columns = ", ".join(f"'c{column}': 'VARCHAR'" for column in range(layout.width))
        # Nothing is left to detection, and no text of a file means anything but itself.
        texts = f"""
            SELECT {self._texts(layout, "c{}", 0)},
                getvariable('{_ARRIVALS}')[{place}] AS arrival
            FROM read_csv(getvariable('{_PATHS}'), columns = {{{columns}}},
                auto_detect = false, header = false, skip = 1, delim = {_sql(layout.delimiter)},
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
        return self.write(
            f"""SELECT * REPLACE (CASE WHEN {is_bad} THEN error('unusable') ELSE arrival END
                AS arrival) FROM ({self.validator.query(texts)})"""
        )

    def _write_by_record(self, layout: Layout, files: _Files) -> list[WrittenFile]:
        """Stage the good ones of all records, write them when they are many; reject the others."""
        written = list[WrittenFile]()

        def texts(relation: str) -> str:
            return f"""SELECT {self._texts(layout, "_fields[{}]", 1)}, *,
                NULL::VARCHAR[] AS {FIELDS} FROM ({_records(layout, relation)})"""

        records = tables(self._records(layout, files))
        paths = (file.path for _, file in files)
        for table in checked(records, str(self.table.name), paths):
            self.connection.register(_RECORDS, table)
            self.staged += sort_out(self.connection, self.validator, _RECORDS, texts)
            self.connection.unregister(_RECORDS)
            written += self._write_staged(_ROWS_TOGETHER)
        return written

    def _write_staged(self, fewest: int) -> list[WrittenFile]:
        """Write what is staged for a table without a key, if it is at least so many rows."""
        if self.staged < fewest or self.table.primary_key.columns:
            return []
        written = self.write(f"FROM {STAGED}")
        self.connection.execute(f"CREATE OR REPLACE TEMP TABLE {STAGED} AS FROM {STAGED} LIMIT 0")
        self.staged = 0
        return written

    def _texts(self, layout: Layout, form: str, first: int) -> str:
        """The texts of the fields wanted, null where one is empty or not in the files."""
        return ", ".join(
            f"{'NULL' if place is None else _text(form.format(place + first))} AS {text(field)}"
            for field, place in zip(self.validator.fields, layout.indices, strict=True)
        )

    def _records(self, layout: Layout, files: _Files) -> Iterator[tuple[int, Iterator[Columns]]]:
        wanted = {
            place: field
            for field, place in zip(self.validator.fields, layout.indices, strict=True)
            if place is not None
        }
        for arrival, file in files:
            with file.path.open("rb") as stream:
                lines = read_lines(stream, file.path.stat().st_size)
                yield (
                    arrival,
                    read_records(lines, layout.delimiter, layout.width, wanted, file.header_lines),
                )

    def _set_variable(self, name: str, kind: str, values: list[str] | list[int]) -> None:
        # As JSON, for DuckDB takes long over the elements of a list of Python.
        self.connection.execute(
            f"SET VARIABLE {name} = from_json(CAST(? AS JSON), '[\"{kind}\"]')",
            [json.dumps(values)],
        )


def _records(layout: Layout, relation: str) -> str:
    """SQL for the records of `relation`, each with its fields, and those that are none."""
    delimiter, width = _sql(layout.delimiter), layout.width
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
                    ELSE string_split(record, '{SEPARATOR}') END AS _fields
                FROM {relation} AS records
                WHERE CASE WHEN line >= '!' THEN true ELSE {trimmed("line")} <> '' END))"""


def _text(field: str) -> str:
    return f"nullif({field}, '')"


def _has_quotes_at_end(path: Path) -> bool:
    """Whether a quote may be open at the end of the file."""
    with path.open("rb") as stream:
        stream.seek(max(stream.seek(0, os.SEEK_END) - MOST_RECORD_BYTES, 0))
        return b'"' in stream.read()


def _sql(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"
