"""Following the feed: what comes meanwhile is taken at once, and told as one change."""

import math
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from warehouse_assets.deliveries.follow import follow
from warehouse_assets_tests.deliveries.feeds import Feed
from warehouse_assets_tests.deliveries.steps import NOON, ORIGINAL, step_of


class Clock:
    """Time that stands still until the test has seen what it waits for."""

    def __init__(self) -> None:
        self.is_over = threading.Event()

    def monotonic(self) -> float:
        """The seconds that those who follow look at."""
        return math.inf if self.is_over.is_set() else 0.0

    sleep = staticmethod(time.sleep)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("warehouse_assets.deliveries.follow.time", clock)
    return clock


def wait_for(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


def have_succeeded(feed: Feed, deliveries: int) -> bool:
    return feed.another().snapshot().successes >= deliveries


def test_what_comes_while_the_feed_is_followed_is_taken_before_the_end(
    tmp_path: Path, clock: Clock
) -> None:
    feed = Feed(tmp_path)
    feed.write(step_of(record) for record in ORIGINAL)
    following = threading.Thread(target=follow, args=(feed.average, 3))
    following.start()
    for number, minutes in enumerate((40, 60), start=2):
        wait_for(partial(have_succeeded, feed, number - 1))
        opened = NOON + timedelta(hours=number)
        feed.write([(3, 1, opened), (3, 4, opened + timedelta(minutes=minutes))])
    wait_for(partial(have_succeeded, feed, 3))

    assert following.is_alive()
    clock.is_over.set()
    following.join()
    assert feed.another().snapshot().average == timedelta(minutes=40)


def test_all_that_was_taken_is_one_change(tmp_path: Path, clock: Clock) -> None:
    feed = Feed(tmp_path)
    feed.write([(1, 1, NOON)])

    def write_more() -> None:
        wait_for(lambda: feed.another().snapshot().records == 1)
        feed.write([(1, 4, NOON + timedelta(minutes=7))])
        wait_for(lambda: feed.another().snapshot().records == 2)
        clock.is_over.set()

    writer = threading.Thread(target=write_more)
    writer.start()
    change = follow(feed.average, 1.5)
    writer.join()

    assert (change.before.records, change.after.records) == (0, 2)
    assert change.after.average == timedelta(minutes=7)
    assert not follow(feed.average, 0).is_any


def test_two_who_follow_at_once_take_each_record_once(tmp_path: Path, clock: Clock) -> None:
    feed = Feed(tmp_path)
    feed.path.touch()
    followers = [threading.Thread(target=follow, args=(feed.another(), 2)) for _ in range(2)]
    for follower in followers:
        follower.start()
    for customer in range(10):
        feed.write([(customer, 1, NOON), (customer, 4, NOON + timedelta(minutes=customer + 1))])
        time.sleep(0.1)
    wait_for(lambda: feed.another().snapshot().records >= 20)
    clock.is_over.set()
    for follower in followers:
        follower.join()

    now = feed.another().snapshot()
    assert (now.records, now.successes, now.repetitions) == (20, 10, 0)
    assert now.average == timedelta(minutes=5.5)
