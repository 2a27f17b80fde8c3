"""The durable state: any cuts, any deaths, any number of takers, each record counts once."""

import multiprocessing
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from warehouse_assets.defs.deliveries.catch_up import DeliveryAverage
from warehouse_assets.defs.deliveries.state import (
    CUSTOMERS,
    Snapshot,
    average_up_to,
    state_database,
)
from warehouse_assets.errors import BusyError, SourceError, WarehouseError
from warehouse_assets.progress import heard_by
from warehouse_assets_tests.crashes import kill_at
from warehouse_assets_tests.defs.deliveries.feeds import Feed, come_to, dying_at
from warehouse_assets_tests.defs.deliveries.steps import (
    NOON,
    ORIGINAL,
    Step,
    any_steps,
    expected,
    step_of,
)
from warehouse_assets_tests.warehouse.reused import emptied_database

MINUTE = timedelta(minutes=1)
_KINDS = ["sqlite", "postgresql"]


def _url(kind: str) -> str | None:
    """Where the state is, if not in the folder of the feed."""
    return emptied_database("state") if kind == "postgresql" else None


@pytest.fixture(params=_KINDS)
def feed(request: pytest.FixtureRequest, tmp_path: Path) -> Feed:
    """A feed that is taken in transactions of a few lines."""
    return Feed(tmp_path, _url(request.param), together=200)


def many(customers: int, rounds: int) -> list[Step]:
    """Deliveries of a customer after the other, each of as many seconds as its number."""
    steps = []
    for number in range(rounds):
        for customer in range(customers):
            opened = NOON + 20 * number * MINUTE
            steps += [(customer, 1, opened), (customer, 4, opened + timedelta(seconds=number + 1))]
    return steps


def test_records_count_once_however_often_they_are_given(feed: Feed) -> None:
    assert feed.average.snapshot() == Snapshot()
    assert not feed.state.exists()
    feed.write(step_of(record) for record in ORIGINAL)

    change = feed.average.catch_up()

    now = change.after
    assert (now.average, now.successes, now.open, now.abandoned) == (20 * MINUTE, 1, 1, 1)
    assert (now.records, now.position, change.lag) == (8, feed.path.stat().st_size, 0)
    assert feed.average.snapshot(now) is now
    assert not feed.average.catch_up().is_any
    feed.write(step_of(record) for record in ORIGINAL)
    feed.average.catch_up()
    now = feed.another().snapshot()
    assert (now.average, now.successes, now.records) == (20 * MINUTE, 1, 16)


def test_lines_that_cannot_be_used_are_counted_and_a_cut_one_is_waited_for(feed: Feed) -> None:
    feed.append(
        b'\xef\xbb\xbf{"deliveryStep": 1, "Customer": 1, "Timestamp": "2020-01-01T12:00"}\r\n'
    )
    feed.append(b"\n  \n{\n\xff\xfe\n[]\n" + b"x" * 100 + b"\n")
    feed.write([(1, 4, NOON + MINUTE), (2, 3, NOON), (2, 1, NOON)])
    feed.append('{"Delivery Step": 4, "Customer": 2, ')

    change = feed.average.catch_up()

    now = change.after
    assert (now.records, now.unusable, now.rejected, change.lag) == (4, 4, 1, 36)
    assert now.average == MINUTE
    feed.append('"Timestamp": "2020-01-01T12:05:00"}\n')
    assert feed.average.catch_up().after.average == 3 * MINUTE


def test_a_rotated_feed_is_read_to_its_end_and_a_truncated_one_from_its_beginning(
    feed: Feed,
) -> None:
    feed.write([(1, 1, NOON)])
    feed.average.catch_up()
    feed.write([(1, 4, NOON + MINUTE), (2, 1, NOON)])
    feed.path.rename(feed.path.with_name("deliveries.jsonl.1"))
    feed.write([(2, 4, NOON + 3 * MINUTE)])
    now = feed.average.catch_up().after
    assert (now.records, now.average) == (4, 2 * MINUTE)

    for path in feed.path.parent.glob("deliveries.jsonl*"):
        path.unlink()
    feed.write([(3, 1, NOON)])
    told: list[str] = []

    with heard_by(told.append):
        now = feed.average.catch_up().after

    assert (now.records, now.successes, now.open) == (5, 2, 1)
    assert "was truncated" in told[0]


def test_a_feed_at_its_default_place_may_be_missing_and_a_given_one_may_not(tmp_path: Path) -> None:
    assert Feed(tmp_path, is_given=False).average.catch_up().is_missing
    with pytest.raises(SourceError, match=r"There is no feed at .*DELIVERIES_FEED"):
        Feed(tmp_path).average.catch_up()


