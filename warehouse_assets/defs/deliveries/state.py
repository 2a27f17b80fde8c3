"""The durable state of the running average: what it holds, how it is read, and how it changes.

It is in a database of its own, SQLite or PostgreSQL. Counts, the customers' times and the position
in the event log change in one transaction, so that each record counts exactly once, whatever dies.
It is bounded by the customers of the window.
"""

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy import BigInteger, Boolean, Column, Double, Integer, MetaData, Table
from sqlalchemy.dialects import postgresql, sqlite

from warehouse_assets.defs.deliveries.average import BEGINNING, RunningAverage, horizon
from warehouse_assets.ingest.log_files import Checkpoint
from warehouse_assets.warehouse.database import SqlDatabase, Use, origin_table
from warehouse_assets.warehouse.warehouse import database_at

_POINTS_OF_HISTORY = 20_000
_CUSTOMERS_AT_ONCE = 1000
_SWEEPS_PER_WINDOW = 8
# What the arithmetic goes on with, beside the customers.
_ARITHMETIC = ("newest", "total", "successes", "openings", "rejected", "repetitions")
_CHECKPOINT = [field.name for field in fields(Checkpoint)]
_SECONDS_TO_WAIT = 30
_METADATA = MetaData()
_Whole = BigInteger().with_variant(Integer(), "sqlite")
_MICROSECOND = timedelta(microseconds=1)


