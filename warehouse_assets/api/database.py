"""Reading the warehouse for answers, on connections that stay open, each answer in a transaction.

What goes wrong on such a connection is tried once more by `Warehouse.read`, which says what it is,
or does better where only the connection was worn out.
"""

import asyncio
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, TypeVar

import anyio
import sqlalchemy as sa
from anyio.to_thread import run_sync
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from warehouse_assets.errors import BusyError
from warehouse_assets.reviews.answers import Execute
from warehouse_assets.settings import Settings
from warehouse_assets.warehouse import Warehouse
from warehouse_assets.warehouse.notes import PUBLISHED
from warehouse_assets.warehouse.versions import PublishedVersion, PublishedVersions

T = TypeVar("T")
Versions = Mapping[str, PublishedVersion]
"""The published version of each table."""

_SQLITE_THREADS = 4
_SQLITE_CACHE = -64 * 1024  # in KiB, when negative
# A reader waits only for who repairs the database after a crash; on the event loop, all wait.
_SECONDS_TO_WAIT_FOR_SQLITE = 0.1
_SECONDS_IN_THE_QUEUE = 10.0
# For so long an answer that was kept may be older than what is published.
_SECONDS_OF_TRUST = 0.05
# Timeouts of a statement that a server ended: cancelled, or without the lock that it needs.
_TIMEOUTS = frozenset({"57014", "55P03"})
_CONNECTION = {
    "application_name": "warehouse_assets",
    "connect_timeout": 3,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 2,
    "tcp_user_timeout": 5000,  # milliseconds
}
# For one transaction: the connection may be one of a pooler, and serve others in between.
_LIMITS = "SELECT set_config('statement_timeout', %s, true), set_config('lock_timeout', %s, true)"
_VERSIONS = f'SELECT table_name, lake_table_id, version FROM "{PUBLISHED.name}"'


@dataclass(frozen=True)
class Reading:
    """A transaction that reads tables of the warehouse.

    Args:
        execute: runs the text of a statement, in the least time.
        versions: the published versions of the tables; one that is not published is missing.
    """

    connection: sa.Connection
    execute: Execute
    versions: tuple[PublishedVersion, ...]


class Database(Protocol):
    """The warehouse, for use by one event loop."""

    async def read(self, tables: Sequence[str], work: Callable[[Reading], T]) -> T:
        """What `work` returns, which reads `tables` in one transaction, in a thread.

        Raises:
            WarehouseAssetsError: the warehouse cannot be read, or did not answer in time.
        """

    async def read_little(self, tables: Sequence[str], work: Callable[[Reading], T]) -> T:
        """The same, of what may take less time than to hand it to a thread."""

    async def published(self) -> Versions | None:
        """What is published now; None where that cannot be known."""

    def close(self) -> None:
        """Close all connections, when what they do is done."""


def open_database(warehouse: Warehouse, settings: Settings) -> Database:
    """The way to read `warehouse`; nothing is opened before it is needed."""
    if warehouse.is_sqlite:
        return SqliteReader(warehouse)
    return PostgresqlReader(warehouse, settings)


