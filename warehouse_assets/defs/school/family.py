"""The school: students, their batches and their test runs.

A line of the log of test runs is a JSON object with `result`, `student_id`, and `lesson_id`,
`lesson_title` or both. The producers write a comma where a colon belongs after a key, `{"result":
"2 out of 2", "student_id", 3, "lesson_id": "4"}`; such a line is as good as a correct one.

A result is `2/3` or `2 out of 3`, in whole numbers. More tests passed than there are is kept: a
check tells of it. A run of no tests at all, `0/0`, is a completed one, as far as it goes.
"""

from datetime import timedelta
from pathlib import Path

import dagster as dg
import sqlalchemy as sa
from sqlalchemy import Table

from warehouse_assets.defs.school.batches import SETTING, BatchesSource, load_batches
from warehouse_assets.defs.school.tables import (
    BATCH_COMPLETIONS,
    BATCHES,
    LESSON_COMPLETIONS,
    LESSON_TITLES,
    LESSONS,
    STUDENTS,
    TEST_RUNS,
)
from warehouse_assets.ingest.loaded import Loaded
from warehouse_assets.ingest.log import json_log
from warehouse_assets.ingest.log_files import LogSource
from warehouse_assets.ingest.sql_source import SqlSource
from warehouse_assets.ingest.validate import Rule, Validator, text
from warehouse_assets.orchestration.assets import (
    log_asset,
    source_asset,
    sql_asset,
    sql_source_asset,
)
from warehouse_assets.orchestration.checks import Check
from warehouse_assets.orchestration.families import Family
from warehouse_assets.orchestration.standard_checks import adds_up, no_rows, values_are_plausible
from warehouse_assets.orchestration.step import Step
from warehouse_assets.settings import Settings
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


CHECKS: dict[Table, list[Check]] = {
    STUDENTS: [
        no_rows(
            "batches_are_known",
            "batch_id is a known batch; students may come before their batch.",
            """SELECT students.id, students.batch_id FROM students
            ANTI JOIN batches ON students.batch_id = batches.id
            WHERE students.batch_id IS NOT NULL""",
            reads=[BATCHES],
            is_warning=True,
        ),
    ],
    BATCHES: [
        no_rows(
            "batches_grow",
            "A batch has students a week after it was made.",
            """SELECT id, name, created_at FROM batches
            ANTI JOIN students ON students.batch_id = batches.id
            WHERE created_at < now() AT TIME ZONE 'UTC' - INTERVAL 7 DAY""",
            reads=[STUDENTS],
            depends_on_time=True,
            is_warning=True,
        ),
    ],
    TEST_RUNS: [
        no_rows(
            "results_are_possible",
            "No more tests passed than there are.",
            """SELECT log_position, student_id, tests_passed, tests_total FROM test_runs
            WHERE tests_passed > tests_total""",
            is_warning=True,
        ),
        no_rows(
            "totals_agree",
            "All runs of a lesson have the same tests_total.",
            """SELECT lesson_id, lesson_title, min(tests_total) AS least, max(tests_total) AS most
            FROM (SELECT lesson_id, CASE WHEN lesson_id IS NULL THEN lesson_title END
                AS lesson_title, tests_total FROM test_runs)
            GROUP BY lesson_id, lesson_title HAVING least <> most""",
            is_warning=True,
        ),
        no_rows(
            "students_are_known",
            "student_id is a known student; runs may come before their student.",
            """SELECT log_position, student_id FROM test_runs
            ANTI JOIN students ON student_id = students.id""",
            reads=[STUDENTS],
            is_warning=True,
        ),
    ],
    LESSON_TITLES: [
        no_rows(
            "lessons_have_one_title",
            "No lesson has had two titles.",
            """SELECT lesson_id, count(*) AS titles FROM lesson_titles
            GROUP BY lesson_id HAVING titles > 1""",
            is_warning=True,
        ),
    ],
    LESSON_COMPLETIONS: [
        values_are_plausible(
            LESSON_COMPLETIONS,
            "runs is 1 or more, and there is a lesson_id or a lesson_title.",
            "runs < 1 OR (lesson_id IS NULL AND lesson_title IS NULL)",
        ),
        adds_up(LESSON_COMPLETIONS.c.runs, TEST_RUNS),
    ],
    BATCH_COMPLETIONS: [
        values_are_plausible(
            BATCH_COMPLETIONS,
            "Of the students of a batch at most all completed 3 lessons; ranks begin with 1.",
            """students_with_3_lessons NOT BETWEEN 0 AND students OR batch_rank < 1
                OR share_with_3_lessons NOT BETWEEN 0 AND 1
                OR students_completed NOT BETWEEN 0 AND students
                OR share_completed NOT BETWEEN 0 AND 1""",
        ),
        no_rows(
            "every_batch_is_there",
            "Every batch has a row.",
            """SELECT batches.id, batches.name FROM batches
            ANTI JOIN batch_completions ON batches.id = batch_id""",
            reads=[BATCHES],
            is_warning=True,
        ),
    ],
}


_SQL = Path(__file__).parent / "sql"
_SETTING = "TEST_RUNS_LOG"

_SERVER = dg.AssetSpec(
    "batches_server",
    description="The school's server, which answers `GET /batches` (`BATCHES_URL`).",
    kinds={"json"},
)
_LOG = dg.AssetSpec(
    "test_runs_log",
    description="The log to which the school's tests append a line each (`TEST_RUNS_LOG`).",
    kinds={"log"},
)


def _load_batches(step: Step) -> Loaded:
    settings = step.settings
    source = BatchesSource(
        settings.batches_url,
        settings.batches_timeout_seconds,
        timedelta(hours=settings.batches_overlap_hours),
        settings.batches_pages_per_run,
    )
    return load_batches(step.lake, source, SETTING in settings.given)


def _log(settings: Settings) -> LogSource:
    return LogSource(settings.test_runs_log, _SETTING in settings.given, _SETTING)


FAMILY = Family(
    "school",
    [
        sql_source_asset(STUDENTS_SOURCE, "sqlite", is_watched=False),
        source_asset(BATCHES, _SERVER, _load_batches),
        log_asset(TEST_RUN_LINES, TEST_RUNS, _LOG, _log),
        sql_asset(LESSONS, [TEST_RUNS], _SQL),
        sql_asset(LESSON_TITLES, [TEST_RUNS], _SQL),
        sql_asset(
            LESSON_COMPLETIONS,
            [TEST_RUNS, LESSON_TITLES, LESSONS],
            _SQL,
            computed_per="student_id",
        ),
        sql_asset(
            BATCH_COMPLETIONS,
            [BATCHES, STUDENTS, LESSON_COMPLETIONS],
            _SQL,
        ),
    ],
    CHECKS,
)
