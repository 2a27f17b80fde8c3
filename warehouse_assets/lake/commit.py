"""One commit to a table of the lake: files written by DuckDB, or Delta's own merge.

Used by the write modes in `write` and `merge`. A commit is the next version or none: if another
writer committed since the handle was opened it is refused.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import duckdb
from arro3.core import Table as ArrowTable
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError

from warehouse_assets.crash_points import crash_point
from warehouse_assets.errors import LakeError, is_disk_full
from warehouse_assets.lake.hashes import keep_hashes, names_of
from warehouse_assets.lake.lake import LakeTable, conflict
from warehouse_assets.lake.parquet import BY_DELTA, WrittenFile, remove_files, write_parquet
from warehouse_assets.lake.transactions import Transactions, commit_properties
from warehouse_assets.schema import column_names, duckdb_type, key_names

# Delta's merge holds its source outside DuckDB's memory limit; beyond this DuckDB rewrites.
MOST_ROWS_FOR_DELTA_MERGE = 100_000


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


def commit_files(
    connection: duckdb.DuckDBPyConnection,
    table: LakeTable,
    handle: DeltaTable,
    query: str,
    transactions: Transactions,
    mode: Literal["append", "overwrite"],
) -> Written:
    """Commit the rows of `query` as new files: `append` them, or `overwrite` all there are.

    Nothing is committed if there is nothing to append, neither rows nor transactions.
    """
    files = write_parquet(connection, table, cast_query(table, query))
    return commit_written(table, handle, files, transactions, mode)


def commit_written(
    table: LakeTable,
    handle: DeltaTable,
    files: Sequence[WrittenFile],
    transactions: Transactions,
    mode: Literal["append", "overwrite"],
) -> Written:
    """Commit `files`, which are removed if that fails."""
    if not files and not transactions and mode == "append":
        return Written()
    try:
        with _full_disk_explained(table):
            keep_hashes(table, [file.action.path for file in files])
            crash_point("commit to be written", table.name)
            handle.create_write_transaction(
                [file.action for file in files],
                mode=mode,
                schema=handle.schema(),
                commit_properties=commit_properties(transactions),
            )
    except CommitFailedError as error:
        remove_files(table, files)
        raise conflict(table.name) from error
    crash_point("commit written", table.name)
    rows = sum(file.rows for file in files)
    return Written(inserted=rows, bytes_written=sum(file.action.size for file in files))


def delta_merge(
    connection: duckdb.DuckDBPyConnection,
    table: LakeTable,
    handle: DeltaTable,
    source: str,
    transactions: Transactions,
) -> Written:
    """Apply the rows of `source`, which has the table's columns and `_is_deleted`."""
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
                    ArrowTable(connection.sql(source)),
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
