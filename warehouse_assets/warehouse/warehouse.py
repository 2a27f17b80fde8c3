"""The warehouse: a database of the published tables, and what is noted in it about them.

How tables are published is in `publish`.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from warehouse_assets.times import utc_now
from warehouse_assets.warehouse.database import SqlDatabase, Use, origin_table
from warehouse_assets.warehouse.postgresql import PostgresqlDatabase
from warehouse_assets.warehouse.sqlite import SqliteDatabase

_NOTES = sa.MetaData()

PUBLISHED = sa.Table(
    "_published",
    _NOTES,
    sa.Column("table_name", sa.Text, primary_key=True, comment="Table of the warehouse."),
    sa.Column("lake_table_id", sa.Text, nullable=False, comment="Which lake it came from."),
    sa.Column("version", sa.BigInteger, nullable=False, comment="Version in the lake."),
)

TABLES = sa.Table(
    "_tables",
    _NOTES,
    sa.Column("table_name", sa.Text, primary_key=True, comment="Table or view of the warehouse."),
    sa.Column("kind", sa.Text, nullable=False, comment="`table` or `view`."),
    sa.Column("description", sa.Text, nullable=False, comment="What its rows are."),
    sa.Column("rows", sa.BigInteger, comment="How many a table has; null for a view."),
    sa.Column("published_at", sa.DateTime, nullable=False, comment="When it was, in UTC."),
    sa.Column(
        "version",
        sa.BigInteger,
        nullable=False,
        comment="Of a table the version in the lake, of a view a sum over its SELECT.",
    ),
)
"""What people find in the warehouse."""

PUBLICATIONS = sa.Table(
    "_publications",
    _NOTES,
    sa.Column("table_name", sa.Text, primary_key=True, comment="Table of the warehouse."),
    sa.Column("published_at", sa.DateTime, primary_key=True, comment="When it was, in UTC."),
    sa.Column("lake_table_id", sa.Text, nullable=False, comment="Which lake it came from."),
    sa.Column("version", sa.BigInteger, nullable=False, comment="Version in the lake."),
)
"""What was published when, for as long as one may travel back."""

LAKE = origin_table("_lake", _NOTES)

COLUMNS = sa.Table(
    "_columns",
    _NOTES,
    sa.Column("table_name", sa.Text, primary_key=True, comment="Table of the warehouse."),
    sa.Column("column_name", sa.Text, primary_key=True, comment="Its column."),
    sa.Column("description", sa.Text, nullable=False, comment="What the column means."),
)

# How long a writer waits for another one; publishing the largest table takes minutes.
_SECONDS_TO_WAIT_FOR_A_WRITER = 600
_WAREHOUSE = Use(
    "The warehouse",
    "WAREHOUSE_URL",
    "the lake is the record: `warehouse rebuild` moves the file aside and writes a new one",
    782391,
    LAKE,
    [PUBLISHED, PUBLICATIONS, TABLES],
)

Warehouse = SqlDatabase
"""The database of the published tables, as `warehouse_at` gives it."""


def warehouse_at(url: str, seconds_to_wait: float = _SECONDS_TO_WAIT_FOR_A_WRITER) -> Warehouse:
    """The warehouse at a URL; see `SqlDatabase`."""
    return database_at(url, _WAREHOUSE, seconds_to_wait)


def database_at(url: str, use: Use, seconds_to_wait: float) -> SqlDatabase:
    """The database at a URL, of whichever kind it is; see `SqlDatabase`."""
    parsed = sa.make_url(url)
    is_sqlite = parsed.get_backend_name() == "sqlite"
    kind = SqliteDatabase if is_sqlite else PostgresqlDatabase
    return kind(parsed, use, seconds_to_wait)


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


def note_published(connection: sa.Connection, published: PublishedVersion) -> None:
    """Note, in the transaction that writes its rows, which version of a table is published now."""
    note = {
        "table_name": published.table,
        "lake_table_id": published.lake_table_id,
        "version": published.version,
    }
    connection.execute(PUBLISHED.delete().where(PUBLISHED.c.table_name == published.table))
    connection.execute(PUBLISHED.insert().values(note))
    connection.execute(PUBLICATIONS.insert().values(**note, published_at=utc_now()))


def published_at(connection: sa.Connection, moment: datetime) -> Mapping[str, PublishedVersion]:
    """The version of each table that was published at a moment, which is in UTC.

    Those of which the database does not know are left out: it was made later, or by a release that
    kept no record.
    """
    if not connection.dialect.has_table(connection, PUBLICATIONS.name):
        return {}
    rows = connection.execute(
        sa.select(PUBLICATIONS.c.table_name, PUBLICATIONS.c.lake_table_id, PUBLICATIONS.c.version)
        .where(PUBLICATIONS.c.published_at <= moment)
        .order_by(PUBLICATIONS.c.published_at)
    )
    return {row[0]: PublishedVersion(*row) for row in rows}


def published_since(
    connection: sa.Connection, versions: Collection[PublishedVersion]
) -> Mapping[PublishedVersion, datetime]:
    """When versions of tables were published last, in UTC; those of which that is known."""
    if not connection.dialect.has_table(connection, PUBLICATIONS.name):
        return {}
    rows = connection.execute(
        sa.select(PUBLICATIONS)
        .where(PUBLICATIONS.c.table_name.in_({found.table for found in versions}))
        .order_by(PUBLICATIONS.c.published_at)
    )
    times = {PublishedVersion(name, lake, version): at for name, at, lake, version in rows}
    return {found: times[found] for found in versions if found in times}


def forget_publications(connection: sa.Connection, before: datetime) -> None:
    """Forget what was published before a moment, but for what still was at it."""
    later = PUBLICATIONS.alias()
    connection.execute(
        PUBLICATIONS.delete().where(
            sa.exists().where(
                later.c.table_name == PUBLICATIONS.c.table_name,
                later.c.published_at > PUBLICATIONS.c.published_at,
                later.c.published_at <= before,
            )
        )
    )
