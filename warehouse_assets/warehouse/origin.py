"""From which lake a database was written: a note in it, so that two lakes cannot take turns.

A database goes on with the lake that it was written from: one at the same place of the same
machine, also if it was lost and made again, or the same folder at another path, as after a move
or in a container. Of a SQLite file the place is counted from the file's own folder, so that a
home may be moved or copied whole, to another machine, too.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from warehouse_assets.lake.identity import identity_of


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
    """A lake, as a database notes it."""

    place: str
    host: str
    lake_id: str
    inode: str

    @classmethod
    def of(cls, lake: Path, url: sa.URL, is_made: bool = True) -> "Origin":
        """The lake in a folder as the database at `url` notes it; see `identity_of`."""
        found = identity_of(lake, is_made)
        place, host = str(found.folder), found.host
        if url.get_backend_name() == "sqlite":
            place, host = os.path.relpath(place, _folder_of(url)), ""
        return cls(place, host, found.lake_id, str(found.inode))

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
    """The lake from which the database was written; None if none is noted."""
    if not connection.dialect.has_table(connection, str(table.name)):
        return None
    row = connection.execute(sa.select(table)).one_or_none()
    return None if row is None else Origin(row.place, row.host, row.lake_id, row.inode)


def note(connection: sa.Connection, table: sa.Table, origin: Origin) -> None:
    """Note that the database is written from `origin` from now on."""
    connection.execute(table.delete())
    connection.execute(table.insert().values(vars(origin)))


def _folder_of(url: sa.URL) -> Path:
    """The folder of a SQLite file, without symbolic links."""
    return Path(os.path.realpath(url.database or "")).parent
