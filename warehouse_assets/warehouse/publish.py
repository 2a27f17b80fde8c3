"""Publishing: making a table of the warehouse equal to the table of the lake.

One transaction per table changes its rows and the note of which version they are, so that a
reader sees one version or the next, and a publishing that was killed did not happen. What to
change comes from Delta's change data feed since the version noted. Where that cannot be known
(no note, a note of another lake, a missing table, a feed no longer kept, other columns) the
table is written whole.
"""

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa
from deltalake import DeltaTable
from sqlalchemy.dialects.sqlite import insert

from warehouse_assets.lake import Lake, LakeTable
from warehouse_assets.progress import Listener, Progress, nobody
from warehouse_assets.schema import column_names, identifiers, key_names
from warehouse_assets.warehouse.changes import publish_changes
from warehouse_assets.warehouse.database import Warehouse
from warehouse_assets.warehouse.notes import COLUMNS, NOTES, PUBLISHED
from warehouse_assets.warehouse.rows import batches, stored_columns

__all__ = ["PUBLISHED", "Published", "publish", "withdraw"]


@dataclass(frozen=True)
class Published:
    """What publishing a table did: rows written and deleted, and whether it was written whole."""

    rows_written: int = 0
    rows_deleted: int = 0
    is_whole: bool = False


def publish(
    lake: Lake,
    warehouse: Warehouse,
    table: LakeTable,
    progress: Listener = nobody,
    whole: bool = False,
    on_wait: Callable[[str], object] = str,
    handle: DeltaTable | None = None,
) -> Published:
    """Bring the warehouse's copy of `table` up to the lake's newest version.

    Args:
        whole: write the table whole even if less would do.
        on_wait: told what is waited for, if another run is publishing.
        handle: stands at the version to publish, if not the newest one now.
    """
    handle = handle or table.open()
    identity, version = str(handle.metadata().id), handle.version()
    with warehouse.write(on_wait) as connection:
        NOTES.create_all(connection)
        note = connection.execute(
            sa.select(PUBLISHED.c.lake_table_id, PUBLISHED.c.version).where(
                PUBLISHED.c.table_name == table.name
            )
        ).one_or_none()
        is_known = note is not None and note.lake_table_id == identity and note.version <= version
        published = None
        if note is not None and is_known and not whole and _has_columns(connection, table):
            if note.version == version:
                return Published()
            changes = publish_changes(lake, connection, table, handle, note.version, progress)
            published = None if changes is None else Published(*changes)
        if published is None:
            published = _publish_whole(lake, connection, table, handle, progress)
        _write_note(connection, table, identity, version)
    return published


def withdraw(warehouse: Warehouse, table: sa.Table, on_wait: Callable[[str], object] = str) -> None:
    """Remove a table that was published once and is no longer; an old copy would mislead."""
    if not warehouse.path.exists():
        return
    with warehouse.read() as connection:
        if not sa.inspect(connection).has_table(str(table.name)):
            return
    with warehouse.write(on_wait) as connection:
        table.drop(connection, checkfirst=True)
        for notes in (PUBLISHED, COLUMNS):
            connection.execute(notes.delete().where(notes.c.table_name == table.name))


def _write_note(connection: sa.Connection, table: LakeTable, identity: str, version: int) -> None:
    values = {"lake_table_id": identity, "version": version}
    connection.execute(
        insert(PUBLISHED)
        .values(table_name=table.name, **values)
        .on_conflict_do_update(index_elements=["table_name"], set_=values)
    )


def _has_columns(connection: sa.Connection, table: LakeTable) -> bool:
    inspector = sa.inspect(connection)
    if not inspector.has_table(table.name):
        return False
    present = [column["name"] for column in inspector.get_columns(table.name)]
    return present == column_names(table.declaration)


def _publish_whole(
    lake: Lake,
    connection: sa.Connection,
    table: LakeTable,
    handle: DeltaTable,
    progress: Listener,
) -> Published:
    """Write the table anew under another name, then let it take the place of the old one."""
    declaration = table.declaration
    fresh = declaration.to_metadata(sa.MetaData(), name=f"_new_{table.name}")
    fresh.indexes.clear()
    fresh.drop(connection, checkfirst=True)
    fresh.create(connection)
    with lake.connect() as engine:
        lake.view(engine, declaration, handle)
        (total,) = engine.execute(f'SELECT count(*) FROM "{table.name}"').fetchall()[0]
        # In the order of the key, a table whose rows are stored in it is written once. Sorted
        # before times become text: that takes half the memory.
        keys = key_names(declaration)
        order = f"ORDER BY {identifiers(keys)}" if keys else ""
        query = f'SELECT {stored_columns(declaration)} FROM (FROM "{table.name}" {order})'
        statement = str(sa.insert(fresh).compile(connection))
        rows = 0
        for batch in batches(engine, query):
            connection.exec_driver_sql(statement, batch)
            rows += len(batch)
            progress(Progress(table.name, "publishing", rows, total, "rows"))
    declaration.drop(connection, checkfirst=True)
    connection.execute(sa.text(f'ALTER TABLE "{fresh.name}" RENAME TO "{table.name}"'))
    for index in declaration.indexes:
        index.create(connection)
    _describe(connection, declaration)
    return Published(rows, 0, is_whole=True)


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
