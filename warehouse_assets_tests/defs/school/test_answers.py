"""Which lessons students completed, and how batches rank: the school's SQL on a handful of rows."""

from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse_assets.defs import school
from warehouse_assets.defs.school.tables import BATCHES, STUDENTS, TEST_RUNS
from warehouse_assets.tables import duckdb_type

_SQL = Path(school.__file__).parent / "sql"
_COMPUTED = ("lessons", "lesson_titles", "lesson_completions", "batch_completions")

Run = tuple[int, int | None, str | None, str]
"""Student, number and title of the lesson, and the result, `a/b`."""


@cache
def _engine() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def answer(
    table: str,
    runs: Sequence[Run] = (),
    students: Sequence[tuple[int, int | None]] = (),
    batches: Sequence[int] = (),
    lessons: int = 3,
) -> list[tuple[Any, ...]]:
    """The rows of `table`, sorted.

    Args:
        runs: in the order of the log, at the positions 0, 100, 200 and so on.
        students: number and batch.
        batches: numbers; their names are `batch NUMBER`.
        lessons: how many a student must have completed.
    """
    rows: dict[Any, list[tuple[Any, ...]]] = {
        TEST_RUNS: [_row(100 * index, run) for index, run in enumerate(runs)],
        STUDENTS: [(student, f"student {student}", batch, None) for student, batch in students],
        BATCHES: [(batch, f"batch {batch}", "2026-01-01") for batch in batches],
    }
    with _engine().cursor() as connection:
        for declaration, values in rows.items():
            columns = ", ".join(f'"{c.name}" {duckdb_type(c)}' for c in declaration.columns)
            connection.execute(f"CREATE OR REPLACE TABLE {declaration.name} ({columns})")
            if values:
                marks = ", ".join("?" for _ in declaration.columns)
                connection.executemany(f"INSERT INTO {declaration.name} VALUES ({marks})", values)
        connection.execute(
            "CREATE OR REPLACE TABLE constants AS SELECT CAST(? AS BIGINT) AS completed_lessons",
            [lessons],
        )
        for name in _COMPUTED:
            connection.execute(
                f"CREATE OR REPLACE TABLE {name} AS {(_SQL / f'{name}.sql').read_text()}"
            )
        return connection.execute(f"FROM {table} ORDER BY ALL").fetchall()


def _row(position: int, run: Run) -> tuple[Any, ...]:
    student, lesson, title, result = run
    passed, total = map(int, result.split("/"))
    return (position, student, lesson, title, passed, total, passed == total)


def test_lessons_are_learned_from_runs_that_carry_number_and_title() -> None:
    runs = [(1, 4, "Loops", "1/2"), (1, 5, None, "1/2"), (1, None, "Tests", "1/2")]
    assert answer("lessons", runs) == [(4, "Loops")]
    assert answer("lesson_titles", runs) == [("Loops", 4)]


def test_of_several_titles_the_last_is_the_lessons_and_all_stand_for_it() -> None:
    runs = [(1, 4, "Loop", "1/2"), (1, 4, "Loops", "1/2")]
    assert answer("lessons", runs) == [(4, "Loops")]
    assert answer("lesson_titles", runs) == [("Loop", 4), ("Loops", 4)]


def test_a_title_stands_for_the_lesson_that_it_came_with_last() -> None:
    runs = [(1, 4, "Loops", "1/2"), (1, 9, "Loops", "1/2")]
    assert answer("lesson_titles", runs) == [("Loops", 9)]


def test_runs_with_number_and_with_title_are_of_one_lesson_whichever_came_first() -> None:
    runs = [(1, None, "Loops", "2/2"), (1, 4, None, "1/2"), (1, 4, "Loops", "2/2")]
    assert answer("lesson_completions", runs) == [(1, "id:4", 4, "Loops", 3, 0)]


def test_a_title_counts_for_itself_until_its_number_is_known() -> None:
    runs = [(1, None, "4", "1/2"), (1, 4, None, "2/2")]
    assert answer("lesson_completions", runs) == [
        (1, "id:4", 4, None, 1, 100),
        (1, "title:4", None, "4", 1, None),
    ]


