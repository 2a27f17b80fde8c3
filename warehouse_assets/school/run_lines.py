"""The lines of the log of test runs: what each says, or what is wrong with it.

A line is a JSON object with `result`, `student_id`, and `lesson_id`, `lesson_title` or both. The
producers write a comma where a colon belongs after a key, `{"result": "2 out of 2", "student_id",
3, "lesson_id": "4"}`; such a line is as good as a correct one.

A result is `2/3` or `2 out of 3`, in whole numbers. More tests passed than there are is kept: a
check tells of it. A run of no tests at all, `0/0`, is a completed one, as far as it goes.
"""

from collections.abc import Iterator

import duckdb

from warehouse_assets.ingest.lines import Lines, arrow_table
from warehouse_assets.ingest.log_load import LogKind
from warehouse_assets.schema import column_names, identifiers
from warehouse_assets.school.tables import TEST_RUNS
from warehouse_assets.sources.json_fields import (
    field_columns,
    not_json_expression,
    reason_expression,
    seen_expression,
    shown_expression,
    text_name,
    unseen_expression,
    unusable_expression,
    value_columns,
)
from warehouse_assets.sources.units import REJECTED, STAGED, create_stage
from warehouse_assets.sources.unknown_fields import known_fields, note_fields_of
from warehouse_assets.times import BLANK, is_blank

_LINES = "_lines"
_COLUMNS = field_columns(TEST_RUNS)
_FIELDS = ["result", *(column.info["field"] for column in _COLUMNS)]
_RESULT = rf"^{BLANK}*([0-9]+){BLANK}*(?:/|out{BLANK}+of){BLANK}*([0-9]+){BLANK}*$"

# What is not blank at all, which is told first, is told at once.
_TITLE = (
    f"""CASE WHEN lesson_title >= '!' OR NOT {is_blank("lesson_title")} THEN lesson_title END"""
)

# How nearly every line is repaired, at a quarter of the cost of the other way.
_USUAL_REPAIR = """replace(line, ', "student_id", ', ', "student_id": ')"""
# Any key may be followed by a comma. What follows a repaired key is a value, even if it reads like
# a key; inside a value nothing is found, because a quote there is written with a backslash. Only
# the elements of a list can be taken for keys, and what becomes of them is no JSON: such a line is
# good if it is correct as it is.
_ANY_REPAIR = rf"""regexp_replace(line, '([{{,]\s*"(?:{"|".join(_FIELDS)})"\s*),', '\1:', 'g')"""

_IS_UNUSABLE = f"""problem IS NOT NULL OR tests_passed IS NULL OR tests_total IS NULL
    OR {unusable_expression(_COLUMNS)} OR (lesson_id IS NULL AND lesson_title IS NULL)"""
# Of fields that are null it is found out only by a second look.
_HAS_OTHER_FIELDS = "len(json_keys(record)) <> " + " + ".join(
    f"CAST(fields.{field} IS NOT NULL AS INTEGER)" for field in _FIELDS
)
_REASON = f"""CASE WHEN problem IS NOT NULL THEN problem
    WHEN record IS NULL THEN {not_json_expression("line")}
    WHEN json_type(record) <> 'OBJECT' THEN 'not a JSON object'
    ELSE concat_ws('; ',
        CASE WHEN {is_blank("result")} THEN 'result is missing'
            WHEN tests_passed IS NULL OR tests_total IS NULL
            THEN 'result is not like 2/3 or 2 out of 3' END,
        nullif({reason_expression(_COLUMNS)}, ''),
        CASE WHEN {is_blank(text_name(1))} AND lesson_title IS NULL
            THEN 'lesson_id and lesson_title are missing' END) END"""
