"""What the SQL databases of our own have in common, whichever kind they are and whatever they hold.

A database belongs to one lake, of which it is a copy or a summary. It notes which one, so that two
lakes cannot take turns: it goes on with the lake that it was written from, which is one at the
same place of the same machine, also if it was lost and made again, or the same folder at another
path, as after a move or in a container. Of a SQLite file the place is counted from the file's own
folder, so that a home may be moved or copied whole, to another machine, too.
"""

import os
import socket
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import sqlalchemy as sa

from warehouse_assets.errors import WarehouseError
from warehouse_assets.lake.storage import Place

COLUMN_TO_COME = (
    "If this is a new release, it has added the column: the next run publishes the table with it "
    "(`warehouse ingest`, or materialise the table)"
)
"""What to do about a column that a published table lacks."""

_ID_FILE = ".lake_id"


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
    def write_from(self, lake: Place) -> Iterator[sa.Connection]:
        """As `write`, for what the lake in a folder has to say; makes the tables of the use.

        Raises:
            WarehouseError: the database was written from a lake at another place, too.
        """
        with self.write() as connection:
            known, this = self._origins(connection, lake)
            if known is not None and not known.is_of(this):
                raise WarehouseError(
                    f"{self.use.name} {self} belongs to the lake in {known.shown(self.url)}; "
                    f"this is the lake in {this.shown(self.url)}. Nothing of it was changed. Set "
                    f"{self.use.setting} to a database of this lake's own. Only if that lake was "
                    "moved or copied here, or this one is to take its place: `warehouse rebuild` "
                    "has it made anew from this one, which it goes on with."
                )
            if known != this:
                self._note(connection, this)
            yield connection

    def adopt(self, lake: Place) -> None:
        """Have it written from the lake in a folder from now on, from whichever it was before.

        Raises:
            WarehouseError: the database cannot be opened or written.
            BusyError: another program kept it locked.
        """
        if not self.exists():
            return
        with self.write() as connection:
            known, this = self._origins(connection, lake)
            self._note(connection, this)
            if known is not None and not known.is_of(this):
                for table in self.use.of_a_lake:
                    connection.execute(table.delete())

    def _origins(
        self, connection: sa.Connection, lake: Place
    ) -> tuple["_Origin | None", "_Origin"]:
        """The lake that is noted, if one is, and that in a folder."""
        self.use.origin.metadata.create_all(connection)
        row = connection.execute(sa.select(self.use.origin)).one_or_none()
        return None if row is None else _Origin(*row), _Origin.of(lake, self.url)

    def _note(self, connection: sa.Connection, origin: "_Origin") -> None:
        connection.execute(self.use.origin.delete())
        connection.execute(self.use.origin.insert().values(vars(origin)))


def origin_table(name: str, metadata: sa.MetaData) -> sa.Table:
    """A table for the note, of one row."""
    return sa.Table(
        name,
        metadata,
        sa.Column("place", sa.Text, primary_key=True, comment="The lake's folder."),
        sa.Column("host", sa.Text, nullable=False, comment="The machine that wrote last."),
        sa.Column("lake_id", sa.Text, nullable=False, comment="Kept in the lake's folder."),
        sa.Column("inode", sa.Text, nullable=False, comment="Number of the file of that id."),
    )


@dataclass(frozen=True)
class _Origin:
    """A lake, as a database notes it.

    Args:
        place: its folder, without symbolic links; or its address in object storage.
        host: the machine's name for itself; that of a container may be another each time.
        lake_id: a random text, kept in the folder; empty if it cannot be. A copy has the same one.
        inode: number of the file with it, which stays the same when the folder is moved within a
            file system or mounted elsewhere; a copy has another one.
    """

    place: str
    host: str
    lake_id: str
    inode: str

    @classmethod
    def of(cls, lake: Place, url: sa.URL) -> "_Origin":
        """The lake as the database at `url` notes it."""
        if not isinstance(lake, Path):
            return cls(str(lake), "", "", "0")
        place, host = os.path.realpath(lake), socket.gethostname()
        if url.get_backend_name() == "sqlite":
            place, host = os.path.relpath(place, _folder_of(url)), ""
        return cls(place, host, *_identity_of(lake))

    def is_of(self, other: "_Origin") -> bool:
        """Whether both are the same lake, or one that was made again in place of the other."""
        if (self.place, self.host) == (other.place, other.host):
            return True
        return bool(self.lake_id) and (self.lake_id, self.inode) == (other.lake_id, other.inode)

    def shown(self, url: sa.URL) -> str:
        """Where the lake is, for people."""
        if "://" in self.place:
            return self.place
        if url.get_backend_name() == "sqlite":
            return os.path.normpath(_folder_of(url) / self.place)
        return f"{self.place} on {self.host}"


def _folder_of(url: sa.URL) -> Path:
    """The folder of a SQLite file, without symbolic links."""
    return Path(os.path.realpath(url.database or "")).parent


def _identity_of(lake: Path) -> tuple[str, str]:
    """The lake's id and the number of its file, which is made if it can be."""
    path = lake / _ID_FILE
    with suppress(OSError):
        if not path.exists():
            _make(path)
    try:
        return path.read_text(encoding="ascii"), str(path.stat().st_ino)
    except (OSError, ValueError):
        return "", "0"


def _make(path: Path) -> None:
    """Write an id, unless another process is faster; nobody sees a part of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{_ID_FILE}.{uuid4()}")
    try:
        fresh.write_text(str(uuid4()), encoding="ascii")
        os.link(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
