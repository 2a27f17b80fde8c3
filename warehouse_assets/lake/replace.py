"""The write mode `replace`: a table comes to hold exactly the rows of a query.

Only the differences are committed. Where there are none, nothing is committed and the
transactions are not remembered.
"""

import duckdb
from deltalake import DeltaTable

from warehouse_assets.lake.commit import (
    Transactions,
    Written,
    append,
    cast_query,
    commit_changes,
    counts,
)
from warehouse_assets.lake.lake import Lake, LakeTable
from warehouse_assets.tables import column_names, identifiers, key_names

# Delta's merge holds what it reads of the table outside DuckDB's memory limit, at about 1.6 times
# its size: a million rows of 600 bytes took 1 GB more. Larger tables are written anew by DuckDB.
MOST_BYTES_FOR_DELTA_MERGE = 10**9


def replace(
    connection: duckdb.DuckDBPyConnection,
    lake: Lake,
    table: LakeTable,
    handle: DeltaTable,
    query: str,
    transactions: Transactions,
    within: tuple[str, str] | None = None,
) -> Written:
    """Make the table hold exactly the rows of `query`, which is read once.

    Args:
        within: a column of the table and a relation with a column of that name: rows with other
            values in it stay as they are. `query` gives none of them.
    """
    connection.execute(f"CREATE OR REPLACE TEMP TABLE _new AS {cast_query(table, query)}")
    if not handle.file_uris():
        return _append_all(connection, table, handle, "FROM _new", transactions)

    keys = identifiers(key_names(table.declaration))
    columns = identifiers(column_names(table.declaration))
    lake.view(connection, table.declaration, handle)
    old, kept = f'"{table.name}"', ""
    if within is not None:
        column, values = within
        old = f'(FROM "{table.name}" SEMI JOIN {values} USING ("{column}"))'
        kept = f'UNION ALL FROM "{table.name}" ANTI JOIN {values} USING ("{column}")'
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE _changes AS
        SELECT {columns}, false AS _is_deleted
        FROM (SELECT {columns} FROM _new EXCEPT SELECT {columns} FROM {old} AS old)
        UNION ALL
        SELECT {columns}, true FROM {old} AS old ANTI JOIN _new USING ({keys})"""
    )
    upserted, deleted = counts(connection, "_changes", "NOT _is_deleted", "_is_deleted")
    if upserted + deleted == 0:
        return Written()
    known = f'(FROM _changes SEMI JOIN "{table.name}" USING ({keys}))'
    (updated,) = counts(connection, known, "NOT _is_deleted")
    counted = Written(upserted - updated, updated, deleted)
    whole = f"FROM _new {kept}"
    return commit_changes(connection, table, handle, "FROM _changes", counted, whole, transactions)


def replace_by_content(
    connection: duckdb.DuckDBPyConnection,
    lake: Lake,
    table: LakeTable,
    handle: DeltaTable,
    query: str,
    transactions: Transactions,
) -> Written:
    """As `replace`, of a table whose keys follow from the content of its rows.

    The first column of the key is a hash of the row's content, the second its number among rows
    of the same hash: rows with the same key are taken for the same. Only where a hash has several
    rows are their values compared, since it may be that of several contents. So memory grows with
    the keys, not with the rows; `query` is read several times.
    """
    if not handle.file_uris():
        return _append_all(connection, table, handle, query, transactions)

    keys = identifiers(key_names(table.declaration))
    columns = identifiers(column_names(table.declaration))
    lake.view(connection, table.declaration, handle)
    connection.execute(f"CREATE OR REPLACE TEMP VIEW _new AS {query}")
    _compare(connection, table)
    (deleted,) = counts(connection, "_gone", "true")
    inserted, updated = counts(connection, "_come", "NOT _is_known", "_is_known")
    counted = Written(inserted, updated, deleted)
    if counted.rows_changed == 0:
        return Written()
    changes = f"""SELECT {columns}, false AS _is_deleted FROM _new SEMI JOIN _come USING ({keys})
        UNION ALL BY NAME SELECT {keys}, true AS _is_deleted FROM _gone"""
    is_small = _bytes(connection, table, handle) <= MOST_BYTES_FOR_DELTA_MERGE
    return commit_changes(
        connection, table, handle, changes, counted, "FROM _new", transactions, is_small
    )


def _append_all(
    connection: duckdb.DuckDBPyConnection,
    table: LakeTable,
    handle: DeltaTable,
    query: str,
    transactions: Transactions,
) -> Written:
    """Add the rows of `query` to a table without any; nothing is committed if it gives none."""
    (rows,) = counts(connection, f"({query})", "true")
    if rows == 0:
        return Written()
    return append(connection, table, handle, query, transactions)


def _bytes(connection: duckdb.DuckDBPyConnection, table: LakeTable, handle: DeltaTable) -> int:
    """How many bytes the table has, not compressed."""
    ((size,),) = connection.execute(
        "SELECT coalesce(sum(total_uncompressed_size), 0) FROM parquet_metadata(?)",
        [table.files(handle)],
    ).fetchall()
    return int(size)


def _compare(connection: duckdb.DuckDBPyConnection, table: LakeTable) -> None:
    """Make `_gone` of the keys that are no longer there, `_come` of those new or different."""
    name, names = table.name, column_names(table.declaration)
    hashed, number = key_names(table.declaration)
    keys, columns = identifiers([hashed, number]), identifiers(names)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE _new_keys AS SELECT {keys} FROM _new")
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE _gone AS
        SELECT {keys} FROM "{name}" ANTI JOIN _new_keys USING ({keys})"""
    )
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE _repeated AS
        SELECT DISTINCT "{hashed}" FROM (
            SELECT {keys} FROM _new_keys UNION ALL SELECT {keys} FROM "{name}"
        ) WHERE "{number}" > 1"""
    )
    (repeated,) = counts(connection, "_repeated", "true")
    different = f"""UNION ALL SELECT {keys}, true FROM (
            SELECT {columns} FROM _new SEMI JOIN _repeated USING ("{hashed}")
            EXCEPT SELECT {columns} FROM "{name}" SEMI JOIN _repeated USING ("{hashed}")
        ) SEMI JOIN (SELECT {keys} FROM "{name}") USING ({keys})"""
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE _come AS
        SELECT {keys}, false AS _is_known FROM _new_keys
            ANTI JOIN (SELECT {keys} FROM "{name}") USING ({keys})
        {different if repeated else ""}"""
    )
