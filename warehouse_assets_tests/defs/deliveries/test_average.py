"""The arithmetic, by hand and beside a model that looks back each time."""

import random
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
    record_of,
    step_of,
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


def test_the_eight_records_twice_count_once() -> None:
    average = RunningAverage()

    answers = [average.ingest(record) for record in ORIGINAL * 2]

    assert answers == [None] * 7 + [TWENTY_MINUTES] * 9
    assert average.successes == 1


@pytest.mark.parametrize("seed", range(20))
def test_the_order_of_customers_does_not_matter(seed: int) -> None:
    chance = random.Random(seed)
    own = {c: [r for r in ORIGINAL if r["Customer"] == c] for c in (1, 2)}
    turns = [record["Customer"] for record in ORIGINAL]
    chance.shuffle(turns)
    average = RunningAverage()
    for customer in turns:
        average.ingest(own[customer].pop(0))

    assert (average.average, average.successes, average.abandoned) == (TWENTY_MINUTES, 1, 1)


def test_a_delivery_succeeds_without_the_steps_between() -> None:
    assert taken((1, 1, at(0)), (1, 4, at(3))).average == timedelta(minutes=3)


def test_the_average_is_over_all_successes() -> None:
    average = taken((1, 1, at(0)), (2, 1, at(1)), (1, 4, at(4)), (2, 4, at(11)))

    assert (average.total, average.average) == (timedelta(minutes=14), timedelta(minutes=7))


def test_a_delivery_may_end_at_the_moment_of_its_opening() -> None:
    average = taken((1, 1, at(0)), (1, 4, at(0)), (1, 4, at(0)), (1, 1, at(0)))

    assert (average.average, average.successes, average.repetitions) == (timedelta(), 1, 2)


def test_a_repeated_opening_does_not_abandon_its_delivery() -> None:
    average = taken((1, 1, at(0)), (1, 1, at(0)), (1, 4, at(5)))

    assert (average.average, average.openings) == (timedelta(minutes=5), 1)


def test_a_new_opening_abandons_the_open_delivery() -> None:
    average = taken((1, 1, at(0)), (1, 1, at(10)), (1, 1, at(0)), (1, 4, at(15)))

    assert (average.average, average.abandoned) == (timedelta(minutes=5), 1)


@pytest.mark.parametrize("step", [2, 3, 4])
def test_a_step_with_nothing_open_is_rejected(step: int) -> None:
    average = RunningAverage(WINDOW)

    assert average.add(1, step, at(0)) == NOTHING_OPEN
    assert (average.rejected, average.average) == (1, None)


def test_an_opening_that_comes_after_its_last_step_is_a_repetition_of_older_times() -> None:
    average = taken((1, 4, at(10)), (1, 1, at(0)), (1, 4, at(10)))

    assert (average.successes, average.rejected, average.repetitions) == (0, 1, 2)


def test_a_delivery_may_stay_open_for_as_long_as_the_setting_says() -> None:
    on_time, late = taken((1, 1, at(0)), (1, 4, at(60))), taken((1, 1, at(0)), (1, 4, at(60.1)))

    assert (on_time.successes, on_time.abandoned) == (1, 0)
    assert (late.successes, late.abandoned, late.rejected) == (0, 1, 1)


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


@settings(max_examples=300, deadline=None)
@given(any_steps())
def test_any_sequence_comes_to_what_the_model_says(steps: list[Step]) -> None:
    average, model = taken(*steps), expected(steps)

    assert (average.average, average.successes) == (model.average, model.successes)
    assert (average.rejected, average.openings) == (model.rejected, model.openings)


@settings(max_examples=200, deadline=None)
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


@settings(max_examples=100, deadline=None)
@given(any_steps())
def test_records_come_to_what_their_steps_do(steps: list[Step]) -> None:
    by_records, by_steps = RunningAverage(WINDOW), RunningAverage(WINDOW)
    for step in steps:
        by_steps.add(*step)
        assert by_records.ingest(record_of(step)) == by_steps.average


def test_the_records_of_the_question_are_read_as_steps() -> None:
    assert step_of(ORIGINAL[7]) == (2, 4, at(35))
