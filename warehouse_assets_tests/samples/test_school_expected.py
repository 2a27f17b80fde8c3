"""What the answers must be, for a school small enough to count by hand."""

from collections.abc import Sequence

import pytest

from warehouse_assets.samples.school import Batch, Change, Event, Line, Student
from warehouse_assets.samples.school_expected import expected_batch_completions, expected_ranks
from warehouse_assets.samples.school_lines import Run
from warehouse_assets.samples.school_places import Places
from warehouse_assets.samples.school_samples import write_school_samples
from warehouse_assets.samples.school_writer import SchoolWriter
from warehouse_assets_tests.samples.school_truth import rows

NOW = "2026-11-20 13:51:54.463573"


def run(student: int, lesson: int | None, title: str | None = None, score: str = "2/2") -> Line:
    passed, total = map(int, score.split("/"))
    return Line(b"a line", Run(student, lesson, title, passed, total), None)


def finished(places: Places, *runs: Line) -> int:
    """How many students of batch 1, whose only student is 1, have completed enough."""
    return completions(places, [Batch(1, "A", NOW), Student(1, "Ada", 1, NOW), *runs])[0][2]


def completions(places: Places, events: Sequence[Event]) -> list[tuple[int, int, int]]:
    with SchoolWriter(places) as writer:
        writer.write(events)
    return expected_batch_completions(places.ledger)


def test_three_lessons_are_enough(places: Places) -> None:
    assert finished(places, run(1, 4), run(1, 5), run(1, 6)) == 1


def test_two_lessons_are_not_however_often_they_are_completed(places: Places) -> None:
    assert finished(places, run(1, 4), run(1, 5), run(1, 5), run(1, 4)) == 0


def test_a_lesson_is_completed_if_all_its_tests_pass(places: Places) -> None:
    assert finished(places, run(1, 4), run(1, 5), run(1, 6, score="1/2")) == 0


def test_a_failed_run_does_not_undo_a_completion(places: Places) -> None:
    assert finished(places, run(1, 4), run(1, 5), run(1, 6), run(1, 6, score="0/2")) == 1


def test_a_title_alone_counts_for_its_lesson(places: Places) -> None:
    known = run(9, 6, "Joins")

    assert finished(places, run(1, 4), run(1, 6), run(1, None, "Joins"), known) == 0


def test_a_title_alone_counts_for_the_lesson_that_came_with_it_last(places: Places) -> None:
    runs = [run(1, 4), run(1, 6), run(1, None, "Joins")]

    assert finished(places, run(9, 6, "Joins"), *runs, run(9, 7, "Joins")) == 1


def test_a_title_whose_lesson_is_unknown_is_a_lesson(places: Places) -> None:
    assert finished(places, run(1, 4), run(1, 5), run(1, None, "Guest lecture")) == 1


def test_two_titles_may_be_of_one_lesson(places: Places) -> None:
    both = [run(9, 6, "Windows", "0/1"), run(9, 6, "Window functions", "0/1")]
    runs = [run(1, 4), run(1, None, "Windows"), run(1, None, "Window functions")]

    assert finished(places, *both, *runs) == 0


def test_a_student_counts_where_they_are_last_and_every_batch_has_a_row(places: Places) -> None:
    events: list[Event] = [
        Batch(1, "A", NOW),
        Batch(2, "B", NOW),
        Batch(3, "C", NOW),
        Student(1, "Ada", 1, NOW),
        Student(2, "Bo", 1, NOW),
        Student(3, "Cy", 9, NOW),
        Student(4, "Di", None, NOW),
        *(run(student, lesson) for student in (1, 3, 4, 7) for lesson in (4, 5, 6)),
        Change(1, None, 2),
    ]

    assert completions(places, events) == [(2, 1, 1), (1, 1, 0), (3, 0, 0)]


def test_as_many_share_a_rank_and_the_ranks_after_them_are_left_out() -> None:
    ranks = expected_ranks([(5, 9, 3), (2, 9, 3), (7, 9, 1), (1, 0, 0)])

    assert ranks == {5: 1, 2: 1, 7: 3, 1: 4}


@pytest.mark.parametrize("seed", [1, 2])
def test_the_samples_have_an_answer_worth_asking_for(places: Places, seed: int) -> None:
    write_school_samples(places, 200, seed)

    expected = expected_batch_completions(places.ledger)

    assert len({finished for _, _, finished in expected}) > 4
    assert sum(students for _, students, _ in expected) < 200  # some are in no batch that began
    assert [batch for batch, _, _ in sorted(expected)] == [
        batch for (batch,) in rows(places.ledger, "SELECT id FROM batches ORDER BY id")
    ]
