"""The running average of deliveries, kept durably, beside a bare loop.

The loop does what a person would write for the same guarantee: it reads JSON lines, keeps the
customers in memory and commits those that have changed, the sums and the place in the file to
SQLite every 1,000 records.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path

from benchmarks.context import Context
from benchmarks.subjects.homes import lake_of, settings_of
from warehouse_assets.defs.deliveries.catch_up import DeliveryAverage
from warehouse_assets.defs.deliveries.records import LAST_STEP
from warehouse_assets.settings import Settings

_CUSTOMERS = 10_000
_BEGIN = datetime.fromisoformat("2025-01-06T08:00:00")
_RECORDS_TOGETHER = 1000


def _records(count: int) -> Iterator[dict[str, object]]:
    """Steps of customers by turns, of which each has a delivery after the other."""
    for number in range(count):
        turn, customer = divmod(number, _CUSTOMERS)
        moment = _BEGIN + timedelta(milliseconds=25 * number)
        yield {
            "Delivery Step": 1 + turn % 4,
            "Customer": customer * 7919 % _CUSTOMERS,
            "Timestamp": moment.isoformat(),
        }


def _count(context: Context) -> int:
    return context.data.votes // 2


def feed_template(context: Context) -> None:
    """Write the feed."""
    feed = settings_of(context.templates / "deliveries").deliveries_feed
    feed.parent.mkdir(parents=True)
    with feed.open("w", encoding="ascii") as stream:
        stream.writelines(json.dumps(record) + "\n" for record in _records(_count(context)))


def bare_loop(context: Context) -> None:
    """Measure a loop that commits its state and its place every 1,000 records."""
    feed = settings_of(context.templates / "deliveries").deliveries_feed
    with (
        closing(sqlite3.connect(context.folder / "state.db", isolation_level=None)) as state,
        context.measuring(),
    ):
        state.execute("PRAGMA journal_mode = WAL")
        state.execute("PRAGMA synchronous = NORMAL")
        state.execute("CREATE TABLE customers (customer INTEGER PRIMARY KEY, at TEXT, is_open INT)")
        state.execute("CREATE TABLE sums (position INT, successes INT, total_us INT)")
        state.execute("INSERT INTO sums VALUES (0, 0, 0)")
        _bare(feed, state)
    _tell(context, _count(context))


def _bare(feed: Path, state: sqlite3.Connection) -> None:
    opened: dict[int, datetime] = {}
    closed: dict[int, datetime] = {}
    total, successes, position = timedelta(), 0, 0
    with feed.open("rb") as stream:
        while lines := list(islice(stream, _RECORDS_TOGETHER)):
            changed: dict[int, tuple[int, str, bool]] = {}
            for line in lines:
                record = json.loads(line)
                step, customer = record["Delivery Step"], record["Customer"]
                at = datetime.fromisoformat(record["Timestamp"])
                position += len(line)
                last = closed.get(customer)
                if last is not None and at <= last:
                    continue
                if step == 1:
                    opened[customer] = at
                    closed.pop(customer, None)
                    changed[customer] = (customer, record["Timestamp"], True)
                elif step == LAST_STEP and (since := opened.pop(customer, None)) is not None:
                    closed[customer] = at
                    total += at - since
                    successes += 1
                    changed[customer] = (customer, record["Timestamp"], False)
            state.execute("BEGIN IMMEDIATE")
            state.executemany("INSERT OR REPLACE INTO customers VALUES (?, ?, ?)", changed.values())
            sums = (position, successes, total // timedelta(microseconds=1))
            state.execute("UPDATE sums SET position = ?, successes = ?, total_us = ?", sums)
            state.execute("COMMIT")


def durable(context: Context) -> None:
    """Measure the resource, which catches up with the whole feed."""
    settings = _settings(context)
    average = DeliveryAverage.of(settings, lake_of(settings))
    with context.measuring():
        change = average.catch_up()
    _tell(context, _count(context))
    assert change.after.records == _count(context)


def _settings(context: Context) -> Settings:
    feed = settings_of(context.templates / "deliveries").deliveries_feed
    home = context.folder / "home"
    return Settings.from_environment({"WAREHOUSE_HOME": str(home), "DELIVERIES_FEED": str(feed)})


def _tell(context: Context, records: int) -> None:
    context.details["million records/s"] = records / context.seconds / 1e6
