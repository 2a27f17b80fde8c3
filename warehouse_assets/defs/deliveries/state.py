"""What the durable state of the running average holds, how it is read, and how it changes.

Counts, the customers' times and the position in the feed change in one transaction, so that each
record counts exactly once, whatever dies. It is bounded by the customers of the window. Where it is
kept is in `state_database`.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from warehouse_assets.defs.deliveries.average import BEGINNING, RunningAverage
from warehouse_assets.defs.deliveries.records import FIRST_STEP, LAST_STEP, Step
from warehouse_assets.defs.deliveries.state_database import (
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
_COUNTS = ("rejected", "repetitions", "openings", "successes")
_SHARED = ("revision", "changed_at", "records", "unusable", *_COUNTS)
_CHECKPOINT = ("feed_base", "feed_position", "feed_digest", "feed_file")


@dataclass(frozen=True)
class Point:
    """The average as it was up to `position` of the feed."""

    position: int
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
    mark: Checkpoint | None = None
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


def snapshot(database: StateDatabase, known: Snapshot | None = None) -> Snapshot:
    """The state as it is now; one without anything if there is none yet.

    Args:
        known: a former one, which is returned if nothing has changed since.

    Raises:
        StateError: the database cannot be read.
    """
    with database.reading() as connection:
        row = {} if connection is None else _stored(connection)
        if connection is None or not row:
            return Snapshot()
        if known is not None and (known.revision, known.changed_at) == (
            row["revision"],
            row["changed_at"],
        ):
            return known
        horizon = row["newest_us"] - int(row["open_seconds"] * 10**6)
        is_open = sa.and_(CUSTOMERS.c.is_open, CUSTOMERS.c.at_us >= horizon)
        count = sa.select(sa.func.count()).select_from(CUSTOMERS).where(is_open)
        return Snapshot(
            **{name: row[name] for name in _SHARED},
            position=row["feed_position"] or 0,
            mark=_checkpoint_in(row),
            total=row["total_us"] * MICROSECOND,
            newest=time_of(row["newest_us"]),
            open=connection.execute(count).scalar_one(),
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
        Point(row.position, row.successes, row.total_us * MICROSECOND) for row in reversed(rows)
    ]


def _stored(connection: sa.Connection) -> Mapping[str, Any]:
    """The row of `STATE`; nothing in it without a state."""
    row = connection.execute(sa.select(STATE)).one_or_none()
    return {} if row is None else dict(zip(STATE.columns.keys(), row, strict=True))


def _checkpoint_in(row: Mapping[str, Any]) -> Checkpoint | None:
    values = [row[name] for name in _CHECKPOINT]
    return None if None in values else Checkpoint(*values)


class Session:
    """The state in memory, as far as it is needed, for one transaction after another.

    Each transaction begins with `begin`, changes `average` by `take` and ends with `commit`.

    Attributes:
        average: the arithmetic, with the customers that have been needed so far.
        row: the row of `STATE` as the last transaction left it; nothing in it without a state.
    """

    def __init__(self, database: StateDatabase, open_for: timedelta) -> None:
        self._database = database
        self._open_for = open_for
        self._known: set[int] = set()
        self._taken = 0
        self.row: Mapping[str, Any] = {}
        self.average = RunningAverage(open_for)

    @property
    def checkpoint(self) -> Checkpoint | None:
        """Up to where the feed is in the state; None before its first line and in a replay."""
        return _checkpoint_in(self.row) if self.row else None

    @property
    def replayed_position(self) -> int | None:
        """The position of the last step of the lake that is in it; None if no replay is on."""
        return self.row.get("replayed_position")

    def begin(self, connection: sa.Connection) -> None:
        """Read what another one may have changed since.

        A state of another `open_for` is dropped.
        """
        row = _stored(connection)
        self._taken = 0
        if row and row["open_seconds"] != self._open_for.total_seconds():
            self.drop(connection)
        elif any(row.get(name) != self.row.get(name) for name in ("revision", "changed_at")):
            self._restart(row)
        elif len(self._known) > _MOST_CUSTOMERS_HELD:
            self._forget_customers()

    def drop(self, connection: sa.Connection) -> None:
        """Have nothing in the state any more."""
        self._database.empty(connection)
        self._restart({})

    def _restart(self, row: Mapping[str, Any]) -> None:
        self.row = row
        self._forget_customers()
        self.average = RunningAverage(self._open_for)
        if row:
            self.average.newest = time_of(row["newest_us"])
            self.average.total = row["total_us"] * MICROSECOND
            for count in _COUNTS:
                setattr(self.average, count, row[count])

    def _forget_customers(self) -> None:
        self._known.clear()
        self.average.opened.clear()
        self.average.closed.clear()

    def take(self, connection: sa.Connection, steps: Sequence[Step]) -> set[int]:
        """Add steps to the average; returns the customers whose times may have changed."""
        self._load({customer for customer, _, _ in steps} - self._known, connection)
        for step in steps:
            self.average.add(*step)
        self._taken += len(steps)
        return {customer for customer, step, _ in steps if step in {FIRST_STEP, LAST_STEP}}

    def _load(self, customers: Iterable[int], connection: sa.Connection) -> None:
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

    def commit(
        self,
        connection: sa.Connection,
        touched: set[int],
        checkpoint: Checkpoint | None,
        unusable: int = 0,
        replayed_position: int | None = None,
    ) -> None:
        """Write what has changed; it counts when the transaction of `connection` ends.

        Args:
            touched: customers whose times may have changed.
            checkpoint: up to where the feed is in the state now.
            unusable: lines that could not be read, since the last time.
            replayed_position: see `replayed_position`.
        """
        before, average = self.row, self.average
        self._store_customers(connection, touched)
        parts = (
            (checkpoint.base, checkpoint.position, checkpoint.digest, checkpoint.file_number)
            if checkpoint
            else (None,) * len(_CHECKPOINT)
        )
        self.row = {
            "revision": before.get("revision", 0) + 1,
            "changed_at": time.time(),
            "open_seconds": self._open_for.total_seconds(),
            **dict(zip(_CHECKPOINT, parts, strict=True)),
            "replayed_position": replayed_position,
            "records": before.get("records", 0) + self._taken,
            "unusable": before.get("unusable", 0) + unusable,
            **{count: getattr(average, count) for count in _COUNTS},
            "total_us": average.total // MICROSECOND,
            "newest_us": microseconds_of(average.newest),
            "swept_us": self._sweep(connection),
        }
        if before:
            connection.execute(STATE.update(), self.row)
        else:
            connection.execute(STATE.insert(), {"id": 1, **self.row})
        if checkpoint is not None:
            shared = ("revision", "changed_at", "successes", "total_us")
            point = {name: self.row[name] for name in shared}
            connection.execute(HISTORY.insert(), {**point, "position": checkpoint.position})
            oldest = self.row["revision"] - _POINTS_OF_HISTORY
            connection.execute(HISTORY.delete().where(HISTORY.c.revision <= oldest))

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

    def _sweep(self, connection: sa.Connection) -> int:
        """Delete what is no longer of the window, now and then; returns what was deleted before."""
        back = min(self._open_for, self.average.newest - BEGINNING)
        horizon = microseconds_of(self.average.newest - back)
        swept: int = self.row.get("swept_us", microseconds_of(BEGINNING))
        if (horizon - swept) * MICROSECOND < self._open_for / _SWEEPS_PER_WINDOW:
            return swept
        connection.execute(CUSTOMERS.delete().where(CUSTOMERS.c.at_us < horizon))
        return horizon
