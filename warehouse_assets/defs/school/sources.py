"""The sources of the school that are declared, not programmed: students and test runs.

A line of the log of test runs is a JSON object with `result`, `student_id`, and `lesson_id`,
`lesson_title` or both. The producers write a comma where a colon belongs after a key, `{"result":
"2 out of 2", "student_id", 3, "lesson_id": "4"}`; such a line is as good as a correct one.

A result is `2/3` or `2 out of 3`, in whole numbers. More tests passed than there are is kept: a
check tells of it. A run of no tests at all, `0/0`, is a completed one, as far as it goes.
"""

import sqlalchemy as sa

from warehouse_assets.defs.school.tables import STUDENTS, TEST_RUNS
from warehouse_assets.ingest.log_load import json_log
from warehouse_assets.ingest.sql_reader import SqlSource
from warehouse_assets.ingest.validate import Rule, Validator, text
from warehouse_assets.times import BLANK, is_blank

STUDENTS_SOURCE = SqlSource(
    Validator(STUDENTS),
    "STUDENTS_DB",
    lambda settings: sa.URL.create("sqlite", database=str(settings.students_db)),
)
"""The school's database. A student deleted from it stays in the lake: that they left is no reason
to forget what they did."""

_RESULT = rf"^{BLANK}*([0-9]+){BLANK}*(?:/|out{BLANK}+of){BLANK}*([0-9]+){BLANK}*$"
_TITLE = text("lesson_title")
_HAS_NO_TESTS = "(tests_passed IS NULL OR tests_total IS NULL)"

_VALIDATOR = Validator(
    TEST_RUNS,
    values={
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
    parts={"_tests": f"regexp_extract({text('result')}, '{_RESULT}', ['passed', 'total'])"},
)

# How nearly every line is repaired, at a quarter of the cost of the other way.
_USUAL_REPAIR = """replace(line, ', "student_id", ', ', "student_id": ')"""
# Any key may be followed by a comma. What follows a repaired key is a value, even if it reads like
# a key; inside a value nothing is found, because a quote there is written with a backslash. Only
# the elements of a list can be taken for keys, and what becomes of them is no JSON: such a line is
# good if it is correct as it is.
_KEYS = "|".join(_VALIDATOR.fields)
_ANY_REPAIR = rf"""regexp_replace(line, '([{{,]\s*"(?:{_KEYS})"\s*),', '\1:', 'g')"""

TEST_RUN_LINES = json_log(_VALIDATOR, [_USUAL_REPAIR, _ANY_REPAIR])
"""The log of test runs."""
