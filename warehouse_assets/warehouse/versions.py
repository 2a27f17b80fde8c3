"""Which versions are published, for whoever keeps what was computed from them."""

from collections.abc import Collection
from typing import NamedTuple

import sqlalchemy as sa

from warehouse_assets.warehouse.database import Warehouse
from warehouse_assets.warehouse.notes import PUBLISHED


class PublishedVersion(NamedTuple):
    """One published table: equal to another one exactly if the rows of the table are the same."""

    table: str
    lake_table_id: str
    version: int


class PublishedVersions:
    """Tells cheaply whether anything was published since: one small query, no table is read.

    What is computed in the same transaction (`warehouse.read()`) as `of` was asked in belongs to
    the versions that `of` gave, so that they can be the key of a cache or an ETag:

        with warehouse.read() as connection:
            versions = published.of(connection, ["weekly_trips"])
            if versions != known:
                ...
    """

    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse

    def of(
        self, connection: sa.Connection, tables: Collection[str]
    ) -> tuple[PublishedVersion, ...]:
        """The versions of those of `tables` that are published, ordered by name.

        A table that is not published is left out; in a database into which nothing was published
        yet there are none.

        Args:
            connection: of `warehouse.read()`.
            tables: names of tables of the warehouse.
        """
        if not connection.dialect.has_table(connection, PUBLISHED.name):
            return ()
        query = sa.select(
            PUBLISHED.c.table_name, PUBLISHED.c.lake_table_id, PUBLISHED.c.version
        ).where(PUBLISHED.c.table_name.in_(sorted(tables)))
        return tuple(sorted(PublishedVersion(*row) for row in connection.execute(query)))

    def now(self, tables: Collection[str]) -> tuple[PublishedVersion, ...]:
        """What `of` gives in a transaction of its own.

        Raises:
            WarehouseError: there is no database yet, or it cannot be opened or read.
        """
        with self.warehouse.read() as connection:
            return self.of(connection, tables)
