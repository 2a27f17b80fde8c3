"""Connections to the warehouse that stay open, for answers that take less time than opening one.

Each kind tells by a token what it would read now, so that what was read can be kept until the
token is another one. Whatever fails here is no answer: whoever asked asks by `Warehouse.read`,
which says what is wrong.
"""

import asyncio
import re
import sqlite3
import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa

from warehouse_assets.api.publications import Publications, connect, psycopg2, without_nul
from warehouse_assets.reviews.answers import Execute, ReviewQueries

T = TypeVar("T")
_VALUE = re.compile(r"%\((\w+)\)s(?:::[A-Z ]+)?")

# A reader waits only for who repairs the database after a crash; on the event loop, all wait.
_SECONDS_TO_WAIT_FOR_SQLITE = 0.1
_CACHE_OF_SQLITE = -64 * 1024  # in KiB, when negative
# Each is a connection, and a process of the server; more do not help a program with one lock.
_POSTGRESQL_THREADS = 6
# The server may have been started anew, or a table may have got columns that a prepared statement
# does not expect.
_OF_AN_OLD_CONNECTION = (
    psycopg2.OperationalError,
    psycopg2.InterfaceError,
    psycopg2.NotSupportedError,
)


class UnreachableError(Exception):
    """The database cannot be asked by a connection that stays open."""


class KeptConnections(Protocol):
    """Connections to one database, for use by one event loop."""

    queries: ReviewQueries
    changes_meanwhile: bool
    """Whether something may be published while `run` runs, and be heard of."""

    def start(self) -> None:
        """Get ready; returns at once."""

    def token(self) -> Hashable | None:
        """What would be read now; None if that cannot be known.

        Raises:
            UnreachableError: there is no database.
        """

    async def run(self, work: Callable[[Execute], T]) -> T:
        """What `work` returns; it is given what runs statements.

        Raises:
            UnreachableError: the database did not answer.
        """

    def close(self) -> None:
        """Close what is open."""


class SqliteConnection:
    """The connection to a SQLite file; a statement takes microseconds, so that no thread is used.

    It is opened anew when another file has taken the place of the one it reads.
    """

    changes_meanwhile = False

    def __init__(self, path: Path) -> None:
        self.queries = ReviewQueries.of_sqlite()
        self._path = path
        self._uri = f"{path.absolute().as_uri()}?mode=ro"
        self._file: tuple[int, int] | None = None
        self._connection: sqlite3.Connection | None = None

    def start(self) -> None:
        """Nothing: the file may not be there yet."""

    def token(self) -> Hashable | None:
        """The file and what SQLite changes in it with every transaction of another connection."""
        try:
            found = self._path.stat()
            file = (found.st_dev, found.st_ino)
            if self._connection is None or file != self._file:
                self._open(file)
            assert self._connection is not None
            (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        except (OSError, sqlite3.Error) as error:
            self.close()
            raise UnreachableError from error
        return (file, version)

    async def run(self, work: Callable[[Execute], T]) -> T:
        """What `work` returns."""
        if self._connection is None:
            raise UnreachableError
        try:
            return work(self._execute)
        except sqlite3.Error as error:
            self.close()
            raise UnreachableError from error

    def close(self) -> None:
        """Close the connection if there is one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self, file: tuple[int, int]) -> None:
        self.close()
        # Only what reads is opened, so that nothing is ever written to a file that was moved.
        self._connection = sqlite3.connect(
            self._uri, timeout=_SECONDS_TO_WAIT_FOR_SQLITE, isolation_level=None, uri=True
        )
        self._connection.execute(f"PRAGMA cache_size = {_CACHE_OF_SQLITE}")
        self._file = file

    def _execute(self, text: str, values: Mapping[str, object]) -> Sequence[Sequence[Any]]:
        assert self._connection is not None
        return self._connection.execute(text, values).fetchall()


class PostgresqlConnections:
    """A few connections to PostgreSQL, each of a thread; and one that hears what is published."""

    changes_meanwhile = True

    def __init__(self, url: sa.URL) -> None:
        self.queries = ReviewQueries.of_postgresql()
        self._url = url
        self._threads: ThreadPoolExecutor | None = None
        self._of_thread = threading.local()
        self._all: list[Any] = []
        self._publications = Publications(url)

    def start(self) -> None:
        """Begin to listen for what is published."""
        self._publications.start()

    def token(self) -> Hashable | None:
        """The number of publications heard of; None while none would be heard of."""
        return self._publications.heard()

    async def run(self, work: Callable[[Execute], T]) -> T:
        """What `work` returns, which it does in a thread."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_POSTGRESQL_THREADS, "postgresql")
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, self._work, work)
        except psycopg2.Error as error:
            raise UnreachableError from error

    def close(self) -> None:
        """Close all connections, when what they do is done."""
        self._publications.stop()
        if self._threads is not None:
            self._threads.shutdown()
            self._threads = None
        while self._all:
            self._all.pop().close()
        self._of_thread = threading.local()

    def _work(self, work: Callable[[Execute], T]) -> T:
        kept = getattr(self._of_thread, "connection", None)
        if kept is not None:
            try:
                return work(self._execute(kept))
            except _OF_AN_OLD_CONNECTION:
                self._forget(kept)
        connection = connect(self._url)
        self._of_thread.connection = connection
        self._of_thread.prepared = {}
        self._all.append(connection)
        try:
            return work(self._execute(connection))
        except _OF_AN_OLD_CONNECTION:
            self._forget(connection)
            raise

    def _forget(self, connection: Any) -> None:
        self._of_thread.connection = None
        with suppress(ValueError):
            self._all.remove(connection)
        with suppress(psycopg2.Error):
            connection.close()

    def _execute(self, connection: Any) -> Execute:
        # To plan a statement takes the server longer than to run it.
        prepared: dict[str, str] = self._of_thread.prepared

        def execute(text: str, values: Mapping[str, object]) -> Sequence[Sequence[Any]]:
            with connection.cursor() as cursor:
                call = prepared.get(text)
                if call is None:
                    statement, call = _prepared(text, f"statement_{len(prepared)}")
                    cursor.execute(statement)
                    prepared[text] = call
                cursor.execute(call, without_nul(values))
                rows: Sequence[Sequence[Any]] = cursor.fetchall()
                return rows

        return execute


def _prepared(text: str, name: str) -> tuple[str, str]:
    """The statement that prepares `text`, whose values are named `%(…)s`, and the one that runs it.

    Raises:
        ValueError: it has other placeholders.
    """
    names: list[str] = []

    def numbered(found: re.Match[str]) -> str:
        names.append(found[1])
        return f"${len(names)}"

    statement = _VALUE.sub(numbered, text)
    if "%" in statement:
        raise ValueError(text)
    values = ", ".join(f"%({name})s" for name in names)
    return f"PREPARE {name} AS {statement}", f"EXECUTE {name}" + (f" ({values})" if names else "")


def kept_connections(url: sa.URL) -> KeptConnections:
    """The connections to the database at `url`."""
    if url.get_backend_name() == "sqlite":
        return SqliteConnection(Path(url.database or ""))
    return PostgresqlConnections(url)
