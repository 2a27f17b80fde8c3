"""How a table of the lake changes: `append`, `overwrite`, `replace`; `merge` has its own module.

Each makes at most one commit, which carries the given transactions. The caller holds the table's
lock and passes a fresh handle, the same that it read the transactions from; if another writer
committed in between, the commit is refused with `ConflictError` and the caller begins again.

Bulk rows are written by DuckDB and registered; small changes of existing rows go through Delta's
own merge, which also writes the change data feed that publishing reads.
"""

from collections.abc import Sequence

import duckdb
from deltalake import DeltaTable

from warehouse_assets.lake import commit
from warehouse_assets.lake.commit import (
    Written,
    cast_query,
    commit_files,
    commit_written,
    counts,
    delta_merge,
)
from warehouse_assets.lake.lake import Lake, LakeTable
from warehouse_assets.lake.parquet import WrittenFile, remove_files
from warehouse_assets.lake.transactions import Transactions
from warehouse_assets.schema import column_names, identifiers, key_names


def append(
    connection: duckdb.DuckDBPyConnection,
    table: LakeTable,
    handle: DeltaTable,
    query: str,
    transactions: Transactions,
) -> Written:
    """Add the rows of `query` to the table.

    The commit is made even when there are no rows, if there are transactions to remember.

    Args:
        connection: where `query` can be run.
        query: a SELECT with (at least) the table's columns, by name.
    """
    return commit_files(connection, table, handle, query, transactions, mode="append")


def register(
    table: LakeTable, handle: DeltaTable, files: Sequence[WrittenFile], transactions: Transactions
) -> Written:
    """Add the rows of files that a source has written beside the table's own.

    The commit is made even when there are none, if there are transactions to remember.
    """
    return commit_written(table, handle, files, transactions, mode="append")


def discard(table: LakeTable, files: Sequence[WrittenFile]) -> None:
    """Remove files that a source has written and that are not needed."""
    remove_files(table, files)


def overwrite(
    connection: duckdb.DuckDBPyConnection,
    table: LakeTable,
    handle: DeltaTable,
    query: str,
    transactions: Transactions,
) -> Written:
    """Make the table hold the rows of `query`, whatever it held; nothing is compared.

    Args:
        connection: where `query` can be run.
        query: a SELECT with (at least) the table's columns, by name.
    """
    return commit_files(connection, table, handle, query, transactions, mode="overwrite")


def replace(
    connection: duckdb.DuckDBPyConnection,
    lake: Lake,
    table: LakeTable,
    handle: DeltaTable,
    query: str,
    transactions: Transactions,
    within: tuple[str, str] | None = None,
) -> Written:
    """Make the table hold exactly the rows of `query`; commit only the differences.

    Where there are none, nothing is committed and the transactions are not remembered.

    Args:
        within: a column of the table and a relation with a column of that name: rows with other
            values in it stay as they are. `query` gives none of them.
    """
    keys, names = key_names(table.declaration), column_names(table.declaration)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE _new AS {cast_query(table, query)}")
    if not handle.file_uris():
        (rows,) = counts(connection, "_new", "true")
        if rows == 0:
            return Written()
        return commit_files(
            connection, table, handle, "SELECT * FROM _new", transactions, mode="append"
        )

    columns = identifiers(names)
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
        SELECT {columns}, true FROM {old} AS old ANTI JOIN _new USING ({identifiers(keys)})"""
    )
    upserted, deleted = counts(connection, "_changes", "NOT _is_deleted", "_is_deleted")
    if upserted + deleted == 0:
        return Written()
    if upserted + deleted <= commit.MOST_ROWS_FOR_DELTA_MERGE:
        return delta_merge(connection, table, handle, "SELECT * FROM _changes", transactions)
    known = f'SELECT * FROM _changes SEMI JOIN "{table.name}" USING ({identifiers(keys)})'
    (updated,) = counts(connection, f"({known})", "NOT _is_deleted")
    written = commit_files(
        connection, table, handle, f"SELECT * FROM _new {kept}", transactions, mode="overwrite"
    )
    return Written(upserted - updated, updated, deleted, written.bytes_written)
