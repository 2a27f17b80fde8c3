"""How answers read the warehouse: in one transaction each, on connections that stay open.

What goes wrong on such a connection is tried once more by `Warehouse.read`, which says what it is,
or does better where only the connection was worn out.
"""

import asyncio
import re
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

import anyio
import duckdb
import sqlalchemy as sa
from anyio.to_thread import run_sync
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from warehouse_assets.databases import postgresql_engine
from warehouse_assets.errors import BusyError
from warehouse_assets.settings import Settings
from warehouse_assets.warehouse import PUBLISHED, PublishedVersion, Warehouse, published_versions

T = TypeVar("T")
Versions = Mapping[str, PublishedVersion]
"""The published version of each table."""

_VERSIONS = f'SELECT table_name, lake_table_id, version FROM "{PUBLISHED.name}"'
_NAME = re.compile(r":(\w+)")
_THREADS_OF_SQLITE = 4
_CACHE_OF_SQLITE = -64 * 1024  # in KiB, when negative
# A reader waits only for who repairs the database after a crash; on the event loop, all wait.
_SECONDS_FOR_SQLITE = 0.1
_SECONDS_IN_THE_QUEUE = 10.0
# For so long an answer that was kept may be older than what is published to PostgreSQL.
_SECONDS_OF_TRUST = 0.05
# Timeouts of a statement that a server ended: cancelled, or without the lock that it needs.
_TIMEOUTS = frozenset({"57014", "55P03"})
_POSTGRESQL: Mapping[str, Any] = {
    "client_encoding": "utf8",
    "connect_timeout": 3,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 2,
    "tcp_user_timeout": 5000,  # milliseconds
}
# For one transaction: the connection may be one of a pooler, and serve others in between.
_LIMITS = "SELECT set_config('statement_timeout', %s, true), set_config('lock_timeout', %s, true)"


@dataclass(frozen=True)
class Reading:
    """A transaction that reads tables of the warehouse.

    Args:
        versions: the published versions of the tables; one that is not published is missing.
    """

    connection: sa.Connection
    versions: Sequence[PublishedVersion]

    @property
    def dialect(self) -> str:
        """The kind of the database: `sqlite` or `postgresql`."""
        return self.connection.dialect.name

    def execute(self, text: str, values: Mapping[str, object]) -> Sequence[Sequence[Any]]:
        """All rows of a statement in which values stand by their names, as `:name`."""
        if self.dialect == "sqlite":
            # SQLAlchemy would take as long again.
            raw: Any = self.connection.connection.driver_connection
            rows: Sequence[Sequence[Any]] = raw.execute(text, values).fetchall()
            return rows
        # Without NUL, for which U+FFFD stands in what is published, too.
        taken = {
            k: v.replace("\0", "\ufffd") if isinstance(v, str) else v for k, v in values.items()
        }
        return self.connection.exec_driver_sql(_as_psycopg_has_it(text), taken).fetchall()


@dataclass(frozen=True)
class PastReading:
    """Tables of the lake as they were, read as `Reading` reads those of the warehouse."""

    connection: duckdb.DuckDBPyConnection
    dialect: str = "duckdb"

    def execute(self, text: str, values: Mapping[str, object]) -> Sequence[Sequence[Any]]:
        """All rows of a statement in which values stand by their names, as `:name`."""
        used = {name: values[name] for name in _NAME.findall(text)}  # it refuses any others
        return self.connection.execute(_NAME.sub(r"$\1", text), used).fetchall()


