"""The lines of the log of test runs: what each says, or what is wrong with it.

A line is a JSON object with `result`, `student_id`, and `lesson_id`, `lesson_title` or both. The
producers write a comma where a colon belongs after a key, `{"result": "2 out of 2", "student_id",
3, "lesson_id": "4"}`; such a line is as good as a correct one.

A result is `2/3` or `2 out of 3`, in whole numbers. More tests passed than there are is kept: a
check tells of it. A run of no tests at all, `0/0`, is a completed one, as far as it goes.
"""

from collections.abc import Iterator

import duckdb

from warehouse_assets.defs.school.tables import TEST_RUNS
from warehouse_assets.ingest.json_texts import JSON, KEYS, json_texts
from warehouse_assets.ingest.lines import Lines, arrow_table
from warehouse_assets.ingest.log_load import LogKind
from warehouse_assets.ingest.units import REJECTED, STAGED, create_stage
from warehouse_assets.ingest.unknown_fields import known_fields, note_fields_of
from warehouse_assets.ingest.validate import POSITION, PROBLEM, RAW, SEEN, Rule, Validator, text
from warehouse_assets.tables import column_names, identifiers
from warehouse_assets.times import BLANK, is_blank

_LINES = "_lines"
_RESULT = rf"^{BLANK}*([0-9]+){BLANK}*(?:/|out{BLANK}+of){BLANK}*([0-9]+){BLANK}*$"
_TITLE = text("lesson_title")
_HAS_NO_TESTS = "(tests_passed IS NULL OR tests_total IS NULL)"

_VALIDATOR = Validator(
    TEST_RUNS,
    values={
        "log_position": POSITION,
        # What is not blank at all, which is told first, is told at once.
        "lesson_title": f"CASE WHEN {_TITLE} >= '!' OR NOT {is_blank(_TITLE)} THEN {_TITLE} END",
        "tests_passed": "TRY_CAST(_tests.passed AS BIGINT)",
        "tests_total": "TRY_CAST(_tests.total AS BIGINT)",
        "is_completed": "tests_passed = tests_total",
    },
    # What nearly no record is comes first: the rest is then not computed.
    rules=[
        Rule(f"{_HAS_NO_TESTS} AND {is_blank(text('result'))}", "result is missing"),
        Rule(
            f"{_HAS_NO_TESTS} AND NOT {is_blank(text('result'))}",
            "result is not like 2/3 or 2 out of 3",
            text("result"),
        ),
        Rule(
            f"lesson_title IS NULL AND lesson_id IS NULL AND {is_blank(text('lesson_id'))}",
            "lesson_id and lesson_title are missing",
        ),
    ],
    more_fields=["result"],
)

# How nearly every line is repaired, at a quarter of the cost of the other way.
_USUAL_REPAIR = """replace(line, ', "student_id", ', ', "student_id": ')"""
# Any key may be followed by a comma. What follows a repaired key is a value, even if it reads like
# a key; inside a value nothing is found, because a quote there is written with a backslash. Only
# the elements of a list can be taken for keys, and what becomes of them is no JSON: such a line is
# good if it is correct as it is.
_KEYS = "|".join(_VALIDATOR.fields)
_ANY_REPAIR = rf"""regexp_replace(line, '([{{,]\s*"(?:{_KEYS})"\s*),', '\1:', 'g')"""

# Of fields that are null it is found out only by a second look.
_HAS_OTHER_FIELDS = f"len({KEYS}) <> " + " + ".join(
    f"CAST({text(field)} IS NOT NULL AS INTEGER)" for field in _VALIDATOR.fields
)


def stage_run_lines(connection: duckdb.DuckDBPyConnection, lines: Iterator[Lines]) -> None:
    """Fill the tables `STAGED` and `REJECTED` with the test runs in lines of the log."""
    create_stage(connection, TEST_RUNS)
    connection.execute(f"ALTER TABLE {STAGED} ADD COLUMN _has_other_fields BOOLEAN")
    connection.register(_LINES, arrow_table(lines))
    # Only within a CASE does DuckDB leave out what follows a condition that settles the matter.
    connection.execute(
        f"""INSERT INTO {STAGED} BY NAME
        SELECT {identifiers(column_names(TEST_RUNS))},
            CASE WHEN {_VALIDATOR.is_unusable} OR {PROBLEM} IS NOT NULL THEN true ELSE false END
                AS _is_unusable,
            {_HAS_OTHER_FIELDS} AS _has_other_fields
        FROM ({_VALIDATOR.query(_texts(_LINES))})"""
    )
    if _some(connection, "_has_other_fields"):
        some = _texts(_those_where("_has_other_fields"))
        source = f"(SELECT 0 AS arrival, {KEYS} AS fields FROM ({some}))"
        note_fields_of(connection, source, {*known_fields(TEST_RUNS), *_VALIDATOR.fields})
    if _some(connection, "_is_unusable"):
        rejects = _VALIDATOR.rejects(_texts(_those_where("_is_unusable")))
        connection.execute(f"INSERT INTO {REJECTED} BY NAME {rejects}")
        connection.execute(f"DELETE FROM {STAGED} WHERE _is_unusable")
    connection.unregister(_LINES)


def _some(connection: duckdb.DuckDBPyConnection, condition: str) -> bool:
    return bool(connection.execute(f"FROM {STAGED} WHERE {condition} LIMIT 1").fetchall())


def _those_where(condition: str) -> str:
    """SQL for the lines whose record in the stage has a property."""
    chosen = f"(SELECT log_position AS position FROM {STAGED} WHERE {condition})"
    return f"(FROM {_LINES} AS lines SEMI JOIN {chosen} AS chosen USING (position))"


def _texts(lines: str) -> str:
    """SQL for the texts of a relation of lines, as the validator takes them."""
    records = rf"""SELECT position AS {POSITION}, line AS {RAW}, problem AS {PROBLEM},
            seen AS {SEEN}, CASE WHEN problem IS NOT NULL THEN NULL
                WHEN json_valid(repaired) THEN repaired
                WHEN json_valid({_ANY_REPAIR}) THEN {_ANY_REPAIR}
                WHEN json_valid(line) THEN line END AS {JSON}
        FROM (SELECT *, {_USUAL_REPAIR} AS repaired FROM {lines})
        WHERE {JSON} IS NOT NULL OR regexp_matches(line, '\S')"""
    return rf"""SELECT * REPLACE (
            replace(rtrim({RAW}, E' \t\r\f'), chr(0), '{chr(0xFFFD)}') AS {RAW}
        ), regexp_extract({text("result")}, '{_RESULT}', ['passed', 'total']) AS _tests
        FROM ({json_texts(_VALIDATOR.fields, records)})"""


TEST_RUN_LINES = LogKind(str(TEST_RUNS.name), TEST_RUNS, stage_run_lines)
"""The log of test runs."""
