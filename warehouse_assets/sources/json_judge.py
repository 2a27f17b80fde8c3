"""Records of JSON judged one by one: what is wrong with each that cannot be used.

`json_records` reads whole files at once and comes here only with what it could not read.
"""

import glob
import json
from dataclasses import dataclass
from pathlib import Path

import duckdb
from sqlalchemy import Table

from warehouse_assets.schema import identifiers
from warehouse_assets.sources.json_fields import (
    field_columns,
    not_json_expression,
    reason_expression,
    seen_expression,
    text_name,
    unseen_expression,
    value_columns,
)
from warehouse_assets.sources.json_layout import LINES, MOST_RECORD_BYTES, non_blank_lines
from warehouse_assets.sources.units import REJECTED, STAGED, Numbered, Unit
from warehouse_assets.sources.unknown_fields import known_fields, note_fields_of

_RAW_CHARACTERS_OF_A_LONG_RECORD = 1000
_KIND_OF_VALUE = """CASE json_type(raw) WHEN 'ARRAY' THEN 'an array' WHEN 'VARCHAR' THEN 'a string'
    WHEN 'BOOLEAN' THEN 'true or false' WHEN 'NULL' THEN 'null' ELSE 'a number' END"""


@dataclass(frozen=True)
class PreparedUnit:
    """A unit that can be read: the path and layout of its content as plain UTF-8."""

    unit: Unit
    path: Path
    layout: str


def judge_all(
    connection: duckdb.DuckDBPyConnection, table: Table, file: PreparedUnit, spool: Path
) -> None:
    """Judge every record of a file by itself, in place of what was staged or rejected of it."""
    for target in (STAGED, REJECTED):
        connection.execute(f"DELETE FROM {target} WHERE arrival = ?", [file.unit.arrival])
    collect(connection, file, spool, None)
    judge(connection, table, file.unit)


def collect(
    connection: duckdb.DuckDBPyConnection,
    file: PreparedUnit,
    spool: Path,
    ordinals: set[int] | None,
) -> int:
    """Make the table `_raw` of the records with these ordinals from 1, or of all.

    Returns how many records the file has.
    """
    if file.layout == LINES:
        lines = spool / "lines.json"
        count, longest = _spool_lines(file.path, ordinals, lines)
        connection.execute(
            """CREATE OR REPLACE TEMP TABLE _raw AS
            FROM read_json(?, format = 'newline_delimited', maximum_object_size = ?, columns =
                {position: 'BIGINT', raw: 'VARCHAR', problem: 'VARCHAR', seen: 'VARCHAR'})""",
            # DuckDB's buffers are as large as the longest line may be.
            [glob.escape(str(lines)), max(MOST_RECORD_BYTES, longest + 1)],
        )
        return count
    connection.execute(
        """CREATE OR REPLACE TEMP TABLE _raw AS
        SELECT row_number() OVER () AS position, CAST(json AS VARCHAR) AS raw,
            CAST(NULL AS VARCHAR) AS problem, CAST(NULL AS VARCHAR) AS seen
        FROM read_json_objects(?, format = 'array', compression = 'uncompressed')""",
        [glob.escape(str(file.path))],
    )
    (count,) = connection.execute("SELECT count(*) FROM _raw").fetchall()[0]
    if ordinals is not None:
        connection.execute(
            "DELETE FROM _raw WHERE position NOT IN (SELECT unnest(CAST(? AS BIGINT[])))",
            [sorted(ordinals)],
        )
    return int(count)


def _spool_lines(path: Path, ordinals: set[int] | None, spool: Path) -> tuple[int, int]:
    """Write numbered lines so that DuckDB can read them whatever bytes they hold.

    Returns how many lines of the file at `path` are not blank, and how long the longest written is.
    """
    count = longest = 0
    with spool.open("w", encoding="utf-8") as stream:
        for count, (number, line) in enumerate(non_blank_lines(path), start=1):
            if ordinals is not None and count not in ordinals:
                continue
            problem = seen = None
            if len(line) > MOST_RECORD_BYTES:
                text = line[: 4 * _RAW_CHARACTERS_OF_A_LONG_RECORD].decode(errors="replace")
                text = text[:_RAW_CHARACTERS_OF_A_LONG_RECORD]
                problem = f"longer than {MOST_RECORD_BYTES // 2**20} MiB"
            else:
                try:
                    text = line.decode("utf-8")
                except UnicodeDecodeError as error:
                    text = line.decode("utf-8", errors="replace")
                    problem, seen = "not valid UTF-8", f"byte {error.start + 1}"
            record = json.dumps({"position": number, "raw": text, "problem": problem, "seen": seen})
            longest = max(longest, len(record))
            stream.write(record + "\n")
    return count, longest


def judge(connection: duckdb.DuckDBPyConnection, table: Table, unit: Numbered) -> int:
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
                WHEN NOT _is_json THEN {not_json_expression("raw")}
                WHEN NOT _is_object THEN 'not a JSON object but ' || {_KIND_OF_VALUE}
                ELSE {reason_expression(columns)} END AS reason,
            CASE WHEN problem IS NOT NULL THEN seen
                WHEN NOT _is_json THEN {unseen_expression("raw")}
                WHEN _is_object THEN {seen_expression(columns)} END AS value
        FROM (
            SELECT {value_columns(columns)}, * FROM (
                SELECT position, raw, problem, seen, _is_json, _is_object, {texts} FROM (
                    SELECT *, CASE WHEN _is_json THEN json_type(raw) = 'OBJECT' ELSE false END
                        AS _is_object
                    FROM (SELECT *, problem IS NULL AND json_valid(raw) AS _is_json FROM _raw)
                )
            )
        )"""
    )
    note_fields_of(
        connection,
        "(SELECT CAST($arrival AS BIGINT) AS arrival, "
        "CASE WHEN _is_object THEN raw END AS json FROM _judged)",
        known_fields(table),
        {"arrival": unit.arrival},
    )
    names = identifiers([column.name for column in columns])
    connection.execute(
        f"""INSERT INTO {STAGED} BY NAME
        SELECT {names}, CAST(? AS BIGINT) AS arrival, false AS _is_unusable
        FROM _judged WHERE reason = '' ORDER BY position""",
        [unit.arrival],
    )
    connection.execute(
        f"""INSERT INTO {REJECTED} BY NAME
        SELECT CAST(? AS BIGINT) AS arrival, position, reason, value, raw
        FROM _judged WHERE reason <> ''""",
        [unit.arrival],
    )
    (good,) = connection.execute("SELECT count(*) FROM _judged WHERE reason = ''").fetchall()[0]
    return int(good)
