"""Records from files of JSON, lines or one array: good ones staged, bad ones with their reasons.

Every file is read once, by DuckDB, as texts that become values. Only a file in which that shows
records that cannot be used, or that DuckDB refuses, is read again, record by record, for their
places, raw texts and reasons.
"""

import codecs
import glob
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb
from arro3.core import RecordBatch

from warehouse_assets.ingest.file_kinds import Unit, reject_unit
from warehouse_assets.ingest.json_records import json_texts, stage_json
from warehouse_assets.ingest.lines import MOST_LINE_BYTES, LineReader
from warehouse_assets.ingest.plain_text import (
    DAMAGED,
    MARK,
    UnreadableFileError,
    copy_without_stray_bytes,
    make_plain,
    opened,
    without_stray_bytes,
)
from warehouse_assets.ingest.staging import (
    REJECTED,
    STAGED,
    checked,
    create_stage,
    judged,
    note_fields,
)
from warehouse_assets.ingest.validate import Validator
from warehouse_assets.lake import LakeTable, WrittenFile

JSON_LINES, ARRAY = "newline_delimited", "array"
"""The layouts, by their names in DuckDB."""

# DuckDB cuts the text that it shows in a message, perhaps within a character; then that is told.
_NOT_THE_MACHINE = (
    duckdb.InvalidInputException,
    duckdb.ConversionException,
    UnicodeDecodeError,
)
_NOTHING = b"\0 \t\r\n\v\f" + MARK
_CHUNK_BYTES = 1 << 20
_HEAD_BYTES = 1 << 16
# Of pretty-printed objects the second line begins with a field's name.
_OPENED_ON_ITS_OWN_LINE = re.compile(r'\{\s*\n\s*"(?:[^"\\]|\\.)*"\s*:')
_WANTED = "; write each in one line, or all in one array"


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
    is_numbered: bool = False,
) -> Sequence[WrittenFile]:
    """Read files of JSON lines or of one array, plain or packed by gzip; see `file_kinds.Stage`.

    Args:
        table: the columns wanted, each naming its field in `info["field"]`, and `arrival`.
        is_numbered: whether good records have their positions, too, which takes longer.
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
        if files and is_numbered:
            reader.judge(files)
        elif files:
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
        self.judge([file for file in files if file.unit.arrival not in good])

    def judge(self, files: Sequence[_File]) -> None:
        """Judge every record of files by itself, in place of what was staged of them."""
        arrivals = [file.unit.arrival for file in files]
        chosen = "list_contains(CAST(? AS BIGINT[]), arrival)"
        self._connection.execute(f"DELETE FROM {STAGED} WHERE {chosen}", [arrivals])
        lines = [file for file in files if file.layout == JSON_LINES]
        name, paths = str(self._validator.table.name), (file.path for file in lines)
        for table in checked(_lines(lines), name, paths):
            stage_json(self._connection, self._validator, table)
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
                compression = 'uncompressed', maximum_object_size = {MOST_LINE_BYTES}))"""
        self._connection.execute("SET VARIABLE _array = ?", [glob.escape(str(file.path))])
        try:
            stage_json(self._connection, self._validator, elements)
        except _NOT_THE_MACHINE as error:
            copy = self._spool / f"{file.unit.arrival}-without-stray-bytes.json"
            if file.path != copy and copy_without_stray_bytes(file.path, copy):
                self._judge_array(_File(file.unit, copy, ARRAY))
                return
            reject_unit(self._connection, file.unit, f"not a whole JSON array: {_short(error)}")


def _lines(files: Iterable[_File]) -> Iterator[RecordBatch]:
    """The numbered lines of files."""
    for file in files:
        with file.path.open("rb") as stream:
            reader = LineReader(stream, file.path.stat().st_size, 1, is_numbered=True)
            yield from (lines.to_arrow(file.unit.arrival) for lines in reader.read())


