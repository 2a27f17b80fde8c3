"""Reading a warehouse in a SQLite file."""

import sqlite3
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import anyio
import sqlalchemy as sa
from anyio.to_thread import run_sync

from warehouse_assets.api.database import (
    VERSIONS,
    Lookup,
    Reading,
    Versions,
    by_table,
    read_anew,
    versions_of,
)
from warehouse_assets.defs.reviews.answers import Execute
from warehouse_assets.warehouse import Warehouse
from warehouse_assets.warehouse.notes import PublishedVersion

T = TypeVar("T")
_THREADS = 4
_CACHE = -64 * 1024  # in KiB, when negative
# A reader waits only for who repairs the database after a crash; on the event loop, all wait.
_SECONDS_TO_WAIT = 0.1


class SqliteReader:
    """Reads a SQLite file; its connections are made anew when another file takes its place."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._path = warehouse.path
        self._uri = f"{warehouse.path.absolute().as_uri()}?mode=ro"
        self._threads = anyio.CapacityLimiter(_THREADS)
        self._lock = threading.Lock()
        self._file: tuple[int, int] | None = None
        self._engine: sa.Engine | None = None
        self._own: sqlite3.Connection | None = None  # of the event loop
        self._seen: tuple[object, Versions] | None = None

    async def look_up(self, tables: Sequence[str], work: Callable[[Lookup], T]) -> T:
        """What `work` returns, which the event loop does by itself."""
        try:
            own = self._own_now()
            try:
                return work(Lookup("sqlite", _execute_by(own), _begin(own, tables)))
            finally:
                own.rollback()
        except (sqlite3.Error, OSError):
            return await self.read(tables, work)  # for it may have to wait

    async def read(self, tables: Sequence[str], work: Callable[[Reading], T]) -> T:
        """What `work` returns, which it does in a thread."""
        try:
            self._own_now()  # where another file has come, connections are made anew
        except (sqlite3.Error, OSError):
            self.close()
        return await run_sync(self._read_or_explain, tables, work, limiter=self._threads)

    async def published(self) -> Versions | None:
        """What is published now: a file says by a number whether it was written since."""
        try:
            own = self._own_now()
            token = (own, own.execute("PRAGMA data_version").fetchone())
            if self._seen is None or token != self._seen[0]:
                self._seen = token, by_table(own.execute(VERSIONS).fetchall())
        except (sqlite3.Error, OSError):
            self._seen = None
            return None
        return self._seen[1]

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            if self._engine is not None:
                self._engine.dispose()
            self._engine = None
        if self._own is not None:
            self._own.close()
        self._own = self._seen = None

    def _read_or_explain(self, tables: Sequence[str], work: Callable[[Reading], T]) -> T:
        try:
            return self._read(tables, work)
        except (sa.exc.SQLAlchemyError, sqlite3.Error, OSError):
            return read_anew(self._warehouse, tables, work)

    def _read(self, tables: Sequence[str], work: Callable[[Reading], T]) -> T:
        with self._engine_now().connect() as connection:
            raw: Any = connection.connection.driver_connection
            versions = _begin(raw, tables)
            return work(Reading("sqlite", _execute_by(raw), versions, connection))

    def _own_now(self) -> sqlite3.Connection:
        """The connection of the event loop, to the file that is there now."""
        found = self._path.stat()
        file = (found.st_dev, found.st_ino)
        if self._own is None or file != self._file:
            self.close()
            self._own = _connect(self._uri)
            self._file = file
        return self._own

    def _engine_now(self) -> sa.Engine:
        """The connections of threads."""
        with self._lock:
            if self._engine is None:
                self._engine = sa.create_engine(
                    "sqlite://",
                    creator=lambda: _connect(self._uri),
                    poolclass=sa.QueuePool,
                    pool_size=_THREADS,
                )
            return self._engine


def _begin(connection: sqlite3.Connection, tables: Sequence[str]) -> tuple[PublishedVersion, ...]:
    """Begin a transaction that reads: the versions of `tables` in it."""
    connection.execute("BEGIN")
    rows = connection.execute(versions_of(len(tables), "?"), tables).fetchall()
    return tuple(PublishedVersion(*row) for row in rows)


def _execute_by(connection: sqlite3.Connection) -> Execute:
    return lambda text, values: connection.execute(text, values).fetchall()


def _connect(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        uri,
        uri=True,
        timeout=_SECONDS_TO_WAIT,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.execute(f"PRAGMA cache_size = {_CACHE}")
    return connection
