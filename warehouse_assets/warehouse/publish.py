"""Publishing: making a table of the warehouse equal to the table of the lake.

One transaction per table changes its rows and the note of which version they are, so that a
reader sees one version or the next, and a publishing that was killed did not happen. What to
change comes from Delta's change data feed since the version noted. Where that cannot be known
(no note, a note of another lake, a feed no longer kept), or where the table is not as it is
declared (renamed, dropped or changed by hand or by a release), it is written whole. A warehouse
that was written from a lake at another place is refused.
"""

import duckdb
import sqlalchemy as sa
from deltalake import DeltaTable

from warehouse_assets.crash_points import crash_point
from warehouse_assets.lake import Lake, LakeTable, view_changes
from warehouse_assets.tables import aggregated, aggregates, column_names, identifiers, key_names
from warehouse_assets.warehouse.views import (
    drop_view,
    is_noted,
    make_views,
    note,
    views_of,
)
from warehouse_assets.warehouse.warehouse import (
    COLUMNS,
    PUBLISHED,
    TABLES,
    PublishedVersion,
    Warehouse,
    note_published,
    published_version,
)
from warehouse_assets.warehouse.writer import AFTER, Published, Writer

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
        if known is not None and known.lake_table_id != identity:
            known = None
        if known is not None and known.version > version:
            # Another run has published a later version meanwhile, or the lake is an older copy.
            handle = table.open()
            version = handle.version()
        writer = Writer(connection, table.declaration)
        is_as_declared = writer.is_as_declared()
        published = None
        if known is not None and known.version <= version and is_as_declared and not whole:
            if known.version == version:
                if not is_noted(connection, table.name):
                    _tell_people(connection, table, handle)
                make_views(connection, table.declaration)
                return Published()
            published = _publish_changes(lake, writer, table, handle, known.version)
        if published is None:
            with lake.connect() as engine:
                lake.view(engine, table.declaration, handle)
                published = writer.write_whole(engine)
            _describe(connection, table.declaration)
        crash_point("rows published", table.name)
        _tell_people(connection, table, handle)
        make_views(connection, table.declaration)
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
        Writer(connection, table).exists()  # not something else in its place
        for view in views_of(table):
            drop_view(connection, view.name)
        table.drop(connection, checkfirst=True)
        for notes in (PUBLISHED, COLUMNS, TABLES):
            connection.execute(notes.delete().where(notes.c.table_name == table.name))
        _tell(connection, str(table.name))


def _write_note(connection: sa.Connection, table: LakeTable, identity: str, version: int) -> None:
    note_published(connection, PublishedVersion(table.name, identity, version))
    _tell(connection, table.name)


def _tell_people(connection: sa.Connection, table: LakeTable, handle: DeltaTable) -> None:
    """Note in `_tables` what the table is now; the lake knows its rows unless they are partial."""
    declaration = table.declaration
    if aggregates(declaration):
        rows = connection.scalar(sa.select(sa.func.count()).select_from(declaration))
    else:
        rows = handle.count()
    note(connection, table.name, "table", declaration.comment, rows, handle.version())


def _tell(connection: sa.Connection, table: str) -> None:
    """Have whoever listens hear, when this is committed, that the table has changed."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_notify(CHANNEL, table)))


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


def _publish_changes(
    lake: Lake, writer: Writer, table: LakeTable, handle: DeltaTable, since: int
) -> Published | None:
    """Apply what the change data feed tells of the versions after `since`.

    Returns None, with nothing done, if the feed does not tell enough.
    """
    declaration = table.declaration
    with lake.connect() as engine:
        if not view_changes(engine, handle, since, "_changes"):
            return None
        if key_names(declaration) and not aggregates(declaration):
            _net_changes(engine, declaration)
        elif not _net_additions(engine, declaration):
            return None
        return writer.write_changes(engine)


def _net_additions(engine: duckdb.DuckDBPyConnection, declaration: sa.Table) -> bool:
    """Make `AFTER` of `_changes` if these are nothing but rows added; returns whether they are."""
    others = engine.execute("SELECT 1 FROM _changes WHERE _change_type <> 'insert' LIMIT 1")
    if others.fetchall():
        return False
    added = aggregated(declaration, "_changes")
    engine.execute(f"CREATE TEMP TABLE {AFTER} AS SELECT *, false AS _is_deleted FROM ({added})")
    return True


def _net_changes(engine: duckdb.DuckDBPyConnection, declaration: sa.Table) -> None:
    """Make `AFTER` of `_changes`: each key that changed, once, as it is last or as deleted.

    A file replaced by hand shows in the feed as all its rows deleted and inserted again: keys
    that end with the values they began with are left out.
    """
    keys, columns = identifiers(key_names(declaration)), identifiers(column_names(declaration))
    engine.execute(
        f"""CREATE TEMP TABLE {AFTER} AS
        WITH last AS (
            SELECT *, _change_type = 'delete' AS _is_deleted FROM _changes
            WHERE _change_type <> 'update_preimage'
            QUALIFY row_number() OVER (
                PARTITION BY {keys} ORDER BY _commit_version DESC, _change_type = 'delete') = 1
        ),
        first AS (
            SELECT *, _change_type = 'insert' AS _is_new FROM _changes
            WHERE _change_type <> 'update_postimage'
            QUALIFY row_number() OVER (
                PARTITION BY {keys} ORDER BY _commit_version, _change_type = 'insert') = 1
        )
        SELECT {columns}, false AS _is_deleted FROM (
            SELECT {columns} FROM last WHERE NOT _is_deleted
            EXCEPT SELECT {columns} FROM first WHERE NOT _is_new
        )
        UNION ALL
        SELECT {columns}, true FROM (FROM last WHERE _is_deleted)
        SEMI JOIN (FROM first WHERE NOT _is_new) USING ({keys})"""
    )
