"""The write mode `replace` for tables whose keys follow from the content of their rows."""

import duckdb
from deltalake import DeltaTable

from warehouse_assets.lake import commit
from warehouse_assets.lake.commit import Written, commit_files, counts, delta_merge
from warehouse_assets.lake.lake import Lake, LakeTable
from warehouse_assets.lake.transactions import Transactions
from warehouse_assets.schema import column_names, identifiers, key_names

# Delta's merge holds what it reads of the table outside DuckDB's memory limit, at about 1.6 times
# its size: a million rows of 600 bytes took 1 GB more. Larger tables are written anew by DuckDB.
_MOST_BYTES_FOR_DELTA_MERGE = 10**9


def replace_by_content(
    connection: duckdb.DuckDBPyConnection,
    lake: Lake,
    table: LakeTable,
    handle: DeltaTable,
    query: str,
    transactions: Transactions,
) -> Written:
    """Make the table hold exactly the rows of `query`; commit only the differences.

    The first column of the key is a hash of the row's content, the second its number among rows
    of the same hash: rows with the same key are taken for the same. Only where a hash has several
    rows are their values compared, since it may be that of several contents. So memory grows with
    the keys, not with the rows.

    Where there are no differences, nothing is committed and the transactions are not remembered.

    Args:
        query: a SELECT, read several times, with (at least) the table's columns, by name.
    """
    declaration = table.declaration
    columns, keys = identifiers(column_names(declaration)), identifiers(key_names(declaration))
    if not handle.file_uris():
        (rows,) = counts(connection, f"({query})", "true")
        if rows == 0:
            return Written()
        return commit_files(connection, table, handle, query, transactions, mode="append")

    lake.view(connection, declaration, handle)
    connection.execute(f"CREATE OR REPLACE TEMP VIEW _new AS {query}")
    _compare(connection, table)
    (deleted,) = counts(connection, "_gone", "true")
    inserted, updated = counts(connection, "_come", "NOT _is_known", "_is_known")
    if inserted + updated + deleted == 0:
        return Written()
    come = f"SELECT {columns} FROM _new SEMI JOIN _come USING ({keys})"
    if updated + deleted == 0:
        return commit_files(connection, table, handle, come, transactions, mode="append")
    is_small = inserted + updated + deleted <= commit.MOST_ROWS_FOR_DELTA_MERGE
    if is_small and _bytes(connection, table, handle) <= _MOST_BYTES_FOR_DELTA_MERGE:
        changes = f"""SELECT *, false AS _is_deleted FROM ({come}) UNION ALL BY NAME
            SELECT {keys}, true AS _is_deleted FROM _gone"""
        connection.execute(f"CREATE OR REPLACE TEMP TABLE _changes AS {changes}")
        return delta_merge(connection, table, handle, "SELECT * FROM _changes", transactions)
    written = commit_files(
        connection, table, handle, "SELECT * FROM _new", transactions, mode="overwrite"
    )
    return Written(inserted, updated, deleted, written.bytes_written)


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
