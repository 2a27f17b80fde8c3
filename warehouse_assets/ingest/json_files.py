"""Records from files of JSON: good ones staged with their types, bad ones with their reasons.

Every file is read once, by DuckDB, as texts that become values. Only a file in which that shows
records that cannot be used, or that DuckDB refuses, is read again, line by line, for their places,
raw texts and reasons.
"""

import glob
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import duckdb
from sqlalchemy import Table

from warehouse_assets.ingest.json_layout import (
    ARRAY,
    LINES,
    MOST_RECORD_BYTES,
    prepare,
    spread_layout,
)
from warehouse_assets.ingest.json_texts import JSON, judge_json
from warehouse_assets.ingest.lines import LineReader, Lines, arrow_table
from warehouse_assets.ingest.packed import UnreadableFileError
from warehouse_assets.ingest.stray_bytes import copy_without_stray_bytes
from warehouse_assets.ingest.units import REJECTED, STAGED, Unit, create_stage, reject_unit
from warehouse_assets.ingest.unknown_fields import known_fields, note_fields_of
from warehouse_assets.ingest.validate import POSITION, PROBLEM, RAW, SEEN, Validator, text
from warehouse_assets.tables import identifiers
from warehouse_assets.times import trimmed

# DuckDB cuts the text that it shows in a message, perhaps within a character; then that is told.
_NOT_THE_MACHINE = (
    duckdb.InvalidInputException,
    duckdb.ConversionException,
    UnicodeDecodeError,
)
_BYTES_JUDGED_TOGETHER = 64 * 10**6


@dataclass(frozen=True)
class _File:
    """A unit that can be read: the path and layout of its content as plain UTF-8."""

    unit: Unit
    path: Path
    layout: str


def stage_json_files(
    connection: duckdb.DuckDBPyConnection, table: Table, units: Sequence[Unit], spool: Path
) -> None:
    """Fill the tables `STAGED` and `REJECTED` with the records of `units`.

    Args:
        table: the columns wanted, each naming its field in `info["field"]`, and `arrival`.
        units: files of JSON lines or of one JSON array, plain or compressed by gzip.
        spool: an empty folder for temporary files.
    """
    create_stage(connection, table)
    layouts: dict[str, list[_File]] = {LINES: [], ARRAY: []}
    for unit in units:
        try:
            prepared = prepare(unit.file.path, spool / f"{unit.arrival}.json", unit.unpacked_limit)
        except UnreadableFileError as error:
            reject_unit(connection, unit, str(error))
        else:
            if prepared.layout is not None:
                layouts[prepared.layout].append(_File(unit, prepared.path, prepared.layout))
    reader = _Reader(connection, Validator(table), spool)
    for files in layouts.values():
        if files:
            reader.read(files)


