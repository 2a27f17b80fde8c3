"""Reading a warehouse in PostgreSQL."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import anyio
import sqlalchemy as sa
from anyio.to_thread import run_sync
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from warehouse_assets.api.database import (
    VERSIONS,
    Lookup,
    Reading,
    Versions,
    by_table,
    read_anew,
    reading_by,
    versions_of,
)
from warehouse_assets.errors import BusyError
from warehouse_assets.settings import Settings
from warehouse_assets.warehouse import Warehouse
from warehouse_assets.warehouse.notes import PublishedVersion

T = TypeVar("T")
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
        self._engine = _engine(warehouse.url, size + 1)
        self._threads = anyio.CapacityLimiter(size)
        self._watcher = anyio.CapacityLimiter(1)
        self._all = asyncio.Semaphore(size)
        self._of_table: dict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(max(1, size // 2))
        )
        self._seen: Versions | None = None
        self._trusted_until = 0.0
        self._asking: asyncio.Future[Versions | None] | None = None

    async def look_up(self, tables: Sequence[str], work: Callable[[Lookup], T]) -> T:
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
                text = f"{_LIMITS}; {VERSIONS}"
                self._seen = by_table(connection.exec_driver_sql(text, self._timeouts).fetchall())
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

        return read_anew(self._warehouse, tables, work_in_time)

    def _read(
        self, connection: sa.Connection, tables: Sequence[str], work: Callable[[Reading], T]
    ) -> T:
        text = f"{_LIMITS}; {versions_of(len(tables), '%s')}"
        rows = connection.exec_driver_sql(text, (*self._timeouts, *tables)).fetchall()
        versions = tuple(PublishedVersion(*row) for row in rows)
        seen = self._seen or {}
        if any(seen.get(version.table) != version for version in versions):
            self._trusted_until = 0.0  # something was published since
        return work(reading_by(connection, versions))


def _engine(url: sa.URL, size: int) -> sa.Engine:
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
