"""The tables of the school family: columns, keys and what each number means."""

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Double, Table, Text

from warehouse_assets.questions import Cause
from warehouse_assets.tables import METADATA, WholeNumber


def _field(name: str, kind: Any, comment: str, **options: Any) -> Column[Any]:
    """A column that is read from the field of the same name."""
    return Column(name, kind, info={"field": name}, comment=comment, **options)


def _id(comment: str) -> Column[Any]:
    return _field("id", WholeNumber, comment, primary_key=True, autoincrement=False, nullable=False)


def _last_run(name: str) -> Cause:
    """Of the runs that carried number and title, the last one with a value decides."""
    return Cause(
        "test_runs",
        f"""row.log_position = (SELECT max(log_position) FROM test_runs
        WHERE test_runs.{name} = wanted.{name} AND test_runs.lesson_id IS NOT NULL
        AND test_runs.lesson_title IS NOT NULL)""",
    )


_STUDENT = "Student."
_LESSON = "Lesson; null while only its title is known."

STUDENTS = Table(
    "students",
    METADATA,
    _id("Number of the student."),
    _field("name", Text, "Name of the student."),
    _field(
        "batch_id", BigInteger, "Batch that the student is in; it may not be known yet.", index=True
    ),
    _field("created_at", DateTime, "When the student was entered, in UTC."),
    info={"made_from": "source", "setting": "STUDENTS_DB"},
    comment="Students of the school, as its database has them now or had them last.",
)

BATCHES = Table(
    "batches",
    METADATA,
    _id("Number of the batch."),
    _field("name", Text, "Name of the batch."),
    _field("created_at", DateTime, "When the batch was made, in UTC.", nullable=False),
    info={"made_from": "source", "setting": "BATCHES_URL"},
    comment="Batches: groups of students that learn together.",
)

TEST_RUNS = Table(
    "test_runs",
    METADATA,
    Column(
        "log_position",
        WholeNumber,
        primary_key=True,
        autoincrement=False,
        info={"is_position": True},
        comment="Where the line begins, in bytes from the beginning of the log; a log that was "
        "rotated or truncated counts on from where the one before it was left.",
    ),
    _field("student_id", BigInteger, "Student whose tests ran.", nullable=False),
    _field("lesson_id", BigInteger, "Lesson of the tests; null if the line gave only its title."),
    _field("lesson_title", Text, "Title of the lesson; null if the line gave only its number."),
    Column("tests_passed", BigInteger, nullable=False, comment="Tests that passed."),
    Column("tests_total", BigInteger, nullable=False, comment="Tests that ran."),
    Column(
        "is_completed", Boolean, nullable=False, comment="Whether all tests passed: passed = total."
    ),
    comment="Runs of the tests of a lesson, one for each usable line of the log.",
    info={"made_from": "log", "setting": "TEST_RUNS_LOG", "is_large": True},
)

LESSONS = Table(
    "lessons",
    METADATA,
    Column("lesson_id", WholeNumber, primary_key=True, autoincrement=False, comment="Number."),
    Column(
        "lesson_title",
        Text,
        nullable=False,
        comment="Its title; of several the one that came last with its number.",
    ),
    comment="Lessons whose number and title are known, from test runs that carried both.",
    info={"causes": [_last_run("lesson_id")]},
)

LESSON_TITLES = Table(
    "lesson_titles",
    METADATA,
    Column("lesson_title", Text, primary_key=True, comment="A title, also a former one."),
    Column(
        "lesson_id",
        BigInteger,
        nullable=False,
        comment="Lesson that it stands for; of several the one that came last with it.",
    ),
    comment="Which lesson a test run is of that gives only a title.",
    info={"causes": [_last_run("lesson_title")]},
    sqlite_with_rowid=False,
)

