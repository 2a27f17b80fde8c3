"""Publishing: making a table of the warehouse equal to the table of the lake.

One transaction per table changes its rows and the note of which version they are, so that a
reader sees one version or the next, and a publishing that was killed did not happen. What to
change comes from Delta's change data feed since the version noted. Where that cannot be known
(no note, a note of another lake, a feed no longer kept), or where the table is not as it is
declared (renamed, dropped or changed by hand or by a release), it is written whole. A warehouse
that was written from a lake at another place is refused.
"""

import sqlalchemy as sa
from deltalake import DeltaTable

from warehouse_assets.crash_points import crash_point
from warehouse_assets.lake import Lake, LakeTable
from warehouse_assets.warehouse.catalogue import Catalogue
from warehouse_assets.warehouse.changes import publish_changes
from warehouse_assets.warehouse.database import Warehouse
from warehouse_assets.warehouse.notes import COLUMNS, PUBLISHED, published_version
from warehouse_assets.warehouse.writer import Published, Writer

CHANNEL = "warehouse_published"
"""On which PostgreSQL is told, with the name of the table, when a publishing is committed."""


def publish(
    lake: Lake,
    warehouse: Warehouse,
    table: LakeTable,
    whole: bool = False,
    handle: DeltaTable | None = None,
) -> Published:
    """Bring the warehouse's copy of `table` up to the lake's newest version.

    Args:
        whole: write the table whole even if less would do.
        handle: stands at the version to publish, if not the newest one now.

    Raises:
        WarehouseError: the database was written from a lake at another place, or cannot be used;
            nothing was changed.
    """
    handle = handle or table.open()
    identity, version = str(handle.metadata().id), handle.version()
    crash_point("table to be published", table.name)
    with warehouse.write_from(lake.folder) as connection:
        known = published_version(connection, table.name)
        if known is not None and known.lake_table_id == identity and known.version > version:
            # Another run has published a later version meanwhile, or the lake is an older copy.
            handle = table.open()
            version = handle.version()
        writer = Writer(connection, table.declaration)
        is_known = (
            known is not None and known.lake_table_id == identity and known.version <= version
        )
        is_as_declared = writer.is_as_declared()
        published = None
        if known is not None and is_known and is_as_declared and not whole:
            if known.version == version:
                return Published()
            published = publish_changes(lake, writer, table, handle, known.version)
        if published is None:
            published = _publish_whole(lake, writer, table, handle)
            _describe(connection, table.declaration)
        crash_point("rows published", table.name)
        _write_note(connection, table, identity, version)
        crash_point("version noted", table.name)
    crash_point("table published", table.name)
    return published


def withdraw(lake: Lake, warehouse: Warehouse, table: sa.Table) -> None:
    """Remove a table that was published once and is no longer; an old copy would mislead.

    Raises:
        WarehouseError: as of `publish`.
    """
    if not warehouse.exists():
        return
    with warehouse.read() as connection:
        if not sa.inspect(connection).has_table(str(table.name)):
            return
    with warehouse.write_from(lake.folder) as connection:
        Catalogue(connection).has_table(str(table.name))
        table.drop(connection, checkfirst=True)
        for notes in (PUBLISHED, COLUMNS):
            connection.execute(notes.delete().where(notes.c.table_name == table.name))
        _tell(connection, str(table.name))


def _write_note(connection: sa.Connection, table: LakeTable, identity: str, version: int) -> None:
    connection.execute(PUBLISHED.delete().where(PUBLISHED.c.table_name == table.name))
    connection.execute(
        PUBLISHED.insert().values(table_name=table.name, lake_table_id=identity, version=version)
    )
    _tell(connection, table.name)


def _tell(connection: sa.Connection, table: str) -> None:
    """Have whoever listens hear, when this is committed, that the table has changed."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_notify(CHANNEL, table)))


def _publish_whole(lake: Lake, writer: Writer, table: LakeTable, handle: DeltaTable) -> Published:
    """Give the table exactly the rows that the lake has of it."""
    with lake.connect() as engine:
        lake.view(engine, table.declaration, handle)
        return writer.write_whole(engine)


def _describe(connection: sa.Connection, declaration: sa.Table) -> None:
    connection.execute(COLUMNS.delete().where(COLUMNS.c.table_name == declaration.name))
    connection.execute(
        COLUMNS.insert(),
        [
            {
                "table_name": declaration.name,
                "column_name": column.name,
                "description": column.comment,
            }
            for column in declaration.columns
        ],
    )
