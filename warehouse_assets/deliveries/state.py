"""The durable state of the running average: what of it changes together, and how it is read.

Counts, the customers' times and the position in the feed change in one transaction, so that each
record counts exactly once, whatever dies. It is bounded by the customers of the window.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from warehouse_assets.deliveries.average import BEGINNING, RunningAverage
from warehouse_assets.deliveries.records import FIRST_STEP, LAST_STEP, Step
from warehouse_assets.deliveries.state_database import CUSTOMERS, HISTORY, STATE, StateDatabase
from warehouse_assets.sources.log_marks import Mark

_EPOCH = datetime.fromisoformat("1970-01-01")
_MICROSECOND = timedelta(microseconds=1)
_POINTS_OF_HISTORY = 2000
_CUSTOMERS_AT_ONCE = 1000
_MOST_CUSTOMERS_HELD = 200_000
_SWEEPS_PER_WINDOW = 8
_MARK = ("feed_base", "feed_position", "feed_digest", "feed_file")


@dataclass(frozen=True)
class Point:
    """The average as it was up to `position` of the feed; `at` is in seconds since 1970."""

    position: int
    at: float
    successes: int
    total: timedelta

    @property
    def average(self) -> timedelta | None:
        """The average duration; None before the first success."""
        return self.total / self.successes if self.successes else None


@dataclass(frozen=True)
class Snapshot:
    """The state at one moment.

    Args:
        revision: how often it has changed.
        changed_at: when it did last, in seconds since 1970.
        position: up to where the feed is in it.
        mark: the same, as a mark in its file; None if nothing has been read of a file.
        records: records that could be read.
        unusable: lines that could not.
        rejected: records that could be read, but not be used.
        repetitions: records that were there before.
        openings: deliveries opened.
        successes: deliveries ended by their last step.
        total: their durations together.
        newest: the newest time of any record.
        open: deliveries that are open.
    """

    revision: int = 0
    changed_at: float = 0.0
    position: int = 0
    mark: Mark | None = None
    records: int = 0
    unusable: int = 0
    rejected: int = 0
    repetitions: int = 0
    openings: int = 0
    successes: int = 0
    total: timedelta = timedelta()
    newest: datetime = BEGINNING
    open: int = 0

    @property
    def average(self) -> timedelta | None:
        """The average duration; None before the first success."""
        return self.total / self.successes if self.successes else None

    @property
    def abandoned(self) -> int:
        """Deliveries that were opened and will not succeed."""
        return self.openings - self.successes - self.open


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
    mark: Mark | None = None
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
            _mark(row),
            row.replayed_position,
            row.records,
            row.unusable,
            _time(row.swept_us),
        )
        average = self.average
        average.newest = _time(row.newest_us)
        average.total = row.total_us * _MICROSECOND
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
        mark: Mark | None,
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
        now, total_us = time.time(), average.total // _MICROSECOND
        parts = (mark.base, mark.position, mark.digest, mark.file_number) if mark else (None,) * 4
        row = {
            "revision": self.standing.revision,
            "changed_at": now,
            "open_seconds": before.open_seconds,
            **dict(zip(_MARK, parts, strict=True)),
            "replayed_position": replayed_position,
            "records": self.standing.records,
            "unusable": self.standing.unusable,
            "rejected": average.rejected,
            "repetitions": average.repetitions,
            "openings": average.openings,
            "successes": average.successes,
            "total_us": total_us,
            "newest_us": _microseconds(average.newest),
            "swept_us": _microseconds(swept),
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
                times[customer] = _time(at_us)
            self._known.update(some)

    def _store_customers(self, connection: sa.Connection, touched: set[int]) -> None:
        opened, closed = self.average.opened, self.average.closed
        rows = [
            {"customer": customer, "at_us": _microseconds(at), "is_open": customer in opened}
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
        connection.execute(CUSTOMERS.delete().where(CUSTOMERS.c.at_us < _microseconds(horizon)))
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


def snapshot(database: StateDatabase, known: Snapshot | None = None) -> Snapshot:
    """The state as it is now; one without anything if there is none yet.

    Args:
        known: a former one, which is returned if nothing has changed since.

    Raises:
        StateError: the database cannot be read.
    """
    with database.reading() as connection:
        row = None if connection is None else connection.execute(sa.select(STATE)).one_or_none()
        if connection is None or row is None:
            return Snapshot()
        if known is not None and (known.revision, known.changed_at) == (
            row.revision,
            row.changed_at,
        ):
            return known
        horizon = row.newest_us - int(row.open_seconds * 10**6)
        is_open = sa.and_(CUSTOMERS.c.is_open, CUSTOMERS.c.at_us >= horizon)
        count = sa.select(sa.func.count()).select_from(CUSTOMERS).where(is_open)
        return Snapshot(
            row.revision,
            row.changed_at,
            row.feed_position or 0,
            _mark(row),
            row.records,
            row.unusable,
            row.rejected,
            row.repetitions,
            row.openings,
            row.successes,
            row.total_us * _MICROSECOND,
            _time(row.newest_us),
            connection.execute(count).scalar_one(),
        )


def history(database: StateDatabase, up_to: int | None = None, most: int = 60) -> list[Point]:
    """The average after each of the last changes, oldest first.

    Args:
        up_to: only as it was when no more of the feed was taken than up to there.

    Raises:
        StateError: the database cannot be read.
    """
    with database.reading() as connection:
        if connection is None:
            return []
        query = sa.select(HISTORY).order_by(HISTORY.c.revision.desc()).limit(most)
        if up_to is not None:
            query = query.where(HISTORY.c.position <= up_to)
        rows = connection.execute(query).all()
    return [
        Point(row.position, row.changed_at, row.successes, row.total_us * _MICROSECOND)
        for row in reversed(rows)
    ]


def _mark(row: sa.Row[Any]) -> Mark | None:
    values = [getattr(row, name) for name in _MARK]
    return None if None in values else Mark(*values)


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _time(microseconds: int) -> datetime:
    return _EPOCH + microseconds * _MICROSECOND
