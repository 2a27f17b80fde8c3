"""How a table of the lake changes: `append`, `merge` and `replace`.

Each makes at most one commit, which carries the given transactions. The caller holds the table's
lock and passes a fresh handle, the same that it read the transactions from; if another writer
committed in between, the commit is refused with `ConflictError` and the caller begins again.

Bulk rows are written by DuckDB and registered; small changes of existing rows go through Delta's
own merge, which also writes the change data feed that publishing reads.
"""

from dataclasses import dataclass

import duckdb
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from warehouse_assets.errors import ConflictError
from warehouse_assets.lake.lake import Lake, LakeTable
from warehouse_assets.lake.parquet import remove_files, write_parquet
from warehouse_assets.lake.transactions import Transactions, commit_properties
from warehouse_assets.schema import (
    column_names,
    duckdb_type,
    identifiers,
    key_names,
    value_names,
)

# Delta's merge holds its source outside DuckDB's memory limit; beyond this DuckDB rewrites.
_MOST_ROWS_FOR_DELTA_MERGE = 100_000


@dataclass(frozen=True)
class Written:
    """What a write did: rows inserted, updated and deleted, and the bytes of the new files."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    bytes_written: int = 0

    @property
    def rows_changed(self) -> int:
        """Rows inserted, updated or deleted."""
        return self.inserted + self.updated + self.deleted

    def __add__(self, other: "Written") -> "Written":
        return Written(
            self.inserted + other.inserted,
            self.updated + other.updated,
            self.deleted + other.deleted,
            self.bytes_written + other.bytes_written,
        )


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
    return _commit_files(connection, table, handle, query, transactions, mode="append")


def merge(
    connection: duckdb.DuckDBPyConnection,
    lake: Lake,
    table: LakeTable,
    handle: DeltaTable,
    staged: str,
    transactions: Transactions,
    newest_by: str | None = None,
) -> Written:
    """Insert or update rows by the table's key; a row that is there already changes nothing.

    Of several staged rows with one key and one value of `newest_by` the last one counts, of
    several values of `newest_by` the greatest. The result is the same as if the values of
    `newest_by` were merged one after the other, whatever was staged together: a row keeps the
    value of `newest_by` with which its present values first came.

    Args:
        staged: a temporary table with the table's columns, in order of arrival.
        newest_by: the column that numbers the arrivals; a staged row with a number not above
            that of the stored row never overwrites it.
    """
    keys, names = key_names(table.declaration), column_names(table.declaration)
    latest = _latest(connection, table, staged, newest_by)
    if not handle.file_uris():
        query = f"SELECT {identifiers(names)} FROM {latest}"
        return _commit_files(connection, table, handle, query, transactions, mode="append")

    lake.view(connection, table.declaration, handle)
    compared = [name for name in value_names(table.declaration) if name != newest_by]
    differs = " OR ".join(
        [f'new."{name}" IS DISTINCT FROM old."{name}"' for name in compared] + ["new._versions > 1"]
    )
    newer = f'new."{newest_by}" > old."{newest_by}" AND ' if newest_by else ""
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE _changes AS
        SELECT {identifiers(names, "new.")}, old."{keys[0]}" IS NOT NULL AS _is_known
        FROM {latest} AS new LEFT JOIN "{table.name}" AS old USING ({identifiers(keys)})
        WHERE old."{keys[0]}" IS NULL OR ({newer}({differs}))"""
    )
    inserted, updated = _counts(connection, "_changes", "NOT _is_known", "_is_known")
    changes = f"SELECT {identifiers(names)} FROM _changes"
    if updated == 0:
        return _commit_files(connection, table, handle, changes, transactions, mode="append")
    if inserted + updated <= _MOST_ROWS_FOR_DELTA_MERGE:
        source = f"SELECT {identifiers(names)}, false AS _is_deleted FROM _changes"
        return _delta_merge(connection, table, handle, source, transactions)
    rewritten = f"""SELECT {identifiers(names)} FROM "{table.name}"
        ANTI JOIN _changes USING ({identifiers(keys)}) UNION ALL {changes}"""
    written = _commit_files(connection, table, handle, rewritten, transactions, mode="overwrite")
    return Written(inserted, updated, 0, written.bytes_written)


