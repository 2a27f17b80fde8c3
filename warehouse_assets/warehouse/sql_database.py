"""What the SQL databases of our own have in common, whichever kind they are and whatever they hold.

A database belongs to one lake (see `origin`), of which it is a copy or a summary.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from warehouse_assets.errors import WarehouseError
from warehouse_assets.warehouse.origin import Origin, note, noted


@dataclass(frozen=True)
class Use:
    """What a database is for.

    Args:
        name: with which a message about it begins, before its URL.
        setting: which names it.
        remedy: why nothing is lost when it cannot be read, and what to do.
        lock: a number of its own, by which its writers take turns in PostgreSQL.
        origin: the table that notes the lake; all of its metadata are made when it is written.
        of_a_lake: tables that are emptied when another lake takes the database over.
    """

    name: str
    setting: str
    remedy: str
    lock: int
    origin: sa.Table
    of_a_lake: Sequence[sa.Table]


class SqlDatabase(ABC):
    """The SQL database at an SQLAlchemy URL; nothing is opened before it is needed.

    Args:
        url: of a SQLite file, which is made when it is first written, or of a PostgreSQL database,
            which has to exist.
        use: what it is for.
        seconds_to_wait: how long a writer waits for another one.
    """

    def __init__(self, url: sa.URL, use: Use, seconds_to_wait: float) -> None:
        self.url = url
        self.use = use
        self._seconds_to_wait = seconds_to_wait

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
        return True

    @abstractmethod
    def write(self) -> AbstractContextManager[sa.Connection]:
        """A transaction that is the only writing one; readers go on seeing what was before.

        It is told, once, when another writer is waited for.

        Raises:
            WarehouseError: the database cannot be opened, read or written.
            BusyError: another writer did not finish in time, or the server cannot be reached.
        """

    @abstractmethod
    def read(self) -> AbstractContextManager[sa.Connection]:
        """A transaction for reading; what it reads does not change meanwhile.

        Raises:
            WarehouseError: there is no database yet, or it cannot be opened or read.
            BusyError: the server cannot be reached.
        """

    @abstractmethod
    def maintain(self) -> None:
        """Bring the planner's statistics up to date and take back what old rows occupied.

        Readers and a writer go on meanwhile; what they use is left for the next time.
        """

    def move_aside_if_unreadable(self) -> Path | None:
        """Rename a SQLite file that is not a readable database; returns its new path, if any."""
        return None

    @contextmanager
    def write_from(self, lake: Path) -> Iterator[sa.Connection]:
        """As `write`, for what the lake in a folder has to say; makes the tables of the use.

        Raises:
            WarehouseError: the database was written from a lake at another place, too.
        """
        table = self.use.origin
        with self.write() as connection:
            table.metadata.create_all(connection)
            known, this = noted(connection, table), Origin.of(lake, self.url)
            if known is not None and not known.is_of(this):
                raise WarehouseError(
                    f"{self.use.name} {self} belongs to the lake in {known.shown(self.url)}; "
                    f"this is the lake in {this.shown(self.url)}. Nothing of it was changed. Set "
                    f"{self.use.setting} to a database of this lake's own. Only if that lake was "
                    "moved or copied here, or this one is to take its place: `warehouse rebuild` "
                    "has it made anew from this one, which it goes on with."
                )
            if known != this:
                note(connection, table, this)
            yield connection

    def adopt(self, lake: Path) -> None:
        """Have it written from the lake in a folder from now on, from whichever it was before.

        Raises:
            WarehouseError: the database cannot be opened or written.
            BusyError: another program kept it locked.
        """
        if not self.exists():
            return
        with self.write() as connection:
            self.use.origin.metadata.create_all(connection)
            known, this = noted(connection, self.use.origin), Origin.of(lake, self.url)
            note(connection, self.use.origin, this)
            if known is not None and not known.is_of(this):
                for table in self.use.of_a_lake:
                    connection.execute(table.delete())
