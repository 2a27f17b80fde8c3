"""What a sample school does: the same from the same seed, with everything that schools do."""

import json
import random
from collections import Counter

import pytest

from warehouse_assets.samples import school
from warehouse_assets.samples.school import (
    UNUSABLE,
    Batch,
    Change,
    Event,
    Line,
    Run,
    School,
    Student,
    seats,
)
from warehouse_assets_tests.defs.school import line_model

NOW = "2026-11-20 13:51:54.463573"


def happen(count: int, seed: int = 1, students: int = 0) -> list[Event]:
    school = School(seed, students)
    return [school.next_event(NOW) for _ in range(count)]


def runs_of(events: list[Event]) -> list[Run]:
    return [event.run for event in events if isinstance(event, Line) and event.run]


def run_of(line: bytes) -> tuple[object, ...] | None:
    """The run that a line tells of, as another reads it; None if it is not usable."""
    values = line_model.values_of(line)
    return None if values is None else values[:-1]


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return happen(15_000)


@pytest.fixture(scope="module")
def texts(events: list[Event]) -> list[str]:
    return [e.text.decode() for e in events if isinstance(e, Line) and e.run is not None]


def test_the_same_seed_makes_the_same_events() -> None:
    assert happen(2000, seed=3) == happen(2000, seed=3)
    assert happen(2000, seed=3) != happen(2000, seed=4)


def test_a_school_numbers_on_and_makes_up_for_batches(events: list[Event]) -> None:
    assert [type(event) for event in happen(4)] == [Batch, Batch, Student, Line]
    for kind in (Batch, Student):
        numbers = [event.id for event in events if isinstance(event, kind)]
        assert numbers == list(range(1, len(numbers) + 1))
    made = happen(20, students=30)
    assert [event.id for event in made if isinstance(event, Batch)] == [1, 2, 3, 4]
    assert [event.id for event in made if isinstance(event, Student)] == [31]


def test_a_hundred_batches_take_more_students_than_come_in_a_second() -> None:
    # At full speed there are some 1,500 of them.
    assert min(seats(batches + 100) - seats(batches) for batches in range(2000)) > 3000


def test_students_come_before_their_batch_or_without_one_and_change(events: list[Event]) -> None:
    batches: set[int] = set()
    early, undecided = 0, 0
    for event in events:
        if isinstance(event, Batch):
            batches.add(event.id)
        elif isinstance(event, Student):
            undecided += event.batch_id is None
            early += event.batch_id is not None and event.batch_id not in batches
    assert early > 5
    assert undecided > 1
    changes = [event for event in events if isinstance(event, Change)]
    assert {(change.name is None, change.batch_id is None) for change in changes} == {
        (True, False),
        (False, True),
    }


def test_every_way_of_writing_occurs_and_most_lines_have_a_comma_for_a_colon(
    texts: list[str],
) -> None:
    flawed = [text for text in texts if '"student_id",' in text]
    assert 0.7 < len(flawed) / len(texts) < 0.9
    with pytest.raises(json.JSONDecodeError):
        json.loads(flawed[0])
    quirks = (" out of ", "/", '"lesson_id": "4"', '"lesson_id": 4', '"student_id", 3')
    more = ('"student_id": 3', '"student_id",3', "\\u00dcbung", "Übung", '{"lesson_')
    for quirk in (*quirks, *more, "Joins, inner and outer"):
        assert any(quirk in text for text in texts), quirk


def test_a_lesson_is_told_by_its_number_or_title_which_change(events: list[Event]) -> None:
    runs = runs_of(events)
    told = Counter((run.lesson_id is not None, run.lesson_title is not None) for run in runs)
    numbers: dict[str, list[int | None]] = {}
    titles: dict[int | None, set[str]] = {}
    for run in runs:
        if run.lesson_title:
            numbers.setdefault(run.lesson_title, []).append(run.lesson_id)
            titles.setdefault(run.lesson_id, set()).add(run.lesson_title)

    assert set(told) == {(True, True), (True, False), (False, True)}
    assert min(told.values()) > len(runs) / 10
    assert set(numbers["Exam"]) == {None, 12, 13}
    assert titles[11] == {"Windows", "Window functions"}
    assert set(numbers["Guest lecture"]) == {None}
    # The number of a lesson may be told long after its title.
    assert set(numbers["Project"][:100]) == {None}
    assert set(numbers["Project"]) == {None, 10}


def test_every_kind_of_unusable_line_and_blank_ones_occur(events: list[Event]) -> None:
    lines = [event for event in events if isinstance(event, Line)]
    others = Counter(line.text for line in lines if line.run is None)

    assert set(others) == {*UNUSABLE, b"", b"  "}
    assert others.total() / len(lines) < 0.05


@pytest.mark.parametrize("text", UNUSABLE)
def test_what_is_unusable_is_so_for_whoever_reads_it(text: bytes) -> None:
    assert run_of(text) is None
    assert text.strip()
    assert b"\n" not in text


def test_a_line_tells_its_run() -> None:
    chance = random.Random(1)
    for lesson, title in ((4, None), (None, "Übung: a, b"), (4, 'The "N+1"')):
        run = Run(3, lesson, title, 2, 5)
        for _ in range(100):
            assert run_of(school.written(run, chance)) == run


def test_a_clock_that_is_set_back_does_not_change_the_order_of_batches() -> None:
    school = School(1)
    times = iter(["2026-11-20 13:51:54.463573", "2026-11-20 13:51:50.000000"])

    made = [school.next_event(time) for time in times]

    assert [event.created_at for event in made if isinstance(event, Batch)] == [NOW, NOW]
