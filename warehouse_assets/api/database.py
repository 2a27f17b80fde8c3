"""How answers read the warehouse: in one transaction each, on connections that stay open.

What goes wrong on such a connection is tried once more by `Warehouse.read`, which says what it is,
or does better where only the connection was worn out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, TypeVar

import sqlalchemy as sa

from warehouse_assets.defs.reviews.answers import Execute
from warehouse_assets.warehouse import Warehouse
from warehouse_assets.warehouse.notes import PUBLISHED, PublishedVersion, published_versions

T = TypeVar("T")
Versions = Mapping[str, PublishedVersion]
"""The published version of each table."""

VERSIONS = f'SELECT table_name, lake_table_id, version FROM "{PUBLISHED.name}"'
"""The statement that tells what is published."""


@dataclass(frozen=True)
class Lookup:
    """A transaction that reads tables of the warehouse by the texts of statements.

    Args:
        dialect: `sqlite` or `postgresql`.
        execute: runs a statement.
        versions: the published versions of the tables; one that is not published is missing.
    """

    dialect: str
    execute: Execute
    versions: tuple[PublishedVersion, ...]


@dataclass(frozen=True)
class Reading(Lookup):
    """A transaction that reads tables of the warehouse."""

    connection: sa.Connection


class Database(Protocol):
    """The warehouse, for use by one event loop."""

    async def read(self, tables: Sequence[str], work: Callable[[Reading], T]) -> T:
        """What `work` returns, which reads `tables` in one transaction, in a thread.

        Raises:
            WarehouseAssetsError: the warehouse cannot be read, or did not answer in time.
        """

    async def look_up(self, tables: Sequence[str], work: Callable[[Lookup], T]) -> T:
        """The same, of what may take less time than to hand it to a thread."""

    async def published(self) -> Versions | None:
        """What is published now; None where that cannot be known."""

    def close(self) -> None:
        """Close all connections, when what they do is done."""


def read_anew(warehouse: Warehouse, tables: Sequence[str], work: Callable[[Reading], T]) -> T:
    """What `work` returns, on a connection of its own.

    Raises:
        WarehouseAssetsError: the warehouse cannot be read.
    """
    with warehouse.read() as connection:
        versions = published_versions(connection, tables)
        return work(reading_by(connection, versions))


def reading_by(connection: sa.Connection, versions: tuple[PublishedVersion, ...]) -> Reading:
    """What reads by `connection`, in PostgreSQL with values as it takes them."""
    dialect = connection.dialect.name

    def execute(text: str, values: Mapping[str, object]) -> Sequence[Sequence[Any]]:
        taken = dict(values) if dialect == "sqlite" else without_nul(values)
        return connection.exec_driver_sql(text, taken).fetchall()

    return Reading(dialect, execute, versions, connection)


def without_nul(values: Mapping[str, object]) -> dict[str, object]:
    """`values` without NUL, for which U+FFFD stands in what is published to PostgreSQL, too."""
    return {
        name: value.replace("\0", "\ufffd") if isinstance(value, str) else value
        for name, value in values.items()
    }


@lru_cache
def versions_of(number: int, mark: str) -> str:
    """The statement that tells the published versions of so many tables."""
    return f"{VERSIONS} WHERE table_name IN ({', '.join([mark] * number)}) ORDER BY table_name"


def by_table(rows: Sequence[Sequence[Any]]) -> Versions:
    """The published versions by the names of their tables, of the rows that `VERSIONS` gives."""
    return {row[0]: PublishedVersion(*row) for row in rows}