class SqliteReader:
    """Reads a SQLite file; its connections are made anew when another file takes its place."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._uri = f"{warehouse.path.absolute().as_uri()}?mode=ro"
        self._threads = anyio.CapacityLimiter(_SQLITE_THREADS)
        self._lock = threading.Lock()
        self._file: tuple[int, int] | None = None
        self._engine: sa.Engine | None = None
        self._watch: sqlite3.Connection | None = None
        self._seen: tuple[object, Versions] | None = None

    async def read_little(self, tables: Sequence[str], work: Callable[[Reading], T]) -> T:
        """What `work` returns, which the event loop does by itself."""
        try:
            return self._read(tables, work)
        except (sa.exc.SQLAlchemyError, sqlite3.Error, OSError):
            return await self.read(tables, work)  # for it may have to wait

    async def read(self, tables: Sequence[str], work: Callable[[Reading], T]) -> T:
        """What `work` returns, which it does in a thread."""
        return await run_sync(self._read_or_explain, tables, work, limiter=self._threads)

    async def published(self) -> Versions | None:
        """What is published now: a file says by a number whether it was written since."""
        try:
            engine = self._engine_now()
            if self._watch is None:
                self._watch = _sqlite(self._uri)
            token = (engine, self._watch.execute("PRAGMA data_version").fetchone())
            if self._seen is None or token != self._seen[0]:
                rows = self._watch.execute(_VERSIONS).fetchall()
                self._seen = token, _by_table(rows)
        except (sa.exc.SQLAlchemyError, sqlite3.Error, OSError):
            self._seen = None
            return None
        return self._seen[1]

    def close(self) -> None:
        """Close all connections."""
        self._forget()

    def _read_or_explain(self, tables: Sequence[str], work: Callable[[Reading], T]) -> T:
        try:
            return self._read(tables, work)
        except (sa.exc.SQLAlchemyError, sqlite3.Error, OSError):
            return _read_anew(self._warehouse, tables, work)

    def _read(self, tables: Sequence[str], work: Callable[[Reading], T]) -> T:
        with self._engine_now().connect() as connection:
            raw: Any = connection.connection.driver_connection
            raw.execute("BEGIN")

            def execute(text: str, values: Mapping[str, object]) -> Sequence[Sequence[Any]]:
                rows: Sequence[Sequence[Any]] = raw.execute(text, values).fetchall()
                return rows

            rows = raw.execute(_versions_of(len(tables), "?"), tables).fetchall()
            return work(Reading(connection, execute, tuple(PublishedVersion(*row) for row in rows)))

    def _engine_now(self) -> sa.Engine:
        found = self._warehouse.path.stat()
        file = (found.st_dev, found.st_ino)
        with self._lock:
            if self._engine is None or file != self._file:
                self._forget()
                self._engine = sa.create_engine(
                    "sqlite://",
                    creator=lambda: _sqlite(self._uri),
                    poolclass=sa.QueuePool,
                    pool_size=_SQLITE_THREADS + 1,
                )
                self._file = file
            return self._engine

    def _forget(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
        if self._watch is not None:
            self._watch.close()
        self._engine = self._watch = self._seen = None


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
        self._engine = _postgresql_engine(warehouse.url, size + 1)
        self._threads = anyio.CapacityLimiter(size)
        self._watcher = anyio.CapacityLimiter(1)
        self._all = asyncio.Semaphore(size)
        self._of_table: dict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(max(1, size // 2))
        )
        self._seen: Versions | None = None
        self._trusted_until = 0.0
        self._asking: asyncio.Future[Versions | None] | None = None

    async def read_little(self, tables: Sequence[str], work: Callable[[Reading], T]) -> T:
        """What `read` returns: a server takes longer to be asked than a thread."""
        return await self.read(tables, work)

    async def read(self, tables: Sequence[str], work: Callable[[Reading], T]) -> T:
        """What `work` returns, which it does when a connection is free."""
        async with _turn(self._of_table[tables[0]], tables), _turn(self._all, tables):
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
        except sa.exc.SQLAlchemyError:
            self._trusted_until = 0.0
            return None
        self._trusted_until = began + _SECONDS_OF_TRUST
        return self._seen

    def _read_or_explain(self, tables: Sequence[str], work: Callable[[Reading], T]) -> T:
        try:
            with self._engine.connect() as connection:
                return self._read(connection, tables, work)
        except DBAPIError as error:
            if getattr(error.orig, "pgcode", None) in _TIMEOUTS:
                said = str(error.orig).strip().partition("\n")[0]
                raise BusyError(
                    f"The warehouse did not answer in time: {', '.join(tables)} cannot be read, or "
                    f"takes too long ({said}). Ask again later; API_LOCK_TIMEOUT_SECONDS and "
                    "API_STATEMENT_TIMEOUT_SECONDS say how long it may take."
                ) from error
        except sa.exc.SQLAlchemyError:
            pass

        def work_in_time(reading: Reading) -> T:
            reading.connection.exec_driver_sql(_LIMITS, self._timeouts)
            return work(reading)

        return _read_anew(self._warehouse, tables, work_in_time)

    def _read(
        self, connection: sa.Connection, tables: Sequence[str], work: Callable[[Reading], T]
    ) -> T:
        text = f"{_LIMITS}; {_versions_of(len(tables), '%s')}"
        rows = connection.exec_driver_sql(text, (*self._timeouts, *tables)).fetchall()
        versions = tuple(PublishedVersion(*row) for row in rows)
        seen = self._seen or {}
        if any(seen.get(version.table) != version for version in versions):
            self._trusted_until = 0.0  # something was published since
        return work(Reading(connection, _execute_on(connection), versions))


def _read_anew(warehouse: Warehouse, tables: Sequence[str], work: Callable[[Reading], T]) -> T:
    """What `work` returns, on a connection of its own.

    Raises:
        WarehouseAssetsError: the warehouse cannot be read.
    """
    with warehouse.read() as connection:
        versions = PublishedVersions(warehouse).of(connection, tables)
        return work(Reading(connection, _execute_on(connection), versions))


def _sqlite(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        uri,
        uri=True,
        timeout=_SECONDS_TO_WAIT_FOR_SQLITE,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.execute(f"PRAGMA cache_size = {_SQLITE_CACHE}")
    return connection


def _postgresql_engine(url: sa.URL, size: int) -> sa.Engine:
    given = {name: value for name, value in _CONNECTION.items() if name not in url.query}
    engine = sa.create_engine(
        url.set(drivername="postgresql+psycopg2"),
        connect_args={**given, "client_encoding": "utf8"},
        pool_size=size,
        max_overflow=0,
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, record: Any) -> None:
        # Psycopg says so in each BEGIN, and to the server in no other way.
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)

    return engine


def _execute_on(connection: sa.Connection) -> Execute:
    """Run statements on `connection`, in PostgreSQL with values as it takes them."""
    is_sqlite = connection.dialect.name == "sqlite"

    def execute(text: str, values: Mapping[str, object]) -> Sequence[Sequence[Any]]:
        taken = dict(values) if is_sqlite else without_nul(values)
        return connection.exec_driver_sql(text, taken).fetchall()

    return execute


def without_nul(values: Mapping[str, object]) -> dict[str, object]:
    """`values` without NUL, for which U+FFFD stands in what is published to PostgreSQL, too."""
    return {
        name: value.replace("\0", "\ufffd") if isinstance(value, str) else value
        for name, value in values.items()
    }


@lru_cache
def _versions_of(number: int, mark: str) -> str:
    """The statement that tells the published versions of so many tables."""
    return f"{_VERSIONS} WHERE table_name IN ({', '.join([mark] * number)}) ORDER BY table_name"


def _by_table(rows: Sequence[Sequence[Any]]) -> Versions:
    return {row[0]: PublishedVersion(*row) for row in rows}


@asynccontextmanager
async def _turn(places: asyncio.Semaphore, tables: Sequence[str]) -> AsyncIterator[None]:
    """One of `places`, when there is one."""
    with anyio.move_on_after(_SECONDS_IN_THE_QUEUE) as waiting:
        await places.acquire()
    if waiting.cancelled_caught:
        raise BusyError(
            f"All connections for reading {', '.join(tables)} were in use for "
            f"{_SECONDS_IN_THE_QUEUE:g} s. The setting API_CONNECTIONS says how many there are."
        )
    try:
        yield
    finally:
        places.release()
