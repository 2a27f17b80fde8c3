"""The database of the running average's state, SQLite or PostgreSQL: its tables.

How what is in it changes is in `state`.
"""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import BigInteger, Boolean, Column, Double, Integer, MetaData, Table

from warehouse_assets.warehouse.database import database_at
from warehouse_assets.warehouse.origin import origin_table
from warehouse_assets.warehouse.sql_database import SqlDatabase, Use

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