_SEEN = f"""CASE WHEN problem IS NOT NULL THEN seen
    WHEN record IS NULL THEN {unseen_expression("line")}
    WHEN json_type(record) = 'OBJECT' THEN nullif(concat_ws('; ',
        CASE WHEN NOT {is_blank("result")} AND (tests_passed IS NULL OR tests_total IS NULL)
            THEN {shown_expression("result")} END,
        {seen_expression(_COLUMNS)}), '') END"""


def stage_run_lines(connection: duckdb.DuckDBPyConnection, lines: Iterator[Lines]) -> None:
    """Fill the tables `STAGED` and `REJECTED` with the test runs in lines of the log."""
    create_stage(connection, TEST_RUNS)
    connection.execute(f"ALTER TABLE {STAGED} ADD COLUMN _has_other_fields BOOLEAN")
    connection.register(_LINES, arrow_table(lines))
    connection.execute(
        f"""INSERT INTO {STAGED} BY NAME
        SELECT {identifiers(column_names(TEST_RUNS))}, {_IS_UNUSABLE} AS _is_unusable,
            {_HAS_OTHER_FIELDS} AS _has_other_fields
        FROM ({_records(_LINES)})"""
    )
    if connection.execute(f"FROM {STAGED} WHERE _has_other_fields LIMIT 1").fetchall():
        some = _those_where("_has_other_fields")
        source = f"(SELECT 0 AS arrival, record AS json FROM ({_records(some)}))"
        note_fields_of(connection, source, {*known_fields(TEST_RUNS), *_FIELDS})
    if connection.execute(f"FROM {STAGED} WHERE _is_unusable LIMIT 1").fetchall():
        connection.execute(
            f"""INSERT INTO {REJECTED} BY NAME
            SELECT log_position AS position, {_REASON} AS reason, {_SEEN} AS value,
                replace(rtrim(line, E' \\t\\r\\f'), chr(0), '\N{REPLACEMENT CHARACTER}') AS raw
            FROM ({_records(_those_where("_is_unusable"))})"""
        )
        connection.execute(f"DELETE FROM {STAGED} WHERE _is_unusable")
    connection.unregister(_LINES)


def _those_where(condition: str) -> str:
    """SQL for the lines whose record in the stage has a property."""
    chosen = f"(SELECT log_position AS position FROM {STAGED} WHERE {condition})"
    return f"(FROM {_LINES} AS lines SEMI JOIN {chosen} AS chosen USING (position))"


def _records(lines: str) -> str:
    """SQL for what the lines of a relation say: values, null where there is none, and texts."""
    structure = ", ".join(f'"{field}": "VARCHAR"' for field in _FIELDS)
    texts = ", ".join(
        f"fields.{column.info['field']} AS {text_name(index)}"
        for index, column in enumerate(_COLUMNS)
    )
    return rf"""SELECT * REPLACE ({_TITLE} AS lesson_title),
            tests_passed = tests_total AS is_completed
        FROM (
            SELECT {value_columns(_COLUMNS)}, position AS log_position,
                TRY_CAST(tests.passed AS BIGINT) AS tests_passed,
                TRY_CAST(tests.total AS BIGINT) AS tests_total, *
            FROM (
                SELECT *, fields.result AS result, {texts},
                    regexp_extract(fields.result, '{_RESULT}', ['passed', 'total']) AS tests
                FROM (
                    SELECT *, json_transform(record, '{{{structure}}}') AS fields
                    FROM (
                        SELECT *, CASE WHEN problem IS NOT NULL THEN NULL
                            WHEN json_valid(repaired) THEN repaired
                            WHEN json_valid({_ANY_REPAIR}) THEN {_ANY_REPAIR}
                            WHEN json_valid(line) THEN line END AS record
                        FROM (SELECT *, {_USUAL_REPAIR} AS repaired FROM {lines})
                    )
                    WHERE record IS NOT NULL OR regexp_matches(line, '\S')
                )
            )
        )"""


TEST_RUN_LINES = LogKind(str(TEST_RUNS.name), TEST_RUNS, stage_run_lines)
"""The log of test runs."""
