"""Records from files of JSON: good ones staged with their types, bad ones with their reasons.

Every file is read once, by DuckDB, as text fields that are cast. Only where that shows a record
that cannot be used is the file looked at again, to find out the record's place, its raw text and
the reason.
"""

import glob
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import duckdb
from sqlalchemy import Table

from warehouse_assets.sources.json_fields import (
    field_columns,
    text_name,
    unusable_expression,
    value_columns,
)
from warehouse_assets.sources.json_judge import PreparedUnit, collect, judge, judge_all
from warehouse_assets.sources.json_layout import (
    ARRAY,
    LINES,
    MOST_RECORD_BYTES,
    prepare,
)
from warehouse_assets.sources.packed import UnreadableFileError
from warehouse_assets.sources.stray_bytes import copy_without_stray_bytes
from warehouse_assets.sources.units import STAGED, Unit, create_stage, reject_unit
from warehouse_assets.sources.unknown_fields import known_fields, note_fields_of

# DuckDB cuts the text that it shows in a message, perhaps within a character; then that is told.
_NOT_THE_MACHINE = (
    duckdb.InvalidInputException,
    duckdb.ConversionException,
    UnicodeDecodeError,
)


def stage_json_records(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    units: Sequence[Unit],
    spool: Path,
) -> None:
    """Fill the tables `STAGED` and `REJECTED` with the records of `units`.

    Args:
        table: the columns wanted, each naming its field in `info["field"]`, and `arrival`.
        units: files of JSON lines or of one JSON array, plain or compressed by gzip.
        spool: an empty folder for temporary files.
    """
    create_stage(connection, table)
    layouts: dict[str, list[PreparedUnit]] = {LINES: [], ARRAY: []}
    for unit in units:
        try:
            prepared = prepare(unit.file.path, spool / f"{unit.arrival}.json", unit.unpacked_limit)
        except UnreadableFileError as error:
            reject_unit(connection, unit, str(error))
        else:
            if prepared.layout is not None:
                layouts[prepared.layout].append(PreparedUnit(unit, prepared.path, prepared.layout))
    for files in layouts.values():
        if files:
            _read(connection, table, files, spool)


def _read(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    files: Sequence[PreparedUnit],
    spool: Path,
) -> None:
    """Read files of one layout."""
    try:
        _stage(connection, table, files)
    except _NOT_THE_MACHINE as error:
        if len(files) > 1:
            for file in files:
                _read(connection, table, [file], spool)
        elif _read_without_stray_bytes(connection, table, files[0], spool):
            return
        elif files[0].layout == ARRAY:
            reject_unit(connection, files[0].unit, f"not a whole JSON array: {_short(error)}")
        else:
            judge_all(connection, table, files[0], spool)
        return
    for file in _without_records(connection, files) if files[0].layout == LINES else []:
        # DuckDB takes a file of a single byte for an empty one.
        judge_all(connection, table, file, spool)
    for file, ordinals, records in _unusable(connection, files):
        if _read_without_stray_bytes(connection, table, file, spool):
            continue
        found = collect(connection, file, spool, ordinals)
        # Were there not as many records, or a usable one among them, the two readings would not
        # agree on the file, and the ordinals could not be trusted.
        if found != records or judge(connection, table, file.unit):
            judge_all(connection, table, file, spool)


def _stage(
    connection: duckdb.DuckDBPyConnection, table: Table, files: Sequence[PreparedUnit]
) -> None:
    _insert(connection, table, files)
    if _may_have_other_fields(connection, table, files):
        relation, parameters = _objects(files)
        note_fields_of(connection, relation, known_fields(table), parameters)


def _read_without_stray_bytes(
    connection: duckdb.DuckDBPyConnection, table: Table, file: PreparedUnit, spool: Path
) -> bool:
    """Read a copy of a file in which DuckDB found something bad, if that may be of stray bytes.

    Returns whether there were any; then the copy takes the place of what was staged.
    """
    copy = spool / f"{file.unit.arrival}-without-stray-bytes.json"
    if file.path == copy or not copy_without_stray_bytes(file.path, copy):
        return False
    connection.execute(f"DELETE FROM {STAGED} WHERE arrival = ?", [file.unit.arrival])
    _read(connection, table, [replace(file, path=copy)], spool)
    return True


