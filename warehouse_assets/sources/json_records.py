"""Records from files of JSON: good ones staged with their types, bad ones with their reasons.

Every file is read once, by DuckDB, as text fields that are cast. Only where that shows a record
that cannot be used is the file looked at again, to find out the record's place, its raw text and
the reason.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
from sqlalchemy import Table

from warehouse_assets.schema import duckdb_type, identifiers
from warehouse_assets.sources.json_fields import (
    field_columns,
    reason_expression,
    text_name,
    unusable_expression,
    value_expressions,
)
from warehouse_assets.sources.json_layout import (
    ARRAY,
    LINES,
    UnreadableFileError,
    non_blank_lines,
    prepare,
)
from warehouse_assets.sources.units import REJECTED, STAGED, Unit, create_stage, reject_unit

# DuckDB's own limit for one record.
_MOST_RECORD_BYTES = 16 * 1024 * 1024
_RAW_CHARACTERS_OF_A_LONG_RECORD = 1000
_KIND_OF_VALUE = """CASE json_type(raw) WHEN 'ARRAY' THEN 'an array' WHEN 'VARCHAR' THEN 'a string'
    WHEN 'BOOLEAN' THEN 'true or false' WHEN 'NULL' THEN 'null' ELSE 'a number' END"""
_NOT_THE_MACHINE = (duckdb.InvalidInputException, duckdb.ConversionException)


@dataclass(frozen=True)
class _Prepared:
    unit: Unit
    path: Path


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
    layouts: dict[str, list[_Prepared]] = {LINES: [], ARRAY: []}
    for unit in units:
        try:
            prepared = prepare(unit.file.path, spool / f"{unit.arrival}.json")
        except UnreadableFileError as error:
            reject_unit(connection, unit, str(error))
        else:
            if prepared.layout is not None:
                layouts[prepared.layout].append(_Prepared(unit, prepared.path))
    for layout, files in layouts.items():
        _read(connection, table, layout, files, spool)


def _read(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    layout: str,
    files: Sequence[_Prepared],
    spool: Path,
) -> None:
    if not files:
        return
    try:
        _insert(connection, table, layout, files)
    except _NOT_THE_MACHINE as error:
        if len(files) > 1:
            for file in files:
                _read(connection, table, layout, [file], spool)
        elif layout == ARRAY:
            reject_unit(connection, files[0].unit, f"not a whole JSON array: {_short(error)}")
        else:
            _judge_all(connection, table, layout, files[0], spool)
        return
    for file, ordinals, records in _unusable(connection, files):
        found = _collect(connection, layout, file, spool, ordinals)
        # Were there not as many records, or a usable one among them, the two readings would not
        # agree on the file, and the ordinals could not be trusted.
        if found != records or _judge(connection, table, file.unit):
            _judge_all(connection, table, layout, file, spool)


def _insert(
    connection: duckdb.DuckDBPyConnection, table: Table, layout: str, files: Sequence[_Prepared]
) -> None:
    """One pass over the files; a line that is not a JSON object makes a row without values."""
    columns = field_columns(table)
    fields = {column.info["field"]: "VARCHAR" for column in columns}
    texts = ", ".join(
        f'"{column.info["field"]}" AS {text_name(index)}' for index, column in enumerate(columns)
    )
    connection.execute(
        f"""INSERT INTO {STAGED} BY NAME
        SELECT * EXCLUDE ({_text_names(table)}), {unusable_expression(columns)} AS _is_unusable
        FROM (
            SELECT {_values(table)}, *
            FROM (
                SELECT {texts}, CAST($arrivals AS BIGINT[])[CAST(file_index AS BIGINT) + 1]
                    AS arrival
                FROM read_json($paths, columns = $fields, format = $layout, ignore_errors = true,
                    compression = 'uncompressed', maximum_object_size = {_MOST_RECORD_BYTES})
            )
        )""",
        {
            "arrivals": [file.unit.arrival for file in files],
            "paths": [str(file.path) for file in files],
            "fields": fields,
            "layout": layout,
        },
    )


def _unusable(
    connection: duckdb.DuckDBPyConnection, files: Sequence[_Prepared]
) -> list[tuple[_Prepared, set[int], int]]:
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


def _judge_all(
    connection: duckdb.DuckDBPyConnection, table: Table, layout: str, file: _Prepared, spool: Path
) -> None:
    """Judge every record of a file by itself, in place of what was staged or rejected of it."""
    for target in (STAGED, REJECTED):
        connection.execute(f"DELETE FROM {target} WHERE arrival = ?", [file.unit.arrival])
    _collect(connection, layout, file, spool, None)
    _judge(connection, table, file.unit)


def _collect(
    connection: duckdb.DuckDBPyConnection,
    layout: str,
    file: _Prepared,
    spool: Path,
    ordinals: set[int] | None,
) -> int:
    """Make the table `_raw` of the records with these ordinals from 1, or of all.

    Returns how many records the file has.
    """
    if layout == LINES:
        lines = spool / "lines.json"
        count = _spool_lines(file.path, ordinals, lines)
        connection.execute(
            """CREATE OR REPLACE TEMP TABLE _raw AS
            FROM read_json(?, format = 'newline_delimited', maximum_object_size = ?,
                columns = {position: 'BIGINT', raw: 'VARCHAR', problem: 'VARCHAR'})""",
            [str(lines), 8 * _MOST_RECORD_BYTES],
        )
        return count
    connection.execute(
        """CREATE OR REPLACE TEMP TABLE _raw AS
        SELECT row_number() OVER () AS position, CAST(json AS VARCHAR) AS raw,
            CAST(NULL AS VARCHAR) AS problem
        FROM read_json_objects(?, format = 'array', compression = 'uncompressed')""",
        [str(file.path)],
    )
    (count,) = connection.execute("SELECT count(*) FROM _raw").fetchall()[0]
    if ordinals is not None:
        connection.execute(
            "DELETE FROM _raw WHERE position NOT IN (SELECT unnest(CAST(? AS BIGINT[])))",
            [sorted(ordinals)],
        )
    return int(count)


def _spool_lines(path: Path, ordinals: set[int] | None, spool: Path) -> int:
    """Write numbered lines so that DuckDB can read them whatever bytes they hold.

    Returns how many lines of the file at `path` are not blank.
    """
    count = 0
    with spool.open("w", encoding="utf-8") as stream:
        for count, (number, line) in enumerate(non_blank_lines(path), start=1):
            if ordinals is not None and count not in ordinals:
                continue
            problem = None
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError as error:
                text = line.decode("utf-8", errors="replace")
                problem = f"not valid UTF-8 at its byte {error.start + 1}"
            if len(line) > _MOST_RECORD_BYTES:
                text = text[:_RAW_CHARACTERS_OF_A_LONG_RECORD]
                problem = f"longer than {_MOST_RECORD_BYTES // 2**20} MiB"
            json.dump({"position": number, "raw": text, "problem": problem}, stream)
            stream.write("\n")
    return count


def _judge(connection: duckdb.DuckDBPyConnection, table: Table, unit: Unit) -> int:
    """Sort the records of the table `_raw`, all of `unit`, into the stage and the rejected ones.

    Returns how many were good.
    """
    columns = field_columns(table)
    texts = ", ".join(
        f"""CASE WHEN _is_object THEN raw ->> '$."{column.info["field"]}"' END
            AS {text_name(index)}"""
        for index, column in enumerate(columns)
    )
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE _judged AS
        SELECT *, CASE
                WHEN problem IS NOT NULL THEN problem
                WHEN NOT _is_json THEN 'not valid JSON'
                WHEN NOT _is_object THEN 'not a JSON object but ' || {_KIND_OF_VALUE}
                ELSE {reason_expression(columns)} END AS reason
        FROM (
            SELECT {_values(table)}, * FROM (
                SELECT position, raw, problem, _is_json, _is_object, {texts} FROM (
                    SELECT *, CASE WHEN _is_json THEN json_type(raw) = 'OBJECT' ELSE false END
                        AS _is_object
                    FROM (SELECT *, problem IS NULL AND json_valid(raw) AS _is_json FROM _raw)
                )
            )
        )"""
    )
    names = identifiers([column.name for column in columns])
    connection.execute(
        f"""INSERT INTO {STAGED} BY NAME
        SELECT {names}, CAST(? AS BIGINT) AS arrival, false AS _is_unusable
        FROM _judged WHERE reason = '' ORDER BY position""",
        [unit.arrival],
    )
    connection.execute(
        f"""INSERT INTO {REJECTED}
        SELECT CAST(? AS BIGINT), position, reason, raw FROM _judged WHERE reason <> ''""",
        [unit.arrival],
    )
    (good,) = connection.execute("SELECT count(*) FROM _judged WHERE reason = ''").fetchall()[0]
    return int(good)


def _values(table: Table) -> str:
    columns = field_columns(table)
    return ", ".join(
        f'CAST({value} AS {duckdb_type(column)}) AS "{column.name}"'
        for column, value in zip(columns, value_expressions(columns), strict=True)
    )


def _text_names(table: Table) -> str:
    return ", ".join(text_name(index) for index, _ in enumerate(field_columns(table)))


def _short(error: Exception) -> str:
    """The first sentence of DuckDB's message, without the path of a temporary file."""
    message = str(error).splitlines()[0].partition(": ")[2]
    return message.partition('in file "')[2].partition('", ')[2] or message
