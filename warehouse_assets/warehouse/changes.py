"""Publishing what changed: the rows of Delta's change data feed, applied to the warehouse's copy.

A row replaces that of the same key, a partial row of an aggregated table is added to it, and rows
of a table without a key are only ever added.
"""

import duckdb
import sqlalchemy as sa
from deltalake import DeltaTable
from sqlalchemy.dialects.sqlite import Insert, insert

from warehouse_assets.lake import Lake, LakeTable, view_changes
from warehouse_assets.progress import Listener, Progress
from warehouse_assets.schema import (
    aggregated,
    aggregates,
    column_names,
    identifiers,
    key_names,
    value_names,
)
from warehouse_assets.warehouse.rows import batches, stored_columns


def publish_changes(
    lake: Lake,
    connection: sa.Connection,
    table: LakeTable,
    handle: DeltaTable,
    since: int,
    progress: Listener,
) -> tuple[int, int] | None:
    """Apply what the change data feed tells of the versions after `since`.

    Returns how many rows were written and how many deleted; None, with nothing done, if the feed
    does not tell enough.
    """
    declaration = table.declaration
    with lake.connect() as engine:
        if not view_changes(engine, handle, since, "_changes"):
            return None
        if key_names(declaration) and not aggregates(declaration):
            _net_changes(engine, declaration)
        elif not _net_additions(engine, declaration):
            return None
        (total,) = engine.execute("SELECT count(*) FROM _after").fetchall()[0]
        deleted = _delete(engine, connection, declaration)
        statement = str(_insertion(declaration).compile(connection))
        order = f"ORDER BY {identifiers(key_names(declaration))}" if aggregates(declaration) else ""
        kept = f"""SELECT {stored_columns(declaration)}
            FROM (FROM _after WHERE NOT _is_deleted {order})"""
        written = 0
        for batch in batches(engine, kept):
            connection.exec_driver_sql(statement, batch)
            written += len(batch)
            progress(Progress(table.name, "publishing", deleted + written, total, "rows"))
    return written, deleted


def _delete(
    engine: duckdb.DuckDBPyConnection, connection: sa.Connection, declaration: sa.Table
) -> int:
    """Delete the rows of `_after` that are deleted; returns how many."""
    keys = key_names(declaration)
    deletion = sa.delete(declaration).where(
        *(declaration.c[key] == sa.bindparam(f"key_{key}") for key in keys)
    )
    gone = f"SELECT {stored_columns(declaration, keys)} FROM _after WHERE _is_deleted"
    deleted = 0
    for batch in batches(engine, gone) if keys else ():
        connection.exec_driver_sql(str(deletion.compile(connection)), batch)
        deleted += len(batch)
    return deleted


def _insertion(declaration: sa.Table) -> Insert:
    """The statement that writes a row."""
    statement, keys = insert(declaration), key_names(declaration)
    if not keys:
        return statement
    values = {name: _combined(declaration, statement, name) for name in value_names(declaration)}
    if not values:
        return statement.on_conflict_do_nothing()
    return statement.on_conflict_do_update(index_elements=keys, set_=values)


def _combined(declaration: sa.Table, statement: Insert, name: str) -> sa.ColumnElement[object]:
    """What the column `name` of a row that is there becomes; nulls do not count."""
    old, new = declaration.c[name], statement.excluded[name]
    function = aggregates(declaration).get(name)
    if function is None:
        return new
    if function == "sum":
        return sa.func.coalesce(old + new, old, new)
    is_better = (old < new) if function == "max" else (old > new)
    return sa.case((old.is_(None) | is_better, new), else_=old)


def _net_additions(engine: duckdb.DuckDBPyConnection, declaration: sa.Table) -> bool:
    """Make `_after` of `_changes` if these are nothing but rows added; returns whether they are."""
    others = engine.execute("SELECT 1 FROM _changes WHERE _change_type <> 'insert' LIMIT 1")
    if others.fetchall():
        return False
    added = aggregated(declaration, "_changes")
    engine.execute(f"CREATE TEMP TABLE _after AS SELECT *, false AS _is_deleted FROM ({added})")
    return True


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
