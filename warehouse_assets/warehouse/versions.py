"""Which versions are published, for publishing and for whoever keeps what was computed of them."""

from collections.abc import Collection
from typing import NamedTuple

import sqlalchemy as sa

from warehouse_assets.warehouse.notes import PUBLISHED


class PublishedVersion(NamedTuple):
    """One published table: equal to another one exactly if the rows of the table are the same."""

    table: str
    lake_table_id: str
    version: int


def published_versions(
    connection: sa.Connection, tables: Collection[str]
) -> tuple[PublishedVersion, ...]:
    """The versions of those of `tables` that are published, ordered by name.

    One small query; no table is read. What is read in the same transaction belongs to these
    versions, so that they can be the key of a cache or an ETag.

    A table that is not published is left out; in a database into which nothing was published yet
    there are none.

    Args:
        connection: of `warehouse.read()` or `warehouse.write()`.
        tables: names of tables of the warehouse.
    """
    if not connection.dialect.has_table(connection, PUBLISHED.name):
        return ()
    query = sa.select(PUBLISHED.c.table_name, PUBLISHED.c.lake_table_id, PUBLISHED.c.version)
    rows = connection.execute(query.where(PUBLISHED.c.table_name.in_(sorted(tables))))
    return tuple(sorted(PublishedVersion(*row) for row in rows))


def published_version(connection: sa.Connection, table: str) -> PublishedVersion | None:
    """The version of a table that is published; None if it is not."""
    return next(iter(published_versions(connection, [table])), None)
