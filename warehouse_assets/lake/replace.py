"""The write mode `replace`: a table comes to hold exactly the rows of a query.

Only the differences are committed. Where there are none, nothing is committed and the
transactions are not remembered.
"""

import duckdb
from deltalake import DeltaTable

from warehouse_assets.lake.commit import (
    Transactions,
    Written,
    cast_query,
    commit_changes,
    counts,
    register,
)
from warehouse_assets.lake.lake import Lake, LakeTable
from warehouse_assets.lake.parquet import write_parquet
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
    rows = cast_query(table, query)
    if not handle.file_uris():
        files = write_parquet(connection, table, rows)
        return register(table, handle, files, transactions) if files else Written()

    connection.execute(f"CREATE OR REPLACE TEMP TABLE _new AS {rows}")
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
    is_small = within is not None or _bytes(connection, table, handle) <= MOST_BYTES_FOR_DELTA_MERGE
    whole = f"FROM _new {kept}"
    return commit_changes(
        connection, table, handle, "FROM _changes", counted, whole, transactions, is_small
    )


def _bytes(connection: duckdb.DuckDBPyConnection, table: LakeTable, handle: DeltaTable) -> int:
    """How many bytes the table has, not compressed."""
    ((size,),) = connection.execute(
        "SELECT coalesce(sum(total_uncompressed_size), 0) FROM parquet_metadata(?)",
        [table.files(handle)],
    ).fetchall()
    return int(size)