LESSON_COMPLETIONS = Table(
    "lesson_completions",
    METADATA,
    Column("student_id", BigInteger, primary_key=True, autoincrement=False, comment=_STUDENT),
    Column(
        "lesson_key",
        Text,
        primary_key=True,
        comment="The lesson: id: and its number, or title: and its title while that is all that is "
        "known.",
    ),
    Column("lesson_id", BigInteger, comment=_LESSON),
    Column("lesson_title", Text, comment="Its title; null while only its number is known."),
    Column(
        "runs",
        BigInteger,
        nullable=False,
        comment="How often the student ran its tests, completed or not.",
    ),
    Column(
        "first_completed_log_position",
        BigInteger,
        comment="log_position of the first run in which all tests passed; null if there is none.",
    ),
    comment="What each student tried: a row for each lesson whose tests they ran; it is completed "
    "if first_completed_log_position is not null.",
    info={
        "causes": [
            Cause(
                "test_runs",
                """row.student_id = wanted.student_id
                AND (concat('id:', row.lesson_id) = wanted.lesson_key OR (row.lesson_id IS NULL
                AND (concat('title:', row.lesson_title) = wanted.lesson_key
                OR row.lesson_title IN (SELECT lesson_title FROM lesson_titles
                    WHERE lesson_titles.lesson_id = wanted.lesson_id))))""",
            ),
            Cause(
                "lesson_titles",
                """(concat('id:', row.lesson_id) = wanted.lesson_key
                OR concat('title:', row.lesson_title) = wanted.lesson_key)
                AND row.lesson_title IN (SELECT lesson_title FROM test_runs
                    WHERE test_runs.student_id = wanted.student_id AND test_runs.lesson_id IS NULL)
                """,
            ),
            Cause(
                "lessons",
                "concat('id:', row.lesson_id) = wanted.lesson_key",
                decides=["lesson_title"],
            ),
        ],
    },
    sqlite_with_rowid=False,
)

_CHART_OF_BATCHES = {
    "usermeta": {"first_rows": 30},
    "height": {"step": 20},
    "transform": [
        {"joinaggregate": [{"op": "count", "as": "namesakes"}], "groupby": ["batch_name"]},
        {
            "calculate": "datum.batch_name && datum.namesakes == 1 "
            "? datum.batch_name : (datum.batch_name || 'batch') + ' ' + datum.batch_id",
            "as": "batch",
        },
    ],
    "mark": "bar",
    "encoding": {
        "y": {"field": "batch", "sort": {"field": "batch_rank"}, "title": None},
        "x": {
            "field": "students_completed",
            "type": "quantitative",
            "title": "Students",
            "axis": {"tickMinStep": 1},
        },
    },
}

BATCH_COMPLETIONS = Table(
    "batch_completions",
    METADATA,
    Column("batch_id", WholeNumber, primary_key=True, autoincrement=False, comment="Batch."),
    Column("batch_name", Text, comment="Its name."),
    Column("students", BigInteger, nullable=False, comment="Students that are in it."),
    Column(
        "students_with_3_lessons",
        BigInteger,
        nullable=False,
        comment="Of them, students that completed at least 3 different lessons.",
    ),
    Column(
        "share_with_3_lessons",
        Double,
        comment="students_with_3_lessons / students; null if it has no students.",
    ),
    Column(
        "batch_rank",
        BigInteger,
        nullable=False,
        comment="1 for the most students_completed; as many have the same rank, and the ranks "
        "after them are left out.",
        index=True,
    ),
    Column(
        "lessons_to_complete",
        BigInteger,
        comment="How many different lessons a student must have completed to count in the next "
        "columns: COMPLETED_LESSONS, 3 by default.",
    ),
    Column(
        "students_completed",
        BigInteger,
        comment="Students of the batch that completed at least lessons_to_complete lessons.",
    ),
    Column(
        "share_completed",
        Double,
        comment="students_completed / students; null if it has no students.",
    ),
    comment="Every batch, ranked by the students that completed at least COMPLETED_LESSONS "
    "lessons, 3 by default.",
    info={
        "answers": "Which batches have the most students that completed at least "
        "{completed_lessons} lessons?",
        "chart": _CHART_OF_BATCHES,
        "order": ["batch_rank", "batch_id"],
        "constants": lambda settings: {"completed_lessons": settings.completed_lessons},
        "causes": [
            Cause("batches", "row.id = wanted.batch_id"),
            Cause("students", "row.batch_id = wanted.batch_id"),
            Cause(
                "lesson_completions",
                """row.student_id IN (SELECT id FROM students
                WHERE students.batch_id = wanted.batch_id)""",
            ),
            *(
                Cause(table, "true", context="batch_rank")
                for table in ("batches", "students", "lesson_completions")
            ),
        ],
    },
)

TABLES = (
    STUDENTS,
    BATCHES,
    TEST_RUNS,
    LESSONS,
    LESSON_TITLES,
    LESSON_COMPLETIONS,
    BATCH_COMPLETIONS,
)
