"""The asset checks of the school family."""

from sqlalchemy import Table

from warehouse_assets.defs.school.tables import (
    BATCH_COMPLETIONS,
    BATCHES,
    LESSON_COMPLETIONS,
    LESSON_TITLES,
    STUDENTS,
    TEST_RUNS,
)
from warehouse_assets.orchestration.checks import Check
from warehouse_assets.orchestration.standard_checks import no_rows

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
        no_rows(
            "values_are_plausible",
            "runs is 1 or more, and there is a lesson_id or a lesson_title.",
            """SELECT * FROM lesson_completions
            WHERE runs < 1 OR (lesson_id IS NULL AND lesson_title IS NULL)""",
            blocks=True,
        ),
        no_rows(
            "runs_add_up",
            "The runs of all students and lessons add up to the test runs there are.",
            """SELECT * FROM (SELECT coalesce(sum(runs), 0) AS runs_of_lessons
                FROM lesson_completions), (SELECT count(*) AS runs FROM test_runs)
            WHERE runs_of_lessons <> runs""",
            reads=[TEST_RUNS],
            is_warning=True,
        ),
    ],
    BATCH_COMPLETIONS: [
        no_rows(
            "values_are_plausible",
            "Of the students of a batch at most all completed 3 lessons; ranks begin with 1.",
            """SELECT * FROM batch_completions
            WHERE students_with_3_lessons NOT BETWEEN 0 AND students OR batch_rank < 1
                OR share_with_3_lessons NOT BETWEEN 0 AND 1""",
            blocks=True,
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
