"""Changing the durable state of the running average: a transaction after the other.

Counts, the customers' times and the position in the feed change in one transaction, so that each
record counts exactly once, whatever dies. It is bounded by the customers of the window.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from warehouse_assets.deliveries.average import BEGINNING, RunningAverage
from warehouse_assets.deliveries.records import FIRST_STEP, LAST_STEP, Step
from warehouse_assets.deliveries.state import columns_of, mark_in
from warehouse_assets.deliveries.state_database import (
    CUSTOMERS,
    HISTORY,
    MICROSECOND,
    STATE,
    StateDatabase,
    microseconds_of,
    time_of,
)
from warehouse_assets.ingest.log import Checkpoint

_POINTS_OF_HISTORY = 20_000
_CUSTOMERS_AT_ONCE = 1000
_MOST_CUSTOMERS_HELD = 200_000
_SWEEPS_PER_WINDOW = 8


@dataclass(frozen=True)
class Standing:
    """Where the state stands beside what is counted.

    Args:
        mark: up to where the feed is in it; None before the first record and during a replay.
        replayed_position: of the last step of the lake that is in it; None if none is.
        records: records that could be read.
        unusable: lines that could not.
        open_seconds: for how long a delivery may stay open.
        swept: what is before it has been deleted.
    """

    open_seconds: float
    revision: int = 0
    mark: Checkpoint | None = None
    replayed_position: int | None = None
    records: int = 0
    unusable: int = 0
    swept: datetime = BEGINNING


class Session:
    """The state in memory, as far as it is needed, for one transaction after another.

    Each transaction begins with `begin`, changes `average` by `take` and ends with `commit`.
    """

    def __init__(self, database: StateDatabase, open_for: timedelta) -> None:
        self._database = database
        self._open_for = open_for
        self._known: set[int] = set()
        self.standing = Standing(open_for.total_seconds(), revision=-1)
        self.average = RunningAverage(open_for)

    def begin(self, connection: sa.Connection) -> None:
        """Read what another one may have changed since.

        A state of another `open_for` is dropped.
        """
        row = connection.execute(sa.select(STATE)).one_or_none()
        if row is not None and row.open_seconds != self._open_for.total_seconds():
            self.drop(connection)
            row = None
        if row is not None and row.revision == self.standing.revision:
            if len(self._known) > _MOST_CUSTOMERS_HELD:
                self._forget_customers()
            return
        self._forget_customers()
        self.average = RunningAverage(self._open_for)
        if row is None:
            self.standing = Standing(self._open_for.total_seconds())
            return
        self.standing = Standing(
            row.open_seconds,
            row.revision,
            mark_in(row),
            row.replayed_position,
            row.records,
            row.unusable,
            time_of(row.swept_us),
        )
        average = self.average
        average.newest = time_of(row.newest_us)
        average.total = row.total_us * MICROSECOND
        average.successes, average.openings = row.successes, row.openings
        average.repetitions, average.rejected = row.repetitions, row.rejected

    def drop(self, connection: sa.Connection) -> None:
        """Have nothing in the state any more."""
        for table in (STATE, CUSTOMERS, HISTORY):
            connection.execute(table.delete())
        self._forget_customers()
        self.average = RunningAverage(self._open_for)
        self.standing = Standing(self._open_for.total_seconds())

    def take(self, connection: sa.Connection, steps: Sequence[Step]) -> set[int]:
        """Add steps to the average; returns the customers whose times may have changed."""
        touched = {customer for customer, _, _ in steps}
        self._load(connection, touched - self._known)
        add = self.average.add
        for step in steps:
            add(*step)
        self.standing = replace(self.standing, records=self.standing.records + len(steps))
        return {customer for customer, step, _ in steps if step in {FIRST_STEP, LAST_STEP}}

    def commit(
        self,
        connection: sa.Connection,
        touched: set[int],
        *,
        mark: Checkpoint | None,
        unusable: int = 0,
        replayed_position: int | None = None,
    ) -> None:
        """Write what has changed; it counts when the transaction of `connection` ends."""
        average, before = self.average, self.standing
        self._store_customers(connection, touched)
        swept = self._sweep(connection)
        self.standing = replace(
            before,
            revision=before.revision + 1,
            mark=mark,
            replayed_position=replayed_position,
            unusable=before.unusable + unusable,
            swept=swept,
        )
        now, total_us = time.time(), average.total // MICROSECOND
        row = {
            "revision": self.standing.revision,
            "changed_at": now,
            "open_seconds": before.open_seconds,
            **columns_of(mark),
            "replayed_position": replayed_position,
            "records": self.standing.records,
            "unusable": self.standing.unusable,
            "rejected": average.rejected,
            "repetitions": average.repetitions,
            "openings": average.openings,
            "successes": average.successes,
            "total_us": total_us,
            "newest_us": microseconds_of(average.newest),
            "swept_us": microseconds_of(swept),
        }
        if before.revision == 0:
            connection.execute(STATE.insert(), {"id": 1, **row})
        else:
            connection.execute(STATE.update(), row)
        if mark is not None:
            self._store_point(connection, mark.position, now, total_us)

    def _forget_customers(self) -> None:
        self._known.clear()
        self.average.opened.clear()
        self.average.closed.clear()

    def _load(self, connection: sa.Connection, customers: Iterable[int]) -> None:
        """Read the times of `customers`."""
        remaining = iter(customers)
        query = sa.select(CUSTOMERS).where(
            CUSTOMERS.c.customer.in_(sa.bindparam("some", expanding=True))
        )
        while some := list(islice(remaining, _CUSTOMERS_AT_ONCE)):
            for customer, at_us, is_open in connection.execute(query, {"some": some}):
                times = self.average.opened if is_open else self.average.closed
                times[customer] = time_of(at_us)
            self._known.update(some)

    def _store_customers(self, connection: sa.Connection, touched: set[int]) -> None:
        opened, closed = self.average.opened, self.average.closed
        rows = [
            {"customer": customer, "at_us": microseconds_of(at), "is_open": customer in opened}
            for customer in touched
            if (at := opened.get(customer) or closed.get(customer)) is not None
        ]
        if not rows:
            return
        make = sqlite.insert if self._database.is_sqlite else postgresql.insert
        statement = make(CUSTOMERS)
        changed = {name: statement.excluded[name] for name in ("at_us", "is_open")}
        connection.execute(
            statement.on_conflict_do_update(index_elements=["customer"], set_=changed), rows
        )

    def _sweep(self, connection: sa.Connection) -> datetime:
        """Delete what is no longer of the window, now and then; returns what was deleted before."""
        back = min(self.average.open_for, self.average.newest - BEGINNING)
        horizon = self.average.newest - back
        if horizon - self.standing.swept < self.average.open_for / _SWEEPS_PER_WINDOW:
            return self.standing.swept
        connection.execute(CUSTOMERS.delete().where(CUSTOMERS.c.at_us < microseconds_of(horizon)))
        return horizon

    def _store_point(
        self, connection: sa.Connection, position: int, now: float, total_us: int
    ) -> None:
        revision = self.standing.revision
        connection.execute(
            HISTORY.insert(),
            {
                "revision": revision,
                "position": position,
                "changed_at": now,
                "successes": self.average.successes,
                "total_us": total_us,
            },
        )
        oldest = revision - _POINTS_OF_HISTORY
        connection.execute(HISTORY.delete().where(HISTORY.c.revision <= oldest))
