"""The arithmetic, by hand and beside a model that looks back each time."""

import subprocess
import sys
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse_assets.defs.deliveries.average import LATE, NOTHING_OPEN, RunningAverage
from warehouse_assets_tests.defs.deliveries.steps import (
    NOON,
    ORIGINAL,
    WINDOW,
    Step,
    any_steps,
    expected,
)

TWENTY_MINUTES = timedelta(minutes=20)


def at(minute: float) -> datetime:
    return NOON + timedelta(minutes=minute)


def taken(*steps: Step, window: timedelta = WINDOW) -> RunningAverage:
    average = RunningAverage(window)
    for step in steps:
        average.add(*step)
    return average


def test_the_eight_records_give_none_seven_times_and_then_twenty_minutes() -> None:
    average = RunningAverage()

    assert [average.ingest(record) for record in ORIGINAL] == [None] * 7 + [TWENTY_MINUTES]
    assert (average.successes, average.openings, average.open, average.abandoned) == (1, 3, 1, 1)
    assert [average.ingest(record) for record in ORIGINAL] == [TWENTY_MINUTES] * 8
    assert average.successes == 1


def test_the_function_of_the_package_needs_only_the_standard_library() -> None:
    program = f"""import sys
from warehouse_assets.defs.deliveries import ingest
print([ingest(record) for record in {ORIGINAL!r}])
names = {{name.partition('.')[0] for name in sys.modules}}
print(names - sys.stdlib_module_names - {{'__main__'}})"""
    ended = subprocess.run(
        [sys.executable, "-S", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=__file__.partition("warehouse_assets_tests")[0],
    )

    answers, modules = ended.stdout.splitlines()
    assert answers == repr([None] * 7 + [TWENTY_MINUTES])
    assert modules == "{'warehouse_assets'}"


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        # Without the steps between.
        ([(1, 1, 0), (1, 4, 3)], {"average": 3, "successes": 1}),
        ([(1, 1, 0), (2, 1, 1), (1, 4, 4), (2, 4, 11)], {"total": 14, "average": 7}),
        # Ended at the moment of its opening.
        (
            [(1, 1, 0), (1, 4, 0), (1, 4, 0), (1, 1, 0)],
            {"average": 0, "successes": 1, "repetitions": 2},
        ),
        # A repeated opening does not abandon, a new one does.
        ([(1, 1, 0), (1, 1, 0), (1, 4, 5)], {"average": 5, "openings": 1}),
        ([(1, 1, 0), (1, 1, 10), (1, 1, 0), (1, 4, 15)], {"average": 5, "abandoned": 1}),
        # An opening that comes after its last step is a repetition of older times.
        (
            [(1, 4, 10), (1, 1, 0), (1, 4, 10)],
            {"successes": 0, "rejected": 1, "repetitions": 2, "average": None},
        ),
        # As long as the setting says, and longer.
        ([(1, 1, 0), (1, 4, 60)], {"successes": 1, "abandoned": 0}),
        ([(1, 1, 0), (1, 4, 60.1)], {"successes": 0, "abandoned": 1, "rejected": 1}),
    ],
)
def test_what_steps_come_to(
    steps: list[tuple[int, int, float]], expected: dict[str, float | None]
) -> None:
    average = taken(*((customer, step, at(minute)) for customer, step, minute in steps))
    for name, value in expected.items():
        is_time = name in {"average", "total"} and value is not None
        assert getattr(average, name) == (timedelta(minutes=value or 0) if is_time else value)


@pytest.mark.parametrize("step", [2, 3, 4])
def test_a_step_with_nothing_open_is_rejected(step: int) -> None:
    average = RunningAverage(WINDOW)

    assert average.add(1, step, at(0)) == NOTHING_OPEN
    assert (average.rejected, average.average) == (1, None)


def test_a_step_that_is_further_back_is_late() -> None:
    average = taken((1, 1, at(0)))

    assert average.add(2, 1, at(100)) is None
    assert average.add(1, 4, at(39)) == LATE
    assert average.add(3, 1, at(40)) is None
    assert (average.open, average.abandoned) == (2, 1)


def test_the_first_and_the_last_times_there_are_can_be_taken() -> None:
    first = datetime.fromisoformat("0001-01-01T00:00:00")
    last = datetime.fromisoformat("9999-12-31T23:59:59.999999")
    average = taken((1, 1, first), (1, 4, first), (1, 1, last), (1, 4, last))

    assert (average.average, average.successes) == (timedelta(), 2)


def test_customers_of_long_ago_are_forgotten() -> None:
    average = RunningAverage(WINDOW)
    for customer in range(20_000):
        average.add(customer, 1, at(customer / 10))
        average.add(customer, 4, at(customer / 10))

    assert len(average.opened) + len(average.closed) <= 2 * 600 + 1024
    assert average.successes == 20_000


@settings(max_examples=100, deadline=None)
@given(any_steps())
def test_any_sequence_comes_to_what_the_model_says(steps: list[Step]) -> None:
    average, model = taken(*steps), expected(steps)

    assert (average.average, average.successes) == (model.average, model.successes)
    assert (average.rejected, average.openings) == (model.rejected, model.openings)


@settings(max_examples=60, deadline=None)
@given(any_steps(20), st.data())
def test_what_is_repeated_within_the_window_counts_once(
    steps: list[Step], data: st.DataObject
) -> None:
    once = taken(*steps, window=10 * WINDOW)
    again = list(steps)
    for _ in range(data.draw(st.integers(0, 4))):
        end = data.draw(st.integers(0, len(again)))
        start = data.draw(st.integers(0, end))
        place = data.draw(st.integers(end, len(again)))
        again[place:place] = again[start:end]
    repeated = taken(*again, window=10 * WINDOW)

    assert (repeated.total, repeated.successes) == (once.total, once.successes)