class SqliteReader:
    """Reads a SQLite file: what is short on the event loop, by a connection that stays open.

    It is for use by one event loop, as `PostgresqlReader` is, which has the same methods.
    """

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._path = warehouse.path
        self._threads = anyio.CapacityLimiter(_THREADS_OF_SQLITE)
        self._engine = sa.create_engine("sqlite://", creator=self._open, poolclass=sa.NullPool)
        self._file: tuple[int, int] | None = None
        self._own: sa.Connection | None = None
        self._raw: Any = None
        self._seen: tuple[object, Versions] | None = None

    async def read(
        self, tables: Sequence[str], work: Callable[[Reading], T], is_short: bool = False, /
    ) -> T:
        """What `work` returns, which reads `tables` in one transaction.

        Args:
            is_short: the work may take less time than to hand it to a thread.

        Raises:
            WarehouseAssetsError: the warehouse cannot be read, or did not answer in time.
        """
        if is_short:
            try:
                return self._read_here(tables, work)
            except (SQLAlchemyError, sqlite3.Error, OSError):
                pass  # it may have to wait, or to be explained
        return await run_sync(_read_anew, self._warehouse, tables, work, limiter=self._threads)

    async def published(self) -> Versions | None:
        """What is published now; None where that cannot be known.

        A file says by a number whether it was written since.
        """
        try:
            self._follow_the_file()
            token = (self._file, self._raw.execute("PRAGMA data_version").fetchone())
            if self._seen is None or token != self._seen[0]:
                self._seen = token, _by_table(self._raw.execute(_VERSIONS).fetchall())
        except (SQLAlchemyError, sqlite3.Error, OSError):
            self._seen = None
            return None
        return self._seen[1]

    def close(self) -> None:
        """Close all connections, when what they do is done."""
        if self._own is not None:
            self._own.close()
        self._own = self._raw = self._seen = None

    def _read_here(self, tables: Sequence[str], work: Callable[[Reading], T]) -> T:
        self._follow_the_file()
        assert self._own is not None
        self._raw.execute("BEGIN")
        try:
            rows = self._raw.execute(_versions_of(len(tables), "?"), tables).fetchall()
            return work(Reading(self._own, [PublishedVersion(*row) for row in rows]))
        finally:
            self._raw.rollback()

    def _follow_the_file(self) -> None:
        """Have a connection to the file that is there now."""
        found = self._path.stat()
        file = (found.st_dev, found.st_ino)
        if self._own is None or file != self._file:
            self.close()
            self._own = self._engine.connect()
            self._raw = self._own.connection.driver_connection
            self._file = file

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{self._path.absolute().as_uri()}?mode=ro",
            uri=True,
            timeout=_SECONDS_FOR_SQLITE,
            isolation_level=None,
            check_same_thread=False,
        )
        connection.execute(f"PRAGMA cache_size = {_CACHE_OF_SQLITE}")
        return connection