# What DuckDB finds to be no JSON is not shown; the file is read again for it.
_RECORDS = f"""(SELECT CAST($arrivals AS BIGINT[])[CAST(file_index AS BIGINT) + 1] AS arrival,
        0::BIGINT AS position, coalesce(CAST(json AS VARCHAR), 'null') AS line,
        NULL::VARCHAR AS problem, NULL::VARCHAR AS seen
    FROM read_json_objects($paths, format = $layout, ignore_errors = true,
        compression = 'uncompressed', maximum_object_size = {MOST_LINE_BYTES}))"""


def _short(error: Exception) -> str:
    """What DuckDB found, without the path of a temporary file and its own count of records."""
    message = str(error)
    if isinstance(error, UnicodeDecodeError):
        message = error.object.decode(errors="replace")
    if "maximum_object_size" in message:
        return f"a record is longer than {MOST_LINE_BYTES // 2**20} MiB"
    found = re.search(r"in record/value \d+: ([^.\n]+)", message)
    return found[1] if found else "it cannot be read"


def layout_of(path: Path) -> str | None:
    """An array if the first character that is not blank opens one, else lines; None if it is empty.

    A first line that is an array by itself with more lines behind it is one bad line of many.

    Args:
        path: a plain file.

    Raises:
        UnreadableFileError: the array has no end.
    """
    with path.open("rb") as stream:
        first = b""
        while not first.strip():
            first = stream.readline(_HEAD_BYTES)
            if not first:
                return None
            first = without_stray_bytes(first)
        if not first.lstrip().startswith(b"["):
            return JSON_LINES
        is_whole_line = first.endswith(b"\n") and _is_json(first)
        while is_whole_line and (chunk := stream.read(_CHUNK_BYTES)):
            if chunk.strip(_NOTHING):
                return JSON_LINES
    if not _ends_with_bracket(path):
        # DuckDB takes an array that is cut off after a comma for a whole one.
        raise UnreadableFileError("not a whole JSON array: it does not end with a bracket")
    return ARRAY


def first_fields(path: Path) -> set[str]:
    """The names of the fields of the first record that can be told from the file's beginning."""
    try:
        with opened(path) as stream:
            head = stream.read(_HEAD_BYTES)
    except (OSError, *DAMAGED):
        return set()
    text = head.removeprefix(codecs.BOM_UTF8).decode("utf-8", errors="replace")
    decoder = json.JSONDecoder()
    start = text.find("{")
    while start >= 0:
        try:
            record, _ = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            newline = text.find("\n", start)
            start = text.find("{", newline) if newline >= 0 else -1
            continue
        return set(record)
    return set()


def spread_layout(path: Path) -> str | None:
    """What is wrong with a file that should be JSON lines but has none, if its layout is known."""
    with path.open("rb") as stream:
        head = stream.read(_HEAD_BYTES).decode("utf-8", errors="replace").strip()
    first, line_end, _ = head.partition("\n")
    if line_end and first.rstrip().endswith(",") and _is_json(first.rstrip()[:-1].encode()):
        return "JSON objects with commas between them and no brackets around them" + _WANTED
    if not head.startswith("{"):
        return None
    try:
        first_object, end = json.JSONDecoder().raw_decode(head)
    except (ValueError, RecursionError):
        # The first object is cut off or damaged.
        is_spread = _OPENED_ON_ITS_OWN_LINE.match(head) is not None
    else:
        is_spread = bool(first_object) and "\n" in head[:end]
    return "JSON objects that go over several lines" + _WANTED if is_spread else None


def _ends_with_bracket(path: Path) -> bool:
    with path.open("rb") as stream:
        position = stream.seek(0, os.SEEK_END)
        while position > 0:
            following, position = position, max(position - _HEAD_BYTES, 0)
            stream.seek(position)
            if end := stream.read(following - position).rstrip(_NOTHING):
                return end.endswith(b"]")
    return False


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True
