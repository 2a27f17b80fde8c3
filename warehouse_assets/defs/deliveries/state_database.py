"""The database of the running average's state: its tables, and transactions that exclude others.

It is SQLite or PostgreSQL (STATE_URL). What is kept in it and how it changes is in `state`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import BigInteger, Boolean, Column, Double, Integer, MetaData, Table
from sqlalchemy.exc import DatabaseError, OperationalError

from warehouse_assets.databases import postgresql_engine, sqlite_engine
from warehouse_assets.errors import BusyError, PermanentError, WarehouseAssetsError
from warehouse_assets.warehouse.origin import Origin, note, noted, origin_table

_METADATA = MetaData()
_Whole = BigInteger().with_variant(Integer(), "sqlite")
_SECONDS_TO_WAIT = 30
# Any number that no other program of the same database takes.
_ADVISORY_LOCK = 7_403_511_926

STATE = Table(
    "delivery_state",
    _METADATA,
    Column("id", _Whole, primary_key=True, autoincrement=False),  # 1: there is one row
    Column("revision", BigInteger, nullable=False),
    Column("changed_at", Double, nullable=False),
    Column("open_seconds", Double, nullable=False),
    # Up to where the feed is in the state, as `Checkpoint`; null while the lake is replayed.
    Column("feed_base", BigInteger),
    Column("feed_position", BigInteger),
    Column("feed_digest", BigInteger),
    Column("feed_file", BigInteger),
    Column("replayed_position", BigInteger),
    Column("records", BigInteger, nullable=False),
    Column("unusable", BigInteger, nullable=False),
    Column("rejected", BigInteger, nullable=False),
    Column("repetitions", BigInteger, nullable=False),
    Column("openings", BigInteger, nullable=False),
    Column("successes", BigInteger, nullable=False),
    Column("total_us", BigInteger, nullable=False),
    Column("newest_us", BigInteger, nullable=False),
    Column("swept_us", BigInteger, nullable=False),
)
"""What is kept of all records; times are microseconds since 1970."""

CUSTOMERS = Table(
    "delivery_customers",
    _METADATA,
    Column("customer", _Whole, primary_key=True, autoincrement=False),
    Column("at_us", BigInteger, nullable=False),
    Column("is_open", Boolean, nullable=False),
)
"""Customers of the recent past, with the time of their last opening or closing."""

HISTORY = Table(
    "delivery_history",
    _METADATA,
    Column("revision", _Whole, primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False),
    Column("changed_at", Double, nullable=False),
    Column("successes", BigInteger, nullable=False),
    Column("total_us", BigInteger, nullable=False),
)
"""The average as it was after each of the last changes."""


_LAKE = origin_table("delivery_lake", _METADATA)

MICROSECOND = timedelta(microseconds=1)
"""The unit of times and durations."""

_EPOCH = datetime.fromisoformat("1970-01-01")


def microseconds_of(moment: datetime) -> int:
    """How a time is stored."""
    return (moment - _EPOCH) // MICROSECOND


def time_of(microseconds: int) -> datetime:
    """The time that is stored as `microseconds`."""
    return _EPOCH + microseconds * MICROSECOND


class StateError(PermanentError):
    """The database of the state cannot be used."""


class StateDatabase:
    """The database at an SQLAlchemy URL; nothing is opened before it is needed.

    Args:
        url: of a SQLite file or a PostgreSQL database.
        lake: folder of the lake that the state belongs to; None if that does not matter.
    """

    def __init__(self, url: str, lake: Path | None = None) -> None:
        self.url = sa.make_url(url)
        self._lake = lake
        self._engine: sa.Engine | None = None

    def __str__(self) -> str:
        """The database, without password, for people."""
        return self.url.render_as_string(hide_password=True)

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file."""
        return self.url.get_backend_name() == "sqlite"

    def is_lost(self) -> bool:
        """Whether it is a file that is not there; looking costs next to nothing."""
        return self.is_sqlite and not Path(self.url.database or "").exists()

    def prepare(self) -> None:
        """Make the tables that are not there.

        Raises:
            StateError: the database cannot be opened or written.
            BusyError: another program kept it locked.
        """
        with self._explained():
            if self.is_sqlite:
                Path(self.url.database or "").parent.mkdir(parents=True, exist_ok=True)
            with self._connect("BEGIN IMMEDIATE") as connection, connection.begin():
                self._exclude_others(connection)
                _METADATA.create_all(connection)

    @contextmanager
    def exclusive(self) -> Iterator[sa.Connection]:
        """A transaction while which nobody else changes the state; others read what was before.

        Raises:
            StateError: the database cannot be opened or written, or it is of another lake.
            BusyError: another one did not end in time.
        """
        with self._explained(), self._connect("BEGIN IMMEDIATE") as connection, connection.begin():
            self._exclude_others(connection)
            self._refuse_another_lake(connection)
            yield connection

    @staticmethod
    def empty(connection: sa.Connection) -> None:
        """Delete all that is kept."""
        for table in (STATE, CUSTOMERS, HISTORY):
            connection.execute(table.delete())

    def adopt(self) -> None:
        """Forget the state if it is of another lake; it is then made again from this one.

        Raises:
            StateError: the database cannot be opened or written.
            BusyError: another program kept it locked.
        """
        with self.reading() as connection:
            known = None if connection is None else noted(connection, _LAKE)
        if self._lake is None or known is None:
            return
        origin = Origin.of(self._lake, self.url)
        with self._explained(), self._connect("BEGIN IMMEDIATE") as connection, connection.begin():
            self._exclude_others(connection)
            if not known.is_of(origin):
                self.empty(connection)
            note(connection, _LAKE, origin)

    def _refuse_another_lake(self, connection: sa.Connection) -> None:
        """Note the lake with the first change; raise if the state is of one at another place."""
        if self._lake is None:
            return
        known, origin = noted(connection, _LAKE), Origin.of(self._lake, self.url)
        if known is not None and not known.is_of(origin):
            raise StateError(
                f"The state of deliveries in {self} belongs to the lake in "
                f"{known.shown(self.url)}; this is the lake in {origin.shown(self.url)}. Nothing "
                "of it was changed. Set STATE_URL to a database of this lake's own. Only if that "
                "lake was moved or copied here, or this one is to take its place: `warehouse "
                "rebuild` has the state made again from this one."
            )
        if known != origin:
            note(connection, _LAKE, origin)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection | None]:
        """A transaction for reading; None if there is no state yet.

        Raises:
            StateError: the database cannot be opened or read.
        """
        if self.is_lost():
            yield None
            return
        with self._explained(), self._connect("BEGIN") as connection, connection.begin():
            yield connection if sa.inspect(connection).has_table(STATE.name) else None

    def _connect(self, begin: str) -> sa.Connection:
        if self._engine is None:
            self._engine = (
                sqlite_engine(self.url, _SECONDS_TO_WAIT)
                if self.is_sqlite
                else postgresql_engine(self.url, poolclass=sa.NullPool)
            )
        return self._engine.connect().execution_options(begin=begin)

    def _exclude_others(self, connection: sa.Connection) -> None:
        if not self.is_sqlite:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_SECONDS_TO_WAIT}s'")
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except WarehouseAssetsError:
            raise
        except (DatabaseError, OSError) as error:
            told = getattr(error, "orig", error)
            text = " ".join(str(told).split())
            if isinstance(error, OperationalError) and ("locked" in text or "timeout" in text):
                raise BusyError(
                    f"The state of deliveries in {self} was being changed by another program for "
                    f"{_SECONDS_TO_WAIT} s. Nothing was taken; the next attempt goes on."
                ) from error
            raise StateError(
                f"The state of deliveries in {self} cannot be used: {text}. Check that it can be "
                "reached and written (setting STATE_URL). It may be deleted: it is then made again "
                "from the lake."
            ) from error
