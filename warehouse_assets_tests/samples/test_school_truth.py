"""What the answers must be, for a school small enough to count by hand."""

import pytest

from warehouse_assets_tests.samples.school_truth import Rows, ranking

Run = tuple[int, int | None, str | None]  # completed, of student 1 unless it is told


def finished(*runs: Run, failed: tuple[Run, ...] = ()) -> int:
    """How many students of batch 1, whose only student is 1, have completed enough."""
    rows: Rows = [(at, *run, 1, 2) for at, run in enumerate(failed)]
    rows += [(100 + at, *run, 2, 2) for at, run in enumerate(runs)]
    ((_, _, count, _),) = ranking([(1, "Ada", 1)], [(1, "A")], rows)
    return int(count)


@pytest.mark.parametrize(
    ("runs", "failed", "count"),
    [
        ([(1, 4, None), (1, 5, None), (1, 6, None)], [], 1),
        ([(1, 4, None), (1, 5, None), (1, 5, None), (1, 4, None)], [], 0),
        ([(1, 4, None), (1, 5, None)], [(1, 6, None)], 0),
        ([(1, 4, None), (1, 6, None), (1, None, "Joins"), (9, 6, "Joins")], [], 0),
        # A title alone counts for the lesson that came with it last.
        ([(9, 6, "J"), (1, 4, None), (1, 6, None), (1, None, "J"), (9, 7, "J")], [], 1),
        ([(1, 4, None), (1, 5, None), (1, None, "Guest lecture")], [], 1),
        # Two titles of one lesson.
        ([(1, 4, None), (1, None, "W"), (1, None, "X")], [(9, 6, "W"), (9, 6, "X")], 0),
    ],
)
def test_enough_is_three_different_lessons(runs: list[Run], failed: list[Run], count: int) -> None:
    assert finished(*runs, failed=tuple(failed)) == count


def test_every_batch_has_a_row_and_as_many_share_a_rank() -> None:
    students: Rows = [(1, "Ada", 2), (2, "Bo", 1), (3, "Cy", 9), (4, "Di", None)]
    runs = [(s * 10 + n, s, n, None, 2, 2) for s in (1, 3, 4, 7) for n in (4, 5, 6)]

    assert ranking(students, [(1, "A"), (2, "B"), (3, "C")], runs) == [
        (2, 1, 1, 1),
        (1, 1, 0, 2),
        (3, 0, 0, 2),
    ]
