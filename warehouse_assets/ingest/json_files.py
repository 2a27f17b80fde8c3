"""Records from files of JSON: good ones staged with their types, bad ones with their reasons.

Every file is read once, by DuckDB, as texts that become values. Only a file in which that shows
records that cannot be used, or that DuckDB refuses, is read again, record by record, for their
places, raw texts and reasons.
"""

import glob
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb
from arro3.core import RecordBatch, Table

from warehouse_assets.ingest.json_layout import (
    ARRAY,
    JSON_LINES,
    MOST_RECORD_BYTES,
    layout_of,
    spread_layout,
)
from warehouse_assets.ingest.json_texts import LINES, json_texts, stage_json
from warehouse_assets.ingest.lines import LineReader, arrow_table
from warehouse_assets.ingest.packed import UnreadableFileError, make_plain
from warehouse_assets.ingest.staging import (
    REJECTED,
    STAGED,
    checked,
    create_stage,
    judged,
    note_fields,
)
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
    """A unit that can be read: the path and layout of its content, unpacked."""

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
        path = spool / f"{unit.arrival}.json"
        try:
            make_plain(unit.file.path, path, unit.unpacked_limit)
            layout = layout_of(path)
        except UnreadableFileError as error:
            reject_unit(connection, unit, str(error))
        else:
            if layout is not None:
                layouts[layout].append(_File(unit, path, layout))
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
        good = set[int]()
        with suppress(*_NOT_THE_MACHINE):
            rows = judged(self._validator, texts)
            self._connection.execute(f"INSERT INTO {STAGED} BY NAME {rows}", given)
            found = self._connection.execute(
                f"""SELECT arrival, bool_or(_is_unusable), bool_or(_has_other_fields)
                FROM {STAGED} WHERE list_contains(CAST(? AS BIGINT[]), arrival) GROUP BY arrival""",
                [arrivals],
            ).fetchall()
            if any(has_other_fields for _, _, has_other_fields in found):
                note_fields(self._connection, self._validator, texts, given)
            # DuckDB takes a file of a single byte for an empty one.
            good = {arrival for arrival, is_unusable, _ in found if not is_unusable}
        self._judge([file for file in files if file.unit.arrival not in good])

    def _judge(self, files: Sequence[_File]) -> None:
        """Judge every record of files by itself, in place of what was staged of them."""
        arrivals = [file.unit.arrival for file in files]
        chosen = "list_contains(CAST(? AS BIGINT[]), arrival)"
        self._connection.execute(f"DELETE FROM {STAGED} WHERE {chosen}", [arrivals])
        lines = [file for file in files if file.layout == JSON_LINES]
        name, paths = str(self._validator.table.name), (file.path for file in lines)
        for table in checked(_tables(lines), name, paths):
            self._connection.register(LINES, table)
            stage_json(self._connection, self._validator)
            self._connection.unregister(LINES)
        for file in files:
            if file.layout == ARRAY:
                self._judge_array(file)
        good = self._connection.execute(
            f"SELECT DISTINCT arrival FROM {STAGED} WHERE {chosen}", [arrivals]
        ).fetchall()
        for file in files:
            if (file.unit.arrival,) not in good and (reason := spread_layout(file.path)):
                self._connection.execute(
                    f"DELETE FROM {REJECTED} WHERE arrival = ?", [file.unit.arrival]
                )
                reject_unit(self._connection, file.unit, reason)

    def _judge_array(self, file: _File) -> None:
        """As of lines; the position of a record is its number."""
        elements = f"""(SELECT {file.unit.arrival} AS arrival, row_number() OVER () AS position,
                CAST(json AS VARCHAR) AS line, NULL::VARCHAR AS problem, NULL::VARCHAR AS seen
            FROM read_json_objects(getvariable('_array'), format = 'array',
                compression = 'uncompressed', maximum_object_size = {MOST_RECORD_BYTES}))"""
        self._connection.execute("SET VARIABLE _array = ?", [glob.escape(str(file.path))])
        try:
            stage_json(self._connection, self._validator, lines=elements)
        except _NOT_THE_MACHINE as error:
            copy = self._spool / f"{file.unit.arrival}-without-stray-bytes.json"
            if file.path != copy and copy_without_stray_bytes(file.path, copy):
                self._judge_array(_File(file.unit, copy, ARRAY))
                return
            reject_unit(self._connection, file.unit, f"not a whole JSON array: {_short(error)}")


def _tables(files: Iterable[_File]) -> Iterator[Table]:
    """The numbered lines of files, as many at a time as are judged together."""
    batches, size = list[RecordBatch](), 0
    for file in files:
        with file.path.open("rb") as stream:
            reader = LineReader(stream, file.path.stat().st_size, 1, is_numbered=True)
            for lines in reader.read():
                batches.append(lines.to_arrow(file.unit.arrival))
                size += batches[-1].nbytes
                if size >= _BYTES_JUDGED_TOGETHER:
                    yield arrow_table(batches)
                    batches, size = [], 0
    if batches:
        yield arrow_table(batches)


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
