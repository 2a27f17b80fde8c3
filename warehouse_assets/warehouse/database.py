"""Connections to the SQL databases of our own, whichever kind they are.

What is published into the warehouse is in `publish`.
"""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa

from warehouse_assets.databases import Use
from warehouse_assets.warehouse.postgresql import PostgresqlDatabase
from warehouse_assets.warehouse.sqlite import SqliteDatabase

# How long a writer waits for another one; publishing the largest table takes minutes.
_SECONDS_TO_WAIT_FOR_A_WRITER = 600
_WAREHOUSE = Use(
    "The warehouse",
    "WAREHOUSE_URL",
    "the lake is the record: `warehouse rebuild` moves the file aside and writes a new one",
    lock=782391,
)


class _Database(Protocol):
    """What SQLite and PostgreSQL have to offer; `SqlDatabase` tells what it means."""

    def exists(self) -> bool: ...

    def write(self) -> AbstractContextManager[sa.Connection]: ...

    def read(self) -> AbstractContextManager[sa.Connection]: ...

    def maintain(self) -> None: ...

    def move_aside_if_unreadable(self) -> Path | None: ...


class SqlDatabase:
    """The SQL database at an SQLAlchemy URL; nothing is opened before it is needed.

    Args:
        url: of a SQLite file, which is made when it is first written, or of a PostgreSQL database,
            which has to exist.
        use: what it is for.
        seconds_to_wait: how long a writer waits for another one.
    """

    def __init__(self, url: str, use: Use, seconds_to_wait: float) -> None:
        self.url = sa.make_url(url)
        self.use = use
        database = SqliteDatabase if self.is_sqlite else PostgresqlDatabase
        self._database: _Database = database(self.url, use, seconds_to_wait)

    def __str__(self) -> str:
        """The database, without password, for people."""
        return self.url.render_as_string(hide_password=True)

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is a SQLite file, else it is in a PostgreSQL server."""
        return self.url.get_backend_name() == "sqlite"

    @property
    def path(self) -> Path:
        """The file of a SQLite database; there is none of another one."""
        assert self.is_sqlite, "a PostgreSQL database has no file"
        return Path(self.url.database or "")

    def exists(self) -> bool:
        """Whether there may be something to read; only of a SQLite file is that known for sure."""
        return self._database.exists()

    def write(self) -> AbstractContextManager[sa.Connection]:
        """A transaction that is the only writing one; readers go on seeing what was before.

        It is told, once, when another writer is waited for.

        Raises:
            WarehouseError: the database cannot be opened, read or written.
            BusyError: another writer did not finish in time, or the server cannot be reached.
        """
        return self._database.write()

    def read(self) -> AbstractContextManager[sa.Connection]:
        """A transaction for reading; what it reads does not change meanwhile.

        Raises:
            WarehouseError: there is no database yet, or it cannot be opened or read.
            BusyError: the server cannot be reached.
        """
        return self._database.read()

    def maintain(self) -> None:
        """Bring the planner's statistics up to date and take back what old rows occupied.

        Readers and a writer go on meanwhile; what they use is left for the next time.
        """
        self._database.maintain()

    def move_aside_if_unreadable(self) -> Path | None:
        """Rename a SQLite file that is not a readable database; returns its new path, if any."""
        return self._database.move_aside_if_unreadable()


class Warehouse(SqlDatabase):
    """The database of the published tables."""

    def __init__(self, url: str, seconds_to_wait: float = _SECONDS_TO_WAIT_FOR_A_WRITER) -> None:
        super().__init__(url, _WAREHOUSE, seconds_to_wait)