def _insert(
    connection: duckdb.DuckDBPyConnection, table: Table, files: Sequence[PreparedUnit]
) -> None:
    """One pass over the files; a line that is not a JSON object makes a row without values."""
    columns = field_columns(table)
    texts = ", ".join(
        f'"{column.info["field"]}" AS {text_name(index)}' for index, column in enumerate(columns)
    )
    connection.execute(
        f"""INSERT INTO {STAGED} BY NAME
        SELECT * EXCLUDE ({_text_names(table)}), {unusable_expression(columns)} AS _is_unusable
        FROM (
            SELECT {value_columns(columns)}, *
            FROM (
                SELECT {texts}, CAST($arrivals AS BIGINT[])[CAST(file_index AS BIGINT) + 1]
                    AS arrival
                FROM read_json($paths, columns = $fields, format = $layout, ignore_errors = true,
                    compression = 'uncompressed', hive_partitioning = false,
                    maximum_object_size = {MOST_RECORD_BYTES})
            )
        )""",
        {
            "arrivals": [file.unit.arrival for file in files],
            "paths": [glob.escape(str(file.path)) for file in files],
            "fields": {column.info["field"]: "VARCHAR" for column in columns},
            "layout": files[0].layout,
        },
    )


def _may_have_other_fields(
    connection: duckdb.DuckDBPyConnection, table: Table, files: Sequence[PreparedUnit]
) -> bool:
    """Whether the records of files have more fields than there are values staged of them.

    That is so if a field has no column, and also where a value is null or cannot be used. To count
    costs a third of what it costs to look at the names.
    """
    values = " + ".join(f'count("{column.name}")' for column in field_columns(table))
    relation, parameters = _objects(files)
    ((is_more,),) = connection.execute(
        f"""SELECT (SELECT coalesce(sum(len(json_keys(json))), 0) FROM {relation}) > (
            SELECT {values} FROM {STAGED}
            WHERE list_contains(CAST($arrivals AS BIGINT[]), arrival))""",
        parameters,
    ).fetchall()
    return bool(is_more)


def _objects(files: Sequence[PreparedUnit]) -> tuple[str, dict[str, object]]:
    """SQL for the records of files, with the columns `arrival` and `json`, and its parameters."""
    relation = f"""(SELECT CAST($arrivals AS BIGINT[])[CAST(file_index AS BIGINT) + 1] AS arrival,
        json FROM read_json_objects($paths, format = $layout, ignore_errors = true,
            compression = 'uncompressed', maximum_object_size = {MOST_RECORD_BYTES}))"""
    return relation, {
        "arrivals": [file.unit.arrival for file in files],
        "paths": [glob.escape(str(file.path)) for file in files],
        "layout": files[0].layout,
    }


def _without_records(
    connection: duckdb.DuckDBPyConnection, files: Sequence[PreparedUnit]
) -> list[PreparedUnit]:
    """The files of which nothing has been staged."""
    rows = connection.execute(f"SELECT DISTINCT arrival FROM {STAGED}").fetchall()
    staged = {arrival for (arrival,) in rows}
    return [file for file in files if file.unit.arrival not in staged]


def _unusable(
    connection: duckdb.DuckDBPyConnection, files: Sequence[PreparedUnit]
) -> list[tuple[PreparedUnit, set[int], int]]:
    """Of each file with unusable records: their ordinals from 1, and how many records it has.

    The rows are taken out of the stage.
    """
    by_arrival = {file.unit.arrival: file for file in files}
    rows = connection.execute(
        f"""WITH unusable AS (SELECT arrival, rowid AS row FROM {STAGED} WHERE _is_unusable),
        file AS (
            SELECT arrival, min(rowid) AS first, count(*) AS records FROM {STAGED}
            WHERE arrival IN (SELECT arrival FROM unusable) GROUP BY arrival
        )
        SELECT arrival, list(row - first + 1), any_value(records)
        FROM unusable JOIN file USING (arrival) GROUP BY arrival ORDER BY arrival"""
    ).fetchall()
    if rows:
        connection.execute(f"DELETE FROM {STAGED} WHERE _is_unusable")
    return [(by_arrival[arrival], set(bad), records) for arrival, bad, records in rows]


def _text_names(table: Table) -> str:
    return ", ".join(text_name(index) for index, _ in enumerate(field_columns(table)))


def _short(error: Exception) -> str:
    """What DuckDB found, without the path of a temporary file and its own count of records."""
    message = str(error)
    if isinstance(error, UnicodeDecodeError):
        message = error.object.decode(errors="replace")
    if "maximum_object_size" in message:
        return f"a record is longer than {MOST_RECORD_BYTES // 2**20} MiB"
    found = re.search(r"in record/value \d+: ([^.\n]+)", message)
    return found[1] if found else "it cannot be read"
