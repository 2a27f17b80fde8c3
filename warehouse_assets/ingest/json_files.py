"""Records from files of JSON: good ones staged with their types, bad ones with their reasons.

Every file is read once, by DuckDB, as texts that become values. Only a file in which that shows
records that cannot be used, or that DuckDB refuses, is read again, record by record, for their
places, raw texts and reasons.
"""

import glob
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import duckdb

from warehouse_assets.ingest.json_layout import (
    ARRAY,
    JSON_LINES,
    MOST_RECORD_BYTES,
    prepare,
    spread_layout,
)
from warehouse_assets.ingest.json_texts import LINES, json_texts, stage_json
from warehouse_assets.ingest.lines import LineReader, Lines, arrow_table
from warehouse_assets.ingest.packed import UnreadableFileError
from warehouse_assets.ingest.staging import REJECTED, STAGED, create_stage, note_fields, stage_all
from warehouse_assets.ingest.stray_bytes import copy_without_stray_bytes
from warehouse_assets.ingest.units import Unit, reject_unit
from warehouse_assets.ingest.validate import Validator
from warehouse_assets.lake import LakeTable, WrittenFile

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
    connection: duckdb.DuckDBPyConnection,
    table: LakeTable | None,
    units: Sequence[Unit],
    spool: Path,
) -> Sequence[WrittenFile]:
    """Read files of JSON lines or of one array, plain or packed by gzip; see `file_kinds.Stage`.

    Args:
        table: the columns wanted, each naming its field in `info["field"]`, and `arrival`.
    """
    if table is None:
        raise TypeError("records of JSON need a table")
    create_stage(connection, table.declaration)
    layouts: dict[str, list[_File]] = {JSON_LINES: [], ARRAY: []}
    for unit in units:
        try:
            prepared = prepare(unit.file.path, spool / f"{unit.arrival}.json", unit.unpacked_limit)
        except UnreadableFileError as error:
            reject_unit(connection, unit, str(error))
        else:
            if prepared.layout is not None:
                layouts[prepared.layout].append(_File(unit, prepared.path, prepared.layout))
    reader = _Reader(connection, Validator(table.declaration), spool)
    for files in layouts.values():
        if files:
            reader.read(files)
    return []


class _Reader:
    """Reads prepared files into the tables of `connection`."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, validator: Validator, spool: Path
    ) -> None:
        self._connection = connection
        self._validator = validator
        self._spool = spool

    def read(self, files: Sequence[_File]) -> None:
        """Read files of one layout: all at once, then those again that hold what is unusable."""
        arrivals = [file.unit.arrival for file in files]
        given = {
            "arrivals": arrivals,
            "paths": [glob.escape(str(file.path)) for file in files],
            "layout": files[0].layout,
        }
        texts = json_texts(self._validator.fields, _RECORDS)
        try:
            stage_all(self._connection, self._validator, texts, given)
        except _NOT_THE_MACHINE:
            if len(files) == 1:
                self._judge(files[0])
                return
            for file in files:
                self.read([file])
            return
        found = self._connection.execute(
            f"""SELECT arrival, bool_or(_is_unusable), bool_or(_has_other_fields) FROM {STAGED}
            WHERE list_contains(CAST(? AS BIGINT[]), arrival) GROUP BY arrival""",
            [arrivals],
        ).fetchall()
        if any(has_other_fields for _, _, has_other_fields in found):
            note_fields(self._connection, self._validator, texts, given)
        good = {arrival for arrival, is_unusable, _ in found if not is_unusable}
        for file in files:
            # DuckDB takes a file of a single byte for an empty one.
            if file.unit.arrival not in good:
                self._judge(file)

    def _judge(self, file: _File) -> None:
        """Judge every record of a file by itself, in place of what was staged of it."""
        self._forget(STAGED, file)
        good = self._judge_array(file) if file.layout == ARRAY else self._judge_lines(file)
        if not good and (reason := spread_layout(file.path)):
            self._forget(REJECTED, file)
            reject_unit(self._connection, file.unit, reason)

    def _forget(self, table: str, file: _File) -> None:
        self._connection.execute(f"DELETE FROM {table} WHERE arrival = ?", [file.unit.arrival])

    def _judge_lines(self, file: _File) -> int:
        """Returns how many records are good."""
        good = 0
        with file.path.open("rb") as stream:
            for lines in _lines_together(stream, file.path.stat().st_size):
                self._connection.register(LINES, arrow_table(lines, file.unit.arrival))
                good += stage_json(self._connection, self._validator)
                self._connection.unregister(LINES)
        return good

    def _judge_array(self, file: _File) -> int:
        """As of lines; the position of a record is its number."""
        elements = f"""(SELECT {file.unit.arrival} AS arrival, row_number() OVER () AS position,
                CAST(json AS VARCHAR) AS line, NULL::VARCHAR AS problem, NULL::VARCHAR AS seen
            FROM read_json_objects(getvariable('_array'), format = 'array',
                compression = 'uncompressed', maximum_object_size = {MOST_RECORD_BYTES}))"""
        self._connection.execute("SET VARIABLE _array = ?", [glob.escape(str(file.path))])
        try:
            return stage_json(self._connection, self._validator, lines=elements)
        except _NOT_THE_MACHINE as error:
            copy = self._spool / f"{file.unit.arrival}-without-stray-bytes.json"
            if file.path != copy and copy_without_stray_bytes(file.path, copy):
                return self._judge_array(_File(file.unit, copy, ARRAY))
            reject_unit(self._connection, file.unit, f"not a whole JSON array: {_short(error)}")
            return 0


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


# What DuckDB finds to be no JSON is not shown; the file is read again for it.
_RECORDS = f"""(SELECT CAST($arrivals AS BIGINT[])[CAST(file_index AS BIGINT) + 1] AS arrival,
        0::BIGINT AS position, coalesce(CAST(json AS VARCHAR), 'null') AS line,
        NULL::VARCHAR AS problem, NULL::VARCHAR AS seen
    FROM read_json_objects($paths, format = $layout, ignore_errors = true,
        compression = 'uncompressed', maximum_object_size = {MOST_RECORD_BYTES}))"""


def _short(error: Exception) -> str:
    """What DuckDB found, without the path of a temporary file and its own count of records."""
    message = str(error)
    if isinstance(error, UnicodeDecodeError):
        message = error.object.decode(errors="replace")
    if "maximum_object_size" in message:
        return f"a record is longer than {MOST_RECORD_BYTES // 2**20} MiB"
    found = re.search(r"in record/value \d+: ([^.\n]+)", message)
    return found[1] if found else "it cannot be read"