class _Microseconds(sa.TypeDecorator[Any]):
    """A time or a duration, stored as the microseconds since `zero`."""

    impl = BigInteger
    cache_ok = True

    def __init__(self, zero: datetime | timedelta) -> None:
        super().__init__()
        self.zero = zero

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> int:
        """What is stored."""
        del dialect
        return int((value - self.zero) // _MICROSECOND)

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> datetime | timedelta:
        """What was stored."""
        del dialect
        return self.zero + int(value) * _MICROSECOND


_Duration = _Microseconds(timedelta())
_Time = _Microseconds(datetime.fromisoformat("1970-01-01"))

# What is kept of all records, named as in `Snapshot` and `Checkpoint`. There is one row.
STATE = Table(
    "delivery_state",
    _METADATA,
    Column("id", _Whole, primary_key=True, autoincrement=False),
    Column("revision", BigInteger, nullable=False),
    Column("changed_at", Double, nullable=False),
    Column("open_seconds", Double, nullable=False),
    Column("feed_base", BigInteger, key="base"),
    Column("feed_position", BigInteger, key="position"),
    Column("feed_digest", BigInteger, key="digest"),
    Column("feed_file", BigInteger, key="file_number"),
    Column("records", BigInteger, nullable=False),
    Column("unusable", BigInteger, nullable=False),
    Column("rejected", BigInteger, nullable=False),
    Column("repetitions", BigInteger, nullable=False),
    Column("openings", BigInteger, nullable=False),
    Column("successes", BigInteger, nullable=False),
    Column("total_us", _Duration, nullable=False, key="total"),
    Column("newest_us", _Time, nullable=False, key="newest"),
    Column("swept_us", _Time, nullable=False, key="swept"),
)

# Customers of the recent past, with the time of their last opening or closing.
CUSTOMERS = Table(
    "delivery_customers",
    _METADATA,
    Column("customer", _Whole, primary_key=True, autoincrement=False),
    Column("at_us", _Time, nullable=False, key="at"),
    Column("is_open", Boolean, nullable=False),
)

# The average as it was after each of the last changes.
HISTORY = Table(
    "delivery_history",
    _METADATA,
    Column("revision", _Whole, primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False),
    Column("changed_at", Double, nullable=False),
    Column("successes", BigInteger, nullable=False),
    Column("total_us", _Duration, nullable=False, key="total"),
)

TABLES = (STATE, CUSTOMERS, HISTORY)

_USE = Use(
    "The state of deliveries in",
    "STATE_URL",
    "it may be deleted: it is then made again from the lake",
    740351,
    origin_table("delivery_lake", _METADATA),
    TABLES,
)


def state_database(url: str) -> SqlDatabase:
    """The database of the state at a URL, of a SQLite file or a PostgreSQL database."""
    return database_at(url, _USE, _SECONDS_TO_WAIT)


@dataclass(frozen=True)
class Snapshot:
    """The state at one moment.

    Args:
        revision: how often it has changed.
        changed_at: when it did last, in seconds since 1970.
        open_seconds: for how long a delivery may stay open.
        checkpoint: up to where the event log is in it; None if nothing was read.
        records: records that could be read.
        unusable: lines that could not.
        rejected: records that could be read, but not be used.
        repetitions: records that were there before.
        openings: deliveries opened.
        successes: deliveries ended by their last step.
        total: their durations together.
        newest: the newest time of any record.
        swept: customers of before that are not in it any more.
        open: deliveries that are open; of `snapshot` only.
    """

    revision: int = 0
    changed_at: float = 0.0
    open_seconds: float = 0.0
    checkpoint: Checkpoint | None = None
    records: int = 0
    unusable: int = 0
    rejected: int = 0
    repetitions: int = 0
    openings: int = 0
    successes: int = 0
    total: timedelta = timedelta()
    newest: datetime = BEGINNING
    swept: datetime = BEGINNING
    open: int = 0

    @property
    def position(self) -> int:
        """Up to where the event log is in it."""
        return self.checkpoint.position if self.checkpoint else 0

    @property
    def average(self) -> timedelta | None:
        """The average duration; None before the first success."""
        return self.total / self.successes if self.successes else None

    @property
    def abandoned(self) -> int:
        """Deliveries that were opened and will not succeed."""
        return self.openings - self.successes - self.open

    def is_as(self, other: "Snapshot") -> bool:
        """Whether nothing has changed between both."""
        return (self.revision, self.changed_at) == (other.revision, other.changed_at)


def snapshot(database: SqlDatabase, known: Snapshot | None = None) -> Snapshot:
    """The state as it is now; one without anything if there is none yet.

    Args:
        known: a former one, which is returned if nothing has changed since.

    Raises:
        WarehouseError: the database cannot be read.
    """
    with _reading(database) as connection:
        if connection is None:
            return Snapshot()
        now = read(connection)
        if known is not None and known.is_as(now):
            return known
        first = horizon(now.newest, timedelta(seconds=now.open_seconds))
        is_open = sa.and_(CUSTOMERS.c.is_open, CUSTOMERS.c.at >= first)
        count = sa.select(sa.func.count()).select_from(CUSTOMERS).where(is_open)
        return replace(now, open=connection.execute(count).scalar_one())


def average_up_to(database: SqlDatabase, position: int) -> tuple[int, tuple[int, timedelta]] | None:
    """The last average of which no more was taken than up to a position of the event log.

    Returns the position that it was at, with the successes and their durations together; None if
    that is not known any more.

    Raises:
        WarehouseError: the database cannot be read.
    """
    past = HISTORY.c
    query = sa.select(past.position, past.successes, past.total).limit(1)
    query = query.where(past.position <= position).order_by(past.revision.desc())
    with _reading(database) as connection:
        row = None if connection is None else connection.execute(query).one_or_none()
    if row is None:
        return None
    reached, successes, total = row
    return reached, (successes, total)


def read(connection: sa.Connection) -> Snapshot:
    """The state but for `open`; one without anything if there is none."""
    row = connection.execute(sa.select(STATE)).mappings().one_or_none()
    if row is None:
        return Snapshot()
    values = {column.key: row[column] for column in STATE.c if column is not STATE.c.id}
    place = {name: values.pop(name) for name in _CHECKPOINT}
    return Snapshot(checkpoint=None if None in place.values() else Checkpoint(**place), **values)


def empty(connection: sa.Connection) -> None:
    """Delete all that is kept."""
    for table in TABLES:
        connection.execute(table.delete())


def arithmetic(
    connection: sa.Connection, state: Snapshot, open_for: timedelta, customers: Collection[int]
) -> RunningAverage:
    """The arithmetic where `state` left it, as far as steps of `customers` need it."""
    average = RunningAverage(open_for)
    for name in _ARITHMETIC:
        setattr(average, name, getattr(state, name))
    remaining = iter(customers)
    query = sa.select(CUSTOMERS).where(
        CUSTOMERS.c.customer.in_(sa.bindparam("some", expanding=True))
    )
    while some := list(islice(remaining, _CUSTOMERS_AT_ONCE)):
        for customer, at, is_open in connection.execute(query, {"some": some}):
            (average.opened if is_open else average.closed)[customer] = at
    return average


def write(
    connection: sa.Connection,
    before: Snapshot,
    average: RunningAverage,
    touched: Collection[int],
    checkpoint: Checkpoint,
    records: int,
    unusable: int,
) -> None:
    """Write a state; it counts when the transaction of `connection` ends.

    Args:
        before: the one that was there.
        average: the arithmetic as it is now.
        touched: customers whose times may have changed.
        checkpoint: up to where the event log is in it now.
        records: how many records could be read since.
        unusable: how many lines could not.
    """
    _write_customers(connection, average, touched)
    row = {
        "id": 1,
        "revision": before.revision + 1,
        "changed_at": time.time(),
        "open_seconds": average.open_for.total_seconds(),
        "records": before.records + records,
        "unusable": before.unusable + unusable,
        "swept": _sweep(connection, before.swept, average),
        **{name: getattr(average, name) for name in _ARITHMETIC},
        **{name: getattr(checkpoint, name) for name in _CHECKPOINT},
    }
    connection.execute(STATE.delete())
    connection.execute(STATE.insert(), row)
    connection.execute(HISTORY.insert(), {column.key: row[column.key] for column in HISTORY.c})
    oldest = before.revision + 1 - _POINTS_OF_HISTORY
    connection.execute(HISTORY.delete().where(HISTORY.c.revision <= oldest))


@contextmanager
def _reading(database: SqlDatabase) -> Iterator[sa.Connection | None]:
    """A transaction for reading; None if there is no state yet."""
    if not database.exists():
        yield None
        return
    with database.read() as connection:
        is_there = connection.dialect.has_table(connection, STATE.name)
        yield connection if is_there else None


def _write_customers(
    connection: sa.Connection, average: RunningAverage, touched: Collection[int]
) -> None:
    opened, closed = average.opened, average.closed
    rows = [
        {"customer": customer, "at": at, "is_open": customer in opened}
        for customer in touched
        if (at := opened.get(customer) or closed.get(customer)) is not None
    ]
    if not rows:
        return
    make = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    statement = make(CUSTOMERS)
    changed = {name: statement.excluded[name] for name in ("at", "is_open")}
    connection.execute(
        statement.on_conflict_do_update(index_elements=["customer"], set_=changed), rows
    )


def _sweep(connection: sa.Connection, swept: datetime, average: RunningAverage) -> datetime:
    """Delete what is no longer of the window, now and then; returns what was deleted before."""
    first = horizon(average.newest, average.open_for)
    if first - swept < average.open_for / _SWEEPS_PER_WINDOW:
        return swept
    connection.execute(CUSTOMERS.delete().where(CUSTOMERS.c.at < first))
    return first
