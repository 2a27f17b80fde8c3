"""How connections to the SQL databases of our own are opened: warehouse, and state of deliveries.

Every connection to PostgreSQL, also to one that is only read, bears the name of the package, and
notices within minutes that the other machine has vanished.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

APPLICATION_NAME = "warehouse_assets"
"""By which the server shows whose a connection is, in `pg_stat_activity`."""

# What a URL may set otherwise, as `?connect_timeout=3`.
_CONNECTION = {
    "connect_timeout": 10,
    "application_name": APPLICATION_NAME,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 6,
}


@dataclass(frozen=True)
class Use:
    """What a database is for, as messages about it say.

    Args:
        name: with which a message begins, before its URL.
        setting: which names it.
        remedy: why nothing is lost when it cannot be read, and what to do.
        lock: a number of its own, by which its writers take turns in PostgreSQL.
    """

    name: str
    setting: str
    remedy: str
    lock: int


def postgresql_engine(
    url: sa.URL, connection: Mapping[str, Any] | None = None, **options: Any
) -> sa.Engine:
    """An engine for the PostgreSQL database at `url`.

    Args:
        connection: more parameters of libpq.
        options: as of `sqlalchemy.create_engine`.
    """
    given = {name: value for name, value in _CONNECTION.items() if name not in url.query}
    return sa.create_engine(
        # SQLAlchemy's own choice for postgresql:// is another driver.
        url.set(drivername="postgresql+psycopg2"),
        connect_args={**given, **(connection or {})},
        **options,
    )


def sqlite_engine(
    url: sa.URL, seconds_to_wait: float, pragmas: Mapping[str, int] | None = None
) -> sa.Engine:
    """An engine for the SQLite file at `url`, whose readers never wait for a writer.

    A transaction begins as the execution option `begin` says, such as `BEGIN IMMEDIATE`, and may
    have DDL in it. What a power cut takes is made again: the last transactions, never a part of
    one.

    Args:
        seconds_to_wait: how long a writer waits for another one.
        pragmas: more settings of SQLite.
    """
    # No connection is kept: it would go on using a file that was deleted or moved aside.
    engine = sa.create_engine(url, connect_args={"timeout": seconds_to_wait}, poolclass=sa.NullPool)
    settings = {"journal_mode": "WAL", "synchronous": "NORMAL", **(pragmas or {})}

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, record: Any) -> None:
        connection.isolation_level = None  # transactions begin below
        for name, value in settings.items():
            connection.execute(f"PRAGMA {name} = {value}")

    @event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))

    return engine
