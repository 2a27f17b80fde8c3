"""From which lake a database was written: a note in it, so that two lakes cannot take turns.

A database goes on with the lake that it was written from: one at the same place of the same
machine, also if it was lost and made again, or the same folder at another path, as after a move
or in a container. Of a SQLite file the place is counted from the file's own folder, so that a
home may be moved or copied whole, to another machine, too.
"""

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import sqlalchemy as sa

_ID_FILE = ".lake_id"


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
class Origin:
    """A lake, as a database notes it.

    Args:
        place: its folder, without symbolic links.
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
    def of(cls, lake: Path, url: sa.URL) -> "Origin":
        """The lake in a folder as the database at `url` notes it."""
        place, host = os.path.realpath(lake), socket.gethostname()
        if url.get_backend_name() == "sqlite":
            place, host = os.path.relpath(place, _folder_of(url)), ""
        return cls(place, host, *_identity_of(lake))

    def is_of(self, other: "Origin") -> bool:
        """Whether both are the same lake, or one that was made again in place of the other."""
        if (self.place, self.host) == (other.place, other.host):
            return True
        return bool(self.lake_id) and (self.lake_id, self.inode) == (other.lake_id, other.inode)

    def shown(self, url: sa.URL) -> str:
        """Where the lake is, for people."""
        if url.get_backend_name() == "sqlite":
            return os.path.normpath(_folder_of(url) / self.place)
        return f"{self.place} on {self.host}"


def noted(connection: sa.Connection, table: sa.Table) -> Origin | None:
    """The lake that is noted in `table`; None if none is."""
    row = connection.execute(sa.select(table)).one_or_none()
    return None if row is None else Origin(row.place, row.host, row.lake_id, row.inode)


def note(connection: sa.Connection, table: sa.Table, origin: Origin) -> None:
    """Note a lake in `table`, in place of the one that was noted."""
    connection.execute(table.delete())
    connection.execute(table.insert().values(vars(origin)))


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
