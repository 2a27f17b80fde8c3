"""The tables in which the warehouse notes what is published in it, and of which version it is."""

from collections.abc import Collection
from typing import NamedTuple

import sqlalchemy as sa

from warehouse_assets.warehouse.origin import origin_table

NOTES = sa.MetaData()

PUBLISHED = sa.Table(
    "_published",
    NOTES,
    sa.Column("table_name", sa.Text, primary_key=True, comment="Table of the warehouse."),
    sa.Column("lake_table_id", sa.Text, nullable=False, comment="Which lake it came from."),
    sa.Column("version", sa.BigInteger, nullable=False, comment="Version in the lake."),
)

LAKE = origin_table("_lake", NOTES)

COLUMNS = sa.Table(
    "_columns",
    NOTES,
    sa.Column("table_name", sa.Text, primary_key=True, comment="Table of the warehouse."),
    sa.Column("column_name", sa.Text, primary_key=True, comment="Its column."),
    sa.Column("description", sa.Text, nullable=False, comment="What the column means."),
)


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