class PostgresqlReader:
    """Reads a PostgreSQL database, by as many connections as a setting says; others queue.

    Half of them at most are for statements that read the same table, so that one that is locked,
    or takes long to be read, holds up no other; and one more only asks for what is published.
    """

    def __init__(self, warehouse: Warehouse, settings: Settings) -> None:
        size = settings.api_connections
        self._warehouse = warehouse
        self._timeouts = (
            str(round(settings.api_statement_timeout_seconds * 1000)),
            str(round(settings.api_lock_timeout_seconds * 1000)),
        )
        given = {
            name: value for name, value in _POSTGRESQL.items() if name not in warehouse.url.query
        }
        self._engine = postgresql_engine(warehouse.url, given, pool_size=size + 1, max_overflow=0)
        event.listen(self._engine, "connect", _configure)
        self._threads = anyio.CapacityLimiter(size)
        self._watcher = anyio.CapacityLimiter(1)
        self._all = asyncio.Semaphore(size)
        self._of_table: dict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(max(1, size // 2))
        )
        self._seen: Versions | None = None
        self._trusted_until = 0.0
        self._asking: asyncio.Future[Versions | None] | None = None

    async def read(
        self, tables: Sequence[str], work: Callable[[Reading], T], _is_short: bool = False, /
    ) -> T:
        """What `work` returns, which it does in a thread when a connection is free."""
        async with AsyncExitStack() as turns:
            with anyio.move_on_after(_SECONDS_IN_THE_QUEUE) as waiting:
                await turns.enter_async_context(self._of_table[tables[0]])
                await turns.enter_async_context(self._all)
            if waiting.cancelled_caught:
                raise BusyError(
                    f"All connections for reading {', '.join(tables)} were in use for "
                    f"{_SECONDS_IN_THE_QUEUE:g} s. The setting API_CONNECTIONS says how many "
                    "there are."
                )
            return await run_sync(self._read_or_explain, tables, work, limiter=self._threads)

    async def published(self) -> Versions | None:
        """What is published now, or was a twentieth of a second ago; many ask it once."""
        if time.monotonic() < self._trusted_until:
            return self._seen
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(run_sync(self._ask, limiter=self._watcher))
        return await asyncio.shield(self._asking)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _ask(self) -> Versions | None:
        began = time.monotonic()
        try:
            with self._engine.connect() as connection:
                text = f"{_LIMITS}; {_VERSIONS}"
                self._seen = _by_table(connection.exec_driver_sql(text, self._timeouts).fetchall())
        except SQLAlchemyError:
            self._trusted_until = 0.0
            return None
        self._trusted_until = began + _SECONDS_OF_TRUST
        return self._seen

    def _read_or_explain(self, tables: Sequence[str], work: Callable[[Reading], T]) -> T:
        try:
            with self._engine.connect() as connection:
                text = f"{_LIMITS}; {_versions_of(len(tables), '%s')}"
                rows = connection.exec_driver_sql(text, (*self._timeouts, *tables)).fetchall()
                versions = [PublishedVersion(*row) for row in rows]
                if any((self._seen or {}).get(found.table) != found for found in versions):
                    self._trusted_until = 0.0  # something was published since
                return work(Reading(connection, versions))
        except DBAPIError as error:
            if getattr(error.orig, "pgcode", None) in _TIMEOUTS:
                said = str(error.orig).strip().partition("\n")[0]
                raise BusyError(
                    f"The warehouse did not answer in time: {', '.join(tables)} cannot be read, or "
                    f"takes too long ({said}). Ask again later; API_LOCK_TIMEOUT_SECONDS and "
                    "API_STATEMENT_TIMEOUT_SECONDS say how long it may take."
                ) from error
        except SQLAlchemyError:
            pass

        def work_in_time(reading: Reading) -> T:
            reading.connection.exec_driver_sql(_LIMITS, self._timeouts)
            return work(reading)

        return _read_anew(self._warehouse, tables, work_in_time)


Database = SqliteReader | PostgresqlReader


def database_of(warehouse: Warehouse, settings: Settings) -> Database:
    """What reads `warehouse`, of whichever kind that is."""
    return SqliteReader(warehouse) if warehouse.is_sqlite else PostgresqlReader(warehouse, settings)


def _read_anew(warehouse: Warehouse, tables: Sequence[str], work: Callable[[Reading], T]) -> T:
    """What `work` returns, on a connection of its own.

    Raises:
        WarehouseAssetsError: the warehouse cannot be read.
    """
    with warehouse.read() as connection:
        return work(Reading(connection, published_versions(connection, tables)))


def _configure(connection: Any, record: object) -> None:
    # Psycopg says so in each BEGIN, and to the server in no other way.
    connection.set_session(isolation_level="REPEATABLE READ", readonly=True)


@lru_cache
def _as_psycopg_has_it(text: str) -> str:
    """A statement with its values named as that driver has them named."""
    return _NAME.sub(r"%(\1)s", text)


@lru_cache
def _versions_of(number: int, mark: str) -> str:
    """The statement that tells the published versions of so many tables."""
    return f"{_VERSIONS} WHERE table_name IN ({', '.join([mark] * number)}) ORDER BY table_name"


def _by_table(rows: Sequence[Sequence[Any]]) -> Versions:
    return {row[0]: PublishedVersion(*row) for row in rows}