class _Reader:
    """Reads prepared files into the tables of `connection`."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, validator: Validator, spool: Path
    ) -> None:
        self._connection = connection
        self._validator = validator
        self._spool = spool

    def read(self, files: Sequence[_File]) -> None:
        """Read files of one layout."""
        try:
            self._insert(files)
            again = self._note_fields(files) if self._have_more_fields(files) else set()
        except _NOT_THE_MACHINE:
            if len(files) == 1:
                self._judge_all(files[0])
                return
            for file in files:
                self._forget(STAGED, file)
                self.read([file])
            return
        staged = self._staged(files)
        for file in files:
            records, unusable = staged.get(file.unit.arrival, (0, []))
            if file.unit.arrival in again or (file.layout == LINES and records == len(unusable)):
                # DuckDB takes a file of a single byte for an empty one.
                self._judge_all(file)
            elif unusable:
                self._judge_some(file, unusable, records)

    def _insert(self, files: Sequence[_File]) -> None:
        """One pass over the files; a line that is not a JSON object makes a row without values."""
        fields = self._validator.fields
        texts = ", ".join(f"{identifiers([field])} AS {text(field)}" for field in fields)
        values = self._validator.query(
            f"""SELECT {texts}, CAST($arrivals AS BIGINT[])[CAST(file_index AS BIGINT) + 1]
                AS arrival
            FROM read_json($paths, columns = $fields, format = $layout, ignore_errors = true,
                compression = 'uncompressed', hive_partitioning = false,
                maximum_object_size = {MOST_RECORD_BYTES})"""
        )
        self._connection.execute(
            f"""INSERT INTO {STAGED} BY NAME
            SELECT {identifiers(self._validator.columns)}, arrival,
                {self._validator.is_unusable} AS _is_unusable FROM ({values})""",
            _parameters(files) | {"fields": dict.fromkeys(fields, "VARCHAR")},
        )

    def _staged(self, files: Sequence[_File]) -> dict[int, tuple[int, list[int]]]:
        """Of each file with any: how many records it has, and the ordinals of unusable ones."""
        rows = self._connection.execute(
            f"""SELECT arrival, count(*), list(rowid) FILTER (_is_unusable), min(rowid)
            FROM {STAGED} WHERE list_contains(CAST(? AS BIGINT[]), arrival) GROUP BY arrival""",
            [[file.unit.arrival for file in files]],
        ).fetchall()
        return {
            arrival: (records, [row - first + 1 for row in unusable or []])
            for arrival, records, unusable, first in rows
        }

    def _have_more_fields(self, files: Sequence[_File]) -> bool:
        """Whether the records of files have more fields than there are values staged of them.

        That is so if a field has no column or is there twice, and also where a value is null. To
        count costs a third of what it costs to look at the names.
        """
        values = " + ".join(f"count({identifiers([name])})" for name in self._validator.columns)
        ((is_more,),) = self._connection.execute(
            f"""SELECT (SELECT coalesce(sum(len(json_keys(json))), 0) FROM {_OBJECTS}) > (
                SELECT {values} FROM {STAGED}
                WHERE list_contains(CAST($arrivals AS BIGINT[]), arrival))""",
            _parameters(files),
        ).fetchall()
        return bool(is_more)

    def _note_fields(self, files: Sequence[_File]) -> set[int]:
        """Note what fields the records have; returns the files with one that is there twice."""
        self._connection.execute(
            f"""CREATE OR REPLACE TEMP TABLE _fields AS SELECT DISTINCT
                CAST($arrivals AS BIGINT[])[CAST(file_index AS BIGINT) + 1] AS arrival,
                json_keys(json) AS fields FROM {_OBJECTS}""",
            _parameters(files),
        )
        note_fields_of(self._connection, "_fields", known_fields(self._validator.table))
        twice = self._connection.execute(
            "SELECT DISTINCT arrival FROM _fields WHERE len(fields) > len(list_distinct(fields))"
        ).fetchall()
        self._connection.execute("DROP TABLE _fields")
        return {arrival for (arrival,) in twice}

    def _judge_some(self, file: _File, unusable: list[int], records: int) -> None:
        """Take the unusable records of a file, by their ordinals from 1, out of the stage."""
        self._connection.execute(
            f"DELETE FROM {STAGED} WHERE _is_unusable AND arrival = ?", [file.unit.arrival]
        )
        judge = self._judge_array if file.layout == ARRAY else self._judge_lines
        good, found = judge(file, unusable)
        if good or found != records:
            # The two readings do not agree on the file, and ordinals cannot be trusted.
            self._judge_all(file)

    def _judge_all(self, file: _File) -> None:
        """Judge every record of a file by itself, in place of what was staged or rejected of it."""
        self._forget(STAGED, file)
        self._forget(REJECTED, file)
        judge = self._judge_array if file.layout == ARRAY else self._judge_lines
        good, _ = judge(file, None)
        if not good and (reason := spread_layout(file.path)):
            self._forget(REJECTED, file)
            reject_unit(self._connection, file.unit, reason)

    def _forget(self, table: str, file: _File) -> None:
        self._connection.execute(f"DELETE FROM {table} WHERE arrival = ?", [file.unit.arrival])

    def _judge_lines(self, file: _File, chosen: list[int] | None) -> tuple[int, int]:
        """Judge the records with these ordinals, or all: how many are good, and how many exist."""
        relation = f"""SELECT position AS {POSITION}, rtrim(line, E'\\r') AS {RAW},
                CASE WHEN problem IS NULL AND json_valid(line) THEN line END AS {JSON},
                problem AS {PROBLEM}, seen AS {SEEN}
            FROM _lines WHERE {trimmed("line")} <> ''"""
        good = found = 0
        with file.path.open("rb") as stream:
            for lines in _lines_together(stream, file.path.stat().st_size):
                self._connection.register("_lines", arrow_table(lines))
                if chosen is None:
                    records = relation
                else:
                    records = self._choose(relation, chosen, found)
                    found += self._count(relation)
                good += judge_json(self._connection, self._validator, records, file.unit.arrival)
                self._connection.unregister("_lines")
        return good, found

    def _judge_array(self, file: _File, chosen: list[int] | None) -> tuple[int, int]:
        """As of lines."""
        relation = f"""SELECT row_number() OVER () AS {POSITION}, CAST(json AS VARCHAR) AS {RAW},
                CAST(json AS VARCHAR) AS {JSON}, CAST(NULL AS VARCHAR) AS {PROBLEM},
                CAST(NULL AS VARCHAR) AS {SEEN}
            FROM read_json_objects(getvariable('_array'), format = 'array',
                compression = 'uncompressed', maximum_object_size = {MOST_RECORD_BYTES})"""
        self._connection.execute("SET VARIABLE _array = ?", [glob.escape(str(file.path))])
        try:
            found = self._count(relation)
            records = relation if chosen is None else self._choose(relation, chosen, 0)
            good = judge_json(self._connection, self._validator, records, file.unit.arrival)
        except _NOT_THE_MACHINE as error:
            copy = self._spool / f"{file.unit.arrival}-without-stray-bytes.json"
            if file.path != copy and copy_without_stray_bytes(file.path, copy):
                return self._judge_array(_File(file.unit, copy, ARRAY), chosen)
            reject_unit(self._connection, file.unit, f"not a whole JSON array: {_short(error)}")
            return 0, 0
        return good, found

    def _choose(self, relation: str, ordinals: list[int], before: int) -> str:
        """SQL for the records of `relation` with these ordinals, of which `before` come earlier."""
        self._connection.execute("SET VARIABLE _chosen = CAST(? AS BIGINT[])", [ordinals])
        return f"""SELECT * EXCLUDE _ordinal FROM (
                SELECT *, {before} + row_number() OVER () AS _ordinal FROM ({relation}))
            WHERE _ordinal IN (SELECT unnest(getvariable('_chosen')))"""

    def _count(self, relation: str) -> int:
        return int(self._connection.execute(f"SELECT count(*) FROM ({relation})").fetchall()[0][0])


def _lines_together(stream: BinaryIO, size: int) -> Iterator[list[Lines]]:
    """The numbered lines of a file, as many at a time as are judged together."""
    reader = LineReader(stream, size, 1, is_numbered=True)
    parts, given = [], 0
    for part in reader.read():
        parts.append(part)
        if reader.size - given >= _BYTES_JUDGED_TOGETHER:
            yield parts
            parts, given = [], reader.size
    if parts:
        yield parts


_OBJECTS = f"""read_json_objects($paths, format = $layout, ignore_errors = true,
    compression = 'uncompressed', maximum_object_size = {MOST_RECORD_BYTES})"""


def _parameters(files: Sequence[_File]) -> dict[str, object]:
    return {
        "arrivals": [file.unit.arrival for file in files],
        "paths": [glob.escape(str(file.path)) for file in files],
        "layout": files[0].layout,
    }


def _short(error: Exception) -> str:
    """What DuckDB found, without the path of a temporary file and its own count of records."""
    message = str(error)
    if isinstance(error, UnicodeDecodeError):
        message = error.object.decode(errors="replace")
    if "maximum_object_size" in message:
        return f"a record is longer than {MOST_RECORD_BYTES // 2**20} MiB"
    found = re.search(r"in record/value \d+: ([^.\n]+)", message)
    return found[1] if found else "it cannot be read"
