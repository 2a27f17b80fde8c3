"""Publishing what changed: the rows of Delta's change data feed, applied to the warehouse's copy.

A row replaces that of the same key, a partial row of an aggregated table is added to it, and rows
of a table without a key are only ever added.
"""

import duckdb
import sqlalchemy as sa
from deltalake import DeltaTable

from warehouse_assets.lake import Lake, LakeTable, view_changes
from warehouse_assets.tables import aggregated, aggregates, column_names, identifiers, key_names
from warehouse_assets.warehouse.writer import AFTER, Published, Writer


def publish_changes(
    lake: Lake,
    writer: Writer,
    table: LakeTable,
    handle: DeltaTable,
    since: int,
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
        SELECT {columns}, true FROM last WHERE _is_deleted
            AND EXISTS (SELECT 1 FROM first WHERE NOT first._is_new AND {_same_key(declaration)})"""
    )


def _same_key(declaration: sa.Table) -> str:
    return " AND ".join(f'first."{key}" = last."{key}"' for key in key_names(declaration))
