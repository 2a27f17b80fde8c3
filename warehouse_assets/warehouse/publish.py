"""Publishing: making a table of the warehouse equal to the table of the lake.

One transaction per table changes its rows and the note of which version they are, so that a
reader sees one version or the next, and a publishing that was killed did not happen. What to
change comes from Delta's change data feed since the version noted. Where that cannot be known
(no note, a note of another lake, a missing table, a feed no longer kept, other columns) the
table is written whole.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import duckdb
import sqlalchemy as sa
from deltalake import DeltaTable
from sqlalchemy.dialects.sqlite import insert

from warehouse_assets.lake import Lake, LakeTable, view_changes
from warehouse_assets.progress import Listener, Progress, nobody
from warehouse_assets.schema import column_names, identifiers, key_names, value_names
from warehouse_assets.warehouse.database import Warehouse

_ROWS_AT_ONCE = 50_000

_notes = sa.MetaData()

PUBLISHED = sa.Table(
    "_published",
    _notes,
    sa.Column("table_name", sa.Text, primary_key=True, comment="Table of the warehouse."),
    sa.Column("lake_table_id", sa.Text, nullable=False, comment="Which lake it came from."),
    sa.Column("version", sa.BigInteger, nullable=False, comment="Version in the lake."),
)

COLUMNS = sa.Table(
    "_columns",
    _notes,
    sa.Column("table_name", sa.Text, primary_key=True, comment="Table of the warehouse."),
    sa.Column("column_name", sa.Text, primary_key=True, comment="Its column."),
    sa.Column("description", sa.Text, nullable=False, comment="What the column means."),
)


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
        _notes.create_all(connection)
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
            published = _publish_changes(lake, connection, table, handle, note.version, progress)
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
        query = f"""SELECT {_stored(declaration)} FROM (
            FROM "{table.name}" ORDER BY {identifiers(key_names(declaration))})"""
        statement = str(sa.insert(fresh).compile(connection))
        rows = 0
        for batch in _batches(engine, query):
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


def _publish_changes(
    lake: Lake,
    connection: sa.Connection,
    table: LakeTable,
    handle: DeltaTable,
    since: int,
    progress: Listener,
) -> Published | None:
    """Apply what the change data feed tells of the versions after `since`; None if it is gone."""
    declaration = table.declaration
    keys = key_names(declaration)
    with lake.connect() as engine:
        if not view_changes(engine, handle, since, "_changes"):
            return None
        _net_changes(engine, declaration)
        (total,) = engine.execute("SELECT count(*) FROM _after").fetchall()[0]
        deleted, written = 0, 0
        deletion = sa.delete(declaration).where(
            *(declaration.c[key] == sa.bindparam(f"key_{key}") for key in keys)
        )
        gone = f"SELECT {_stored(declaration, keys)} FROM _after WHERE _is_deleted"
        for batch in _batches(engine, gone):
            connection.exec_driver_sql(str(deletion.compile(connection)), batch)
            deleted += len(batch)
        upsert = insert(declaration)
        values = {name: upsert.excluded[name] for name in value_names(declaration)}
        upsert = (
            upsert.on_conflict_do_update(index_elements=keys, set_=values)
            if values
            else upsert.on_conflict_do_nothing()
        )
        statement = str(upsert.compile(connection))
        kept = f"SELECT {_stored(declaration)} FROM _after WHERE NOT _is_deleted"
        for batch in _batches(engine, kept):
            connection.exec_driver_sql(statement, batch)
            written += len(batch)
            progress(Progress(table.name, "publishing", deleted + written, total, "rows"))
    return Published(written, deleted)


def _net_changes(engine: duckdb.DuckDBPyConnection, declaration: sa.Table) -> None:
    """Make `_after` of `_changes`: each key that changed, once, as it is last or as deleted.

    A file replaced by hand shows in the feed as all its rows deleted and inserted again: keys
    that end with the values they began with are left out.
    """
    keys, columns = identifiers(key_names(declaration)), identifiers(column_names(declaration))
    engine.execute(
        f"""CREATE TEMP TABLE _after AS
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
        SELECT {columns}, true FROM last WHERE _is_deleted
            AND EXISTS (SELECT 1 FROM first WHERE NOT first._is_new AND {_same_key(declaration)})"""
    )


def _same_key(declaration: sa.Table) -> str:
    return " AND ".join(f'first."{key}" = last."{key}"' for key in key_names(declaration))


def _batches(engine: duckdb.DuckDBPyConnection, query: str) -> Iterator[list[tuple[object, ...]]]:
    result = engine.execute(query)
    while batch := result.fetchmany(_ROWS_AT_ONCE):
        yield batch


def _stored(declaration: sa.Table, names: list[str] | None = None) -> str:
    """Columns as SQLite stores them: dates and times as text that sorts in their order."""
    expressions = []
    for column in (declaration.c[name] for name in names or column_names(declaration)):
        name = f'"{column.name}"'
        if isinstance(column.type, sa.DateTime):
            name = f"strftime({name}, '%Y-%m-%d %H:%M:%S.%f')"
        elif isinstance(column.type, sa.Date):
            name = f"strftime({name}, '%Y-%m-%d')"
        expressions.append(name)
    return ", ".join(expressions)
