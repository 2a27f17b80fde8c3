"""One commit to a table of the lake: what every write mode ends with.

A commit is the next version or none: if another writer committed since the handle was opened it
is refused with `ConflictError`, and the caller begins again from a fresh handle. It carries the
given transactions, by which the table remembers which loads it holds. The caller holds the
table's lock and passes the handle that it read the transactions from.

Bulk rows are written by DuckDB and registered; small changes of existing rows go through Delta's
own merge, which also writes the change data feed that publishing reads.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import duckdb
from arro3.core import Table as ArrowTable
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import RemoveAction

from warehouse_assets.crash_points import crash_point
from warehouse_assets.errors import LakeError, is_disk_full
from warehouse_assets.lake.hashes import keep_hashes, names_of
from warehouse_assets.lake.lake import LakeTable, conflict
from warehouse_assets.lake.parquet import BY_DELTA, WrittenFile, remove_files, write_parquet
from warehouse_assets.tables import column_names, duckdb_type, key_names

# Delta's merge holds its source outside DuckDB's memory limit; beyond this DuckDB rewrites.
MOST_ROWS_FOR_DELTA_MERGE = 100_000

Transactions = Mapping[str, int]
"""Application id -> version. The id names a part of a source, the version is its number."""


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
    files = write_parquet(connection, table, cast_query(table, query))
    return register(table, handle, files, transactions)


def overwrite(
    connection: duckdb.DuckDBPyConnection,
    table: LakeTable,
    handle: DeltaTable,
    query: str,
    transactions: Transactions,
) -> Written:
    """Make the table hold the rows of `query`, as of `append`; nothing is compared."""
    files = write_parquet(connection, table, cast_query(table, query))
    return register(table, handle, files, transactions, mode="overwrite")


def register(
    table: LakeTable,
    handle: DeltaTable,
    files: Sequence[WrittenFile],
    transactions: Transactions,
    mode: Literal["append", "overwrite"] = "append",
    replaced: Sequence[RemoveAction] = (),
    metadata: Mapping[str, str] | None = None,
) -> Written:
    """Add files that were written beside the table's own, or have them be all there are.

    The commit is made even when there are none, if there are transactions to remember. The files
    are removed if it fails.

    Args:
        replaced: the files whose place they take.
        metadata: what else the log is to say of the commit.
    """
    if not (files or transactions or replaced) and mode == "append":
        return Written()
    try:
        with _full_disk_explained(table):
            keep_hashes(table, [file.action.path for file in files])
            crash_point("commit to be written", table.name)
            handle.create_write_transaction(
                [*(file.action for file in files), *replaced],
                mode=mode,
                schema=handle.schema(),
                commit_properties=commit_properties(transactions, metadata),
            )
    except CommitFailedError as error:
        remove_files(table, files)
        raise conflict(table.name) from error
    crash_point("commit written", table.name)
    rows = sum(file.rows for file in files)
    return Written(inserted=rows, bytes_written=sum(file.action.size for file in files))


def commit_changes(
    connection: duckdb.DuckDBPyConnection,
    table: LakeTable,
    handle: DeltaTable,
    changes: str,
    counted: Written,
    whole: str,
    transactions: Transactions,
    is_merged: bool = True,
) -> Written:
    """Commit changes of rows by key: added, merged by Delta, or in a table written anew.

    Args:
        changes: a SELECT of the table's columns and `_is_deleted`, each key once.
        counted: how many rows they insert, update and delete.
        whole: a SELECT of all rows that the table holds afterwards.
        is_merged: whether Delta may merge them if they are few.
    """
    if counted.updated + counted.deleted == 0:
        return append(connection, table, handle, changes, transactions)
    if is_merged and counted.rows_changed <= MOST_ROWS_FOR_DELTA_MERGE:
        return _merge(connection, table, handle, changes, transactions)
    written = overwrite(connection, table, handle, whole, transactions)
    return dataclasses.replace(counted, bytes_written=written.bytes_written)


def commit_properties(
    transactions: Transactions, metadata: Mapping[str, str] | None = None
) -> CommitProperties:
    """Properties of a commit that carries `transactions` and is the next one or none.

    Of its own accord Delta would let additions of several writers through, one after the other,
    though each has decided what to add without knowing of the others.
    """
    return CommitProperties(
        custom_metadata=dict(metadata or {}),
        max_commit_retries=0,
        app_transactions=[Transaction(app_id, version) for app_id, version in transactions.items()],
    )


def cast_query(table: LakeTable, query: str) -> str:
    """`query` with the columns of `table`, in their order and of their types."""
    columns = ", ".join(
        f'CAST("{column.name}" AS {duckdb_type(column)}) AS "{column.name}"'
        for column in table.declaration.columns
    )
    return f"SELECT {columns} FROM ({query})"


def counts(
    connection: duckdb.DuckDBPyConnection, relation: str, *conditions: str
) -> tuple[int, ...]:
    """How many rows of `relation` meet each of `conditions`."""
    filters = ", ".join(f"count(*) FILTER ({condition})" for condition in conditions)
    (row,) = connection.execute(f"SELECT {filters} FROM {relation}").fetchall()
    return tuple(row)


def _merge(
    connection: duckdb.DuckDBPyConnection,
    table: LakeTable,
    handle: DeltaTable,
    changes: str,
    transactions: Transactions,
) -> Written:
    names, keys = column_names(table.declaration), key_names(table.declaration)
    values = {name: f'new."{name}"' for name in names}
    before = set(names_of(handle))
    crash_point("merge to be written", table.name)
    try:
        with _full_disk_explained(table):
            result = (
                handle.merge(
                    # Read to its end first: Delta leaves the last batch unread, and DuckDB then
                    # takes no further statement.
                    ArrowTable(connection.sql(changes)),
                    predicate=" AND ".join(f'old."{key}" = new."{key}"' for key in keys),
                    source_alias="new",
                    target_alias="old",
                    # The source is small: Delta may look at it to see which files it can touch.
                    streamed_exec=False,
                    writer_properties=BY_DELTA,
                    commit_properties=commit_properties(transactions),
                )
                .when_matched_delete("new._is_deleted")
                .when_matched_update(values)
                .when_not_matched_insert(values)
                .execute()
            )
    except CommitFailedError as error:
        raise conflict(table.name) from error
    crash_point("merge written", table.name)
    keep_hashes(table, set(names_of(handle)) - before)
    return Written(
        inserted=result["num_target_rows_inserted"],
        updated=result["num_target_rows_updated"],
        deleted=result["num_target_rows_deleted"],
    )


@contextmanager
def _full_disk_explained(table: LakeTable) -> Iterator[None]:
    """Name the table where Delta says only that there is no space."""
    try:
        yield
    except (DeltaError, OSError) as error:
        if not is_disk_full(error):
            raise
        raise LakeError(
            f"The lake table {table.name} in {table.path} cannot be written: "
            "No space left on device."
        ) from error