def replace(
    connection: duckdb.DuckDBPyConnection,
    lake: Lake,
    table: LakeTable,
    handle: DeltaTable,
    query: str,
    transactions: Transactions,
) -> Written:
    """Make the table hold exactly the rows of `query`; commit only the differences.

    Where there are none, nothing is committed and the transactions are not remembered.
    """
    keys, names = key_names(table.declaration), column_names(table.declaration)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE _new AS {cast_query(table, query)}")
    if not handle.file_uris():
        (rows,) = _counts(connection, "_new", "true")
        if rows == 0:
            return Written()
        return _commit_files(
            connection, table, handle, "SELECT * FROM _new", transactions, mode="append"
        )

    columns = identifiers(names)
    lake.view(connection, table.declaration, handle)
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE _changes AS
        SELECT {columns}, false AS _is_deleted
        FROM (SELECT {columns} FROM _new EXCEPT SELECT {columns} FROM "{table.name}")
        UNION ALL
        SELECT {columns}, true FROM "{table.name}" ANTI JOIN _new USING ({identifiers(keys)})"""
    )
    upserted, deleted = _counts(connection, "_changes", "NOT _is_deleted", "_is_deleted")
    if upserted + deleted == 0:
        return Written()
    if upserted + deleted <= _MOST_ROWS_FOR_DELTA_MERGE:
        return _delta_merge(connection, table, handle, "SELECT * FROM _changes", transactions)
    known = f'SELECT * FROM _changes SEMI JOIN "{table.name}" USING ({identifiers(keys)})'
    (updated,) = _counts(connection, f"({known})", "NOT _is_deleted")
    written = _commit_files(
        connection, table, handle, "SELECT * FROM _new", transactions, mode="overwrite"
    )
    return Written(upserted - updated, updated, deleted, written.bytes_written)


def cast_query(table: LakeTable, query: str) -> str:
    """`query` with the columns of `table`, in their order and of their types."""
    columns = ", ".join(
        f'CAST("{column.name}" AS {duckdb_type(column)}) AS "{column.name}"'
        for column in table.declaration.columns
    )
    return f"SELECT {columns} FROM ({query})"


def _counts(
    connection: duckdb.DuckDBPyConnection, relation: str, *conditions: str
) -> tuple[int, ...]:
    counts = ", ".join(f"count(*) FILTER ({condition})" for condition in conditions)
    row = connection.execute(f"SELECT {counts} FROM {relation}").fetchone()
    assert row is not None  # an aggregate without GROUP BY has one row
    return row


def _latest(
    connection: duckdb.DuckDBPyConnection, table: LakeTable, staged: str, newest_by: str | None
) -> str:
    """A relation with one row per key of `staged` and `_versions`, how often its values changed.

    Keys that are staged once, nearly all, are not sorted.
    """
    names, keys = column_names(table.declaration), key_names(table.declaration)
    key_list, columns = identifiers(keys), identifiers(names)
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE _repeated AS
        SELECT {key_list} FROM {staged} GROUP BY {key_list} HAVING count(*) > 1"""
    )
    (repeated,) = _counts(connection, "_repeated", "true")
    if repeated == 0:
        return f"(SELECT {columns}, 1 AS _versions FROM {staged})"
    arrival = f'"{newest_by}"' if newest_by else "0"
    values = [name for name in value_names(table.declaration) if name != newest_by] or keys
    return f"""(
        SELECT {columns}, 1 AS _versions FROM {staged} ANTI JOIN _repeated USING ({key_list})
        UNION ALL
        SELECT {columns}, _versions FROM (
            SELECT *, count(*) FILTER (_is_change) OVER (PARTITION BY {key_list}) AS _versions
            FROM (
                SELECT *, _is_first OR row({identifiers(values)}) IS DISTINCT FROM
                    lag(row({identifiers(values)})) OVER arrivals AS _is_change
                FROM (
                    SELECT *, row_number() OVER (PARTITION BY {key_list} ORDER BY {arrival}) = 1
                        AS _is_first
                    FROM (
                        SELECT {columns} FROM {staged} SEMI JOIN _repeated USING ({key_list})
                        QUALIFY row_number() OVER (
                            PARTITION BY {key_list}, {arrival} ORDER BY {staged}.rowid DESC) = 1
                    )
                )
                WINDOW arrivals AS (PARTITION BY {key_list} ORDER BY {arrival})
            )
        )
        WHERE _is_change
        QUALIFY row_number() OVER (PARTITION BY {key_list} ORDER BY {arrival} DESC) = 1
    )"""


def _commit_files(
    connection: duckdb.DuckDBPyConnection,
    table: LakeTable,
    handle: DeltaTable,
    query: str,
    transactions: Transactions,
    mode: str,
) -> Written:
    files = write_parquet(connection, table, cast_query(table, query))
    if not files and not transactions and mode == "append":
        return Written()
    try:
        handle.create_write_transaction(
            [file.action for file in files],
            mode="overwrite" if mode == "overwrite" else "append",
            schema=handle.schema(),
            commit_properties=commit_properties(transactions),
        )
    except CommitFailedError as error:
        remove_files(table, files)
        raise _conflict(table) from error
    rows = sum(file.rows for file in files)
    return Written(inserted=rows, bytes_written=sum(file.action.size for file in files))


def _delta_merge(
    connection: duckdb.DuckDBPyConnection,
    table: LakeTable,
    handle: DeltaTable,
    source: str,
    transactions: Transactions,
) -> Written:
    """Apply the rows of `source`, which has the table's columns and `_is_deleted`."""
    names, keys = column_names(table.declaration), key_names(table.declaration)
    values = {name: f'new."{name}"' for name in names}
    try:
        result = (
            handle.merge(
                connection.sql(source),
                predicate=" AND ".join(f'old."{key}" = new."{key}"' for key in keys),
                source_alias="new",
                target_alias="old",
                commit_properties=commit_properties(transactions),
            )
            .when_matched_delete("new._is_deleted")
            .when_matched_update(values)
            .when_not_matched_insert(values)
            .execute()
        )
    except CommitFailedError as error:
        raise _conflict(table) from error
    return Written(
        inserted=result["num_target_rows_inserted"],
        updated=result["num_target_rows_updated"],
        deleted=result["num_target_rows_deleted"],
    )


def _conflict(table: LakeTable) -> ConflictError:
    return ConflictError(
        f"Another process committed to the lake table {table.name} at the same time. "
        "The same run again continues where this one stopped."
    )