def test_a_state_that_cannot_be_used_is_named_without_its_password(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"no database, but long enough to be looked at " * 100)
    with pytest.raises(WarehouseError, match=r"The state of deliveries.*STATE_URL"):
        Feed(tmp_path).average.catch_up()
    database = state_database("postgresql://me:secret@127.0.0.1:1/none")
    with pytest.raises(BusyError, match="STATE_URL") as raised, database.write():
        pass
    assert "secret" not in str(raised.value)


def test_customers_of_long_ago_are_deleted_and_history_is_kept(feed: Feed) -> None:
    feed.write(many(customers=3, rounds=30))
    size = feed.path.stat().st_size
    assert average_up_to(feed.average.database, size) is None
    part = feed.average.catch_up(is_enough=lambda: True)
    assert 0 < part.after.records < 180
    assert part.lag == size - part.after.position

    now = feed.average.catch_up().after

    assert come_to(now, expected(many(3, 30)))
    with feed.average.database.read() as connection:
        customers = connection.execute(sa.select(CUSTOMERS)).all()
    assert len(customers) == 3
    between = average_up_to(feed.average.database, size - 1)
    assert between is not None
    assert part.after.position <= between[0] < size
    assert average_up_to(feed.average.database, size) == (size, (90, now.total))
    begin = part.after.position
    assert average_up_to(feed.average.database, begin) == (
        begin,
        (part.after.successes, part.after.total),
    )


@pytest.mark.parametrize("kind", _KINDS)
def test_any_sequence_cut_anywhere_and_dead_anywhere_comes_to_the_same(
    kind: str, tmp_path: Path
) -> None:
    numbers = count()

    @settings(
        max_examples=10 if kind == "sqlite" else 4,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(any_steps(25), st.data())
    def holds(steps: list[Step], data: st.DataObject) -> None:
        feed = Feed(tmp_path / str(next(numbers)), _url(kind), together=150)
        feed.path.touch()
        taken = list(steps)
        if len(steps) > data.draw(st.integers(0, 10)):
            start = data.draw(st.integers(0, len(steps) - 1))
            taken[len(steps) :] = steps[start:]
        remaining = list(taken)
        while remaining:
            size = data.draw(st.integers(1, len(remaining)))
            feed.write(remaining[:size])
            del remaining[:size]
            with dying_at(data.draw(st.integers(0, 60))):
                feed.average.catch_up()
            if data.draw(st.integers(0, 1)):
                feed.average = feed.another()
        feed.another().catch_up()
        assert come_to(feed.average.snapshot(), expected(taken))
        shutil.rmtree(feed.path.parent)

    holds()


def _take(folder: Path, url: str, is_killed: bool) -> None:
    if is_killed:
        kill_at("state to be committed", "deliveries")
    Feed(folder, url, together=1000).average.catch_up()


def test_takers_at_once_of_which_some_are_killed_count_each_record_once(feed: Feed) -> None:
    steps = many(customers=10, rounds=15)
    fork = multiprocessing.get_context("fork")
    ends = []
    for half in (steps[:150], steps[150:]):
        feed.write(half)
        takers = [
            fork.Process(target=_take, args=(feed.path.parent, feed.url, is_killed))
            for is_killed in (True, False)
        ]
        for taker in takers:
            taker.start()
        for taker in takers:
            taker.join()
            ends.append(taker.exitcode)
    feed.write([(11, 1, NOON + 600 * MINUTE), (11, 4, NOON + 601 * MINUTE)])
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(DeliveryAverage.catch_up, [feed.another(), feed.another()]))

    now = feed.average.snapshot()
    assert ends == [-signal.SIGKILL, 0] * 2
    assert now.records == 302
    assert come_to(now, expected([*steps, (11, 1, now.newest - MINUTE), (11, 4, now.newest)]))


def test_the_state_of_another_lake_is_refused_until_it_is_adopted(
    feed: Feed, tmp_path: Path
) -> None:
    feed.write([(1, 1, NOON), (1, 4, NOON + MINUTE)])
    feed.average.catch_up()
    before = feed.average.snapshot()
    staging = Feed(tmp_path / "staging", feed.url)
    staging.write([(2, 1, NOON)])

    with pytest.raises(WarehouseError, match=f"{feed.lake.folder}.*{staging.lake.folder}"):
        staging.average.catch_up()
    assert feed.average.snapshot() == before

    feed.average.database.adopt(feed.lake.folder)  # its own already
    assert feed.average.snapshot() == before
    staging.average.database.adopt(staging.lake.folder)
    staging.average.catch_up()
    now = staging.average.snapshot()
    assert (now.records, now.successes, now.open) == (1, 0, 1)
    with pytest.raises(WarehouseError):
        feed.average.catch_up()
