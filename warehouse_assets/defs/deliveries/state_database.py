"""The database of the running average's state, SQLite or PostgreSQL: tables and transactions.

How what is in it changes is in `state`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import BigInteger, Boolean, Column, Double, Integer, MetaData, Table

from warehouse_assets.databases import Use
from warehouse_assets.warehouse.database import SqlDatabase
from warehouse_assets.warehouse.origin import claim, origin_table, take_over

_USE = Use(
    "The state of deliveries in",
    "STATE_URL",
    "it may be deleted: it is then made again from the lake",
    lock=740351,
)
_SECONDS_TO_WAIT = 30
_METADATA = MetaData()
_Whole = BigInteger().with_variant(Integer(), "sqlite")

# What is kept of all records; times are microseconds since 1970. There is one row.
STATE = Table(
    "delivery_state",
    _METADATA,
    Column("id", _Whole, primary_key=True, autoincrement=False),
    Column("revision", BigInteger, nullable=False),
    Column("changed_at", Double, nullable=False),
    Column("open_seconds", Double, nullable=False),
    # Up to where the event log is in the state, as `Checkpoint`.
    Column("feed_base", BigInteger),
    Column("feed_position", BigInteger),
    Column("feed_digest", BigInteger),
    Column("feed_file", BigInteger),
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

# Customers of the recent past, with the time of their last opening or closing.
CUSTOMERS = Table(
    "delivery_customers",
    _METADATA,
    Column("customer", _Whole, primary_key=True, autoincrement=False),
    Column("at_us", BigInteger, nullable=False),
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
    Column("total_us", BigInteger, nullable=False),
)

_LAKE = origin_table("delivery_lake", _METADATA)


class StateDatabase(SqlDatabase):
    """The database of the state.

    Args:
        url: of a SQLite file or a PostgreSQL database.
        lake: folder of the lake that the state belongs to.
    """

    def __init__(self, url: str, lake: Path) -> None:
        super().__init__(url, _USE, _SECONDS_TO_WAIT)
        self._lake = lake

    @contextmanager
    def changing(self) -> Iterator[sa.Connection]:
        """A transaction while which nobody else changes the state; others read what was before.

        Raises:
            WarehouseError: the database cannot be opened or written, or it is of another lake.
            BusyError: another one did not end in time.
        """
        with self.write() as connection:
            claim(connection, _LAKE, self._lake, self.url, self.use)
            _METADATA.create_all(connection)
            yield connection

    @contextmanager
    def reading(self) -> Iterator[sa.Connection | None]:
        """A transaction for reading; None if there is no state yet.

        Raises:
            WarehouseError: the database cannot be opened or read.
        """
        if not self.exists():
            yield None
            return
        with self.read() as connection:
            is_there = connection.dialect.has_table(connection, STATE.name)
            yield connection if is_there else None

    def adopt(self) -> None:
        """Forget the state if it is of another lake; it is then made again from this one.

        Raises:
            WarehouseError: the database cannot be opened or written.
            BusyError: another program kept it locked.
        """
        with self.reading() as found:
            if found is None:
                return
        with self.write() as connection:
            if take_over(connection, _LAKE, self._lake, self.url):
                empty(connection)


def empty(connection: sa.Connection) -> None:
    """Delete all that is kept."""
    for table in (STATE, CUSTOMERS, HISTORY):
        connection.execute(table.delete())