def test_the_first_completed_run_is_told_and_later_failures_change_nothing() -> None:
    runs = [(1, 4, None, "1/2"), (1, 4, None, "2/2"), (1, 4, None, "0/2"), (1, 4, None, "2/2")]
    assert answer("lesson_completions", runs) == [(1, "id:4", 4, None, 4, 100)]


def completed(student: int, *lessons: int) -> list[Run]:
    return [(student, lesson, None, "3/3") for lesson in lessons]


def test_batches_are_ranked_by_students_with_three_different_lessons() -> None:
    runs = [
        *completed(1, 1, 2, 3),
        *completed(2, 1, 2, 2, 2),  # two different ones
        *completed(3, 1, 2, 3, 4),
        *completed(4, 1, 2),
        (4, 3, None, "2/3"),  # tried, not completed
        *completed(5, 7, 8, 9),
        *completed(6, 7, 8, 9),
    ]
    students = [(1, 10), (2, 10), (3, 20), (4, 20), (5, 30), (6, 30)]
    assert answer("batch_completions", runs, students, [10, 20, 30]) == [
        (10, "batch 10", 2, 1, 0.5, 2, 3, 1, 0.5),
        (20, "batch 20", 2, 1, 0.5, 2, 3, 1, 0.5),
        (30, "batch 30", 2, 2, 1.0, 1, 3, 2, 1.0),
    ]


def test_every_batch_has_a_row_and_a_rank_after_a_shared_one_is_left_out() -> None:
    runs = [*completed(1, 1, 2, 3), *completed(2, 1, 2, 3)]
    assert answer("batch_completions", runs, [(1, 1), (2, 2), (3, 3)], [1, 2, 3, 4]) == [
        (1, "batch 1", 1, 1, 1.0, 1, 3, 1, 1.0),
        (2, "batch 2", 1, 1, 1.0, 1, 3, 1, 1.0),
        (3, "batch 3", 1, 0, 0.0, 3, 3, 0, 0.0),
        (4, "batch 4", 0, 0, None, 3, 3, 0, None),
    ]


def test_students_of_unknown_batches_and_runs_of_unknown_students_count_nowhere() -> None:
    runs = [*completed(1, 1, 2, 3), *completed(99, 1, 2, 3)]
    students = [(1, 77), (2, None), (3, 5)]
    assert answer("batch_completions", runs, students, [5]) == [
        (5, "batch 5", 1, 0, 0.0, 1, 3, 0, 0.0)
    ]


_RUNS = st.lists(
    st.tuples(
        st.integers(1, 4),
        st.none() | st.integers(1, 4),
        st.none() | st.sampled_from(["Loops", "Tests", "4"]),
        st.sampled_from(["1/2", "2/2"]),
    ).filter(lambda run: run[1] is not None or run[2] is not None),
    max_size=40,
)


@settings(max_examples=14, deadline=None)
@given(_RUNS, st.lists(st.none() | st.integers(1, 4), min_size=4, max_size=4), st.integers(1, 5))
def test_any_runs_give_what_counting_in_python_gives(
    runs: Sequence[Run], batch_of: Sequence[int | None], wanted: int
) -> None:
    number_of = {title: number for _, number, title, _ in runs if number and title}
    lessons: defaultdict[int, set[int | str]] = defaultdict(set)
    for student, number, title, result in runs:
        if result == "2/2":
            lesson = number or number_of.get(title or "") or title
            lessons[student] |= {lesson} if lesson else set()

    students = list(enumerate(batch_of, start=1))
    rows = answer("batch_completions", runs, students, [1, 2, 3], wanted)

    def counts(least: int) -> list[int]:
        strong = {student for student, found in lessons.items() if len(found) >= least}
        return [sum(s in strong for s, of in students if of == b) for b in (1, 2, 3)]

    for batch in (1, 2, 3):
        members = sum(of == batch for _, of in students)
        of_three, of_wanted = counts(3)[batch - 1], counts(wanted)[batch - 1]
        rank = 1 + sum(other > of_wanted for other in counts(wanted))
        shares = [n / members if members else None for n in (of_three, of_wanted)]
        assert rows[batch - 1] == (
            *(batch, f"batch {batch}", members, of_three, shares[0], rank),
            *(wanted, of_wanted, shares[1]),
        )
