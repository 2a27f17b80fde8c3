"""The write modes of a table: `append`, `overwrite`, and by its key `merge` and `replace`.

`merge`: the newest arrival wins, what is known changes nothing. `replace`: the table comes to hold
exactly the rows of a query; only the differences are committed, and where there are none, nothing
is, and the transactions are not remembered.

Rows that are new are written by DuckDB and registered. Few changes of others are made by Delta's
own merge, which also writes the change data feed that publishing reads; many by files that DuckDB
writes anew.
"""

import dataclasses
import time
from collections.abc import Sequence
from datetime import date

import duckdb
from arro3.core import Table as ArrowTable
from deltalake import DeltaTable, WriterProperties

from warehouse_assets.crash_points import crash_point
from warehouse_assets.lake.arrivals import latest_of
from warehouse_assets.lake.commit import (
    Transactions,
    Written,
    cast_query,
    commit_properties,
    committing,
    register,
)
from warehouse_assets.lake.files import (
    Rows,
    WrittenFile,
    WrittenRows,
    discard,
    keep_hashes,
    write_parquet,
)
from warehouse_assets.lake.lake import Lake
from warehouse_assets.lake.table import LakeTable, names_of
from warehouse_assets.lake.touched import Touched
from warehouse_assets.lake.weeks import files_in, is_by_week
from warehouse_assets.tables import (
    WEEK,
    aggregates,
    column_names,
    identifiers,
    key_names,
    value_names,
    week_of,
)

# Delta's merge holds its source outside DuckDB's memory limit; beyond this DuckDB rewrites.
MOST_ROWS_FOR_DELTA_MERGE = 100_000
# So it holds what it reads of the table, at about 1.6 times its size: a million rows of 600 bytes
# took 1 GB more. Larger tables are written anew by DuckDB.
MOST_BYTES_FOR_DELTA_MERGE = 10**9

# How Delta itself writes: a quarter of its usual size, and in parts that are read in parallel.
_BY_DELTA = WriterProperties(compression="ZSTD", max_row_group_size=122_880)


def append(
    connection: duckdb.DuckDBPyConnection,
    table: LakeTable,
    handle: DeltaTable,
    rows: Rows,
    transactions: Transactions,
) -> Written:
    """Add `rows` to the table.

    The commit is made even when there are no rows, if there are transactions to remember.

    Args:
        connection: where a SELECT can be run.
    """
    files = _files_of(connection, table, handle, rows)
    return register(table, handle, files, transactions)


def overwrite(
    connection: duckdb.DuckDBPyConnection,
    table: LakeTable,
    handle: DeltaTable,
    rows: Rows,
    transactions: Transactions,
) -> Written:
    """Make the table hold `rows`; nothing is compared."""
    files = _files_of(connection, table, handle, rows)
    return register(table, handle, files, transactions, mode="overwrite")


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
    lake.view(connection, table.declaration, handle)
    latest = latest_of(connection, table, staged, newest_by)
    if not handle.file_uris():
        return append(connection, table, handle, f"FROM {latest}", transactions)

    compared = [name for name in value_names(table.declaration) if name != newest_by]
    differs = " OR ".join(
        [f'new."{name}" IS DISTINCT FROM old."{name}"' for name in compared] + ["new._versions > 1"]
    )
    newer = f'new."{newest_by}" > old."{newest_by}" AND ' if newest_by else ""
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE _changes AS
        SELECT {identifiers(names, "new.")}, false AS _is_deleted,
            old."{keys[0]}" IS NOT NULL AS _is_known, {_week_before(table, handle)}
        FROM {latest} AS new LEFT JOIN "{table.name}" AS old USING ({identifiers(keys)})
        WHERE old."{keys[0]}" IS NULL OR ({newer}({differs}))"""
    )
    whole = f"""SELECT {identifiers(names)} FROM "{table.name}" ANTI JOIN _changes
        USING ({identifiers(keys)}) UNION ALL SELECT {identifiers(names)} FROM _changes"""
    counted = _counted(connection)
    return _commit_changes(connection, lake, table, handle, whole, counted, transactions)


def replace(
    connection: duckdb.DuckDBPyConnection,
    lake: Lake,
    table: LakeTable,
    handle: DeltaTable,
    rows: Rows,
    transactions: Transactions,
    within: Touched | None = None,
) -> Written:
    """Make the table hold exactly `rows`, which are read once.

    Args:
        within: which rows of the table are replaced, by those of `rows` that are meant, too.
    """
    if within is None and not handle.file_uris():
        files = _files_of(connection, table, handle, rows)
        return register(table, handle, files, transactions) if files else Written()

    declaration, new = table.declaration, cast_query(table, rows)
    if within is not None:
        new = within.rows(declaration, f"({new})")
    connection.execute(f"CREATE OR REPLACE TEMP TABLE _new AS {new}")
    if isinstance(rows, WrittenRows):
        discard(table, rows.files)
    keys, columns = key_names(declaration), identifiers(column_names(declaration))
    key_list = identifiers(keys)
    lake.view(connection, declaration, handle)
    stored, kept, before = f'"{table.name}"', "", _week_before(table, handle)
    old = stored
    if within is not None:
        paths = table.paths(names_of(handle, within.weeks))
        lake.view_rows(connection, declaration, paths, "_of_weeks")
        old = f"({within.rows(declaration, '_of_weeks')})"
        kept = f"UNION ALL {within.rows(declaration, stored, others=True)}"
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE _changes AS
        SELECT new.*, false AS _is_deleted, old."{keys[0]}" IS NOT NULL AS _is_known, {before}
        FROM (SELECT {columns} FROM _new EXCEPT SELECT {columns} FROM {old} AS old) AS new
        LEFT JOIN "{table.name}" AS old USING ({key_list})
        UNION ALL
        SELECT {columns}, true, true, {before}
        FROM {old} AS old ANTI JOIN _new USING ({key_list})"""
    )
    counted = _counted(connection)
    if not counted.rows_changed:
        return Written()
    # Partial rows of one key are several, which a merge by key would not make one.
    is_small = not aggregates(declaration) and (
        (within is not None and within.per is not None)
        or _bytes(connection, table, handle) <= MOST_BYTES_FOR_DELTA_MERGE
    )
    whole = f"FROM _new {kept}"
    return _commit_changes(connection, lake, table, handle, whole, counted, transactions, is_small)


def _files_of(
    connection: duckdb.DuckDBPyConnection, table: LakeTable, handle: DeltaTable, rows: Rows
) -> Sequence[WrittenFile]:
    if isinstance(rows, WrittenRows):
        return rows.files
    query = cast_query(table, rows)
    return write_parquet(connection, table, query, is_by_week=is_by_week(handle))


def _week_before(table: LakeTable, handle: DeltaTable) -> str:
    """A column of `_changes`: the week that the row `old` is of, where files are by week."""
    week = week_of(table.declaration, "old.") if is_by_week(handle) else None
    return f"{week or 'CAST(NULL AS DATE)'} AS _week_before"


def _counted(connection: duckdb.DuckDBPyConnection) -> Written:
    """How many rows `_changes` inserts, updates and deletes."""
    (figures,) = connection.execute(
        """SELECT count(*) FILTER (NOT _is_known), count(*) FILTER (_is_known AND NOT _is_deleted),
            count(*) FILTER (_is_deleted) FROM _changes"""
    ).fetchall()
    return Written(*figures)


def _commit_changes(
    connection: duckdb.DuckDBPyConnection,
    lake: Lake,
    table: LakeTable,
    handle: DeltaTable,
    whole: str,
    counted: Written,
    transactions: Transactions,
    is_small: bool = True,
) -> Written:
    """Commit what is in `_changes`: added, merged by Delta, or in files written anew.

    `_changes` has the table's columns, each key once, and says of it `_is_deleted`, `_is_known`
    and `_week_before`. Of a table whose files are by week only those of the weeks that a changed
    row was of, or is now, are written anew.

    Args:
        whole: a SELECT of all rows that the table holds afterwards.
        counted: how many rows are inserted, updated and deleted.
        is_small: whether Delta may merge the changes if they are few.
    """
    if counted.updated + counted.deleted == 0:
        return append(connection, table, handle, "FROM _changes", transactions)
    weeks = _changed_weeks(connection, table) if is_by_week(handle) else None
    if is_small and counted.rows_changed <= MOST_ROWS_FOR_DELTA_MERGE:
        _merge(connection, table, handle, transactions, weeks)
        return counted
    if weeks is None:
        written = overwrite(connection, table, handle, whole, transactions)
    else:
        written = _overwrite_weeks(connection, lake, table, handle, whole, transactions, weeks)
    return dataclasses.replace(counted, bytes_written=written.bytes_written)


def _changed_weeks(connection: duckdb.DuckDBPyConnection, table: LakeTable) -> set[date]:
    """The weeks that the rows of `_changes` were of, and are of now."""
    found = connection.execute(
        f"""SELECT {week_of(table.declaration)} FROM _changes
        UNION SELECT _week_before FROM _changes WHERE _is_known"""
    )
    return {week for (week,) in found.fetchall()}


def _overwrite_weeks(
    connection: duckdb.DuckDBPyConnection,
    lake: Lake,
    table: LakeTable,
    handle: DeltaTable,
    whole: str,
    transactions: Transactions,
    weeks: set[date],
) -> Written:
    """Have the table's files of `weeks` hold the rows that `whole` has of them."""
    replaced = files_in(handle, weeks)
    paths = table.paths(file.name for file in replaced)
    lake.view_rows(connection, table.declaration, paths, table.name)  # which `whole` reads
    query = f"FROM ({whole}) WHERE {week_of(table.declaration)} IN ({_dates(weeks)})"
    files = _files_of(connection, table, handle, query)
    now = int(time.time() * 1000)
    removals = [file.removal(now, data_change=True) for file in replaced]
    return register(table, handle, files, transactions, replaced=removals)


def _dates(weeks: set[date]) -> str:
    return ", ".join(f"DATE '{week.isoformat()}'" for week in sorted(weeks))


def _merge(
    connection: duckdb.DuckDBPyConnection,
    table: LakeTable,
    handle: DeltaTable,
    transactions: Transactions,
    weeks: set[date] | None,
) -> None:
    """Let Delta merge what is in `_changes`, which touches these weeks if files are by week."""
    names, keys = column_names(table.declaration), key_names(table.declaration)
    columns, predicates = "", [f'old."{key}" = new."{key}"' for key in keys]
    if weeks is not None:
        columns = f", {week_of(table.declaration)} AS {WEEK}"
        predicates.append(f"old.{WEEK} IN ({_dates(weeks)})")
        names = [*names, WEEK]
    values = {name: f'new."{name}"' for name in names}
    before = set(names_of(handle))
    changes = f"SELECT * EXCLUDE (_is_known, _week_before){columns} FROM _changes"
    crash_point("merge to be written", table.name)
    properties = commit_properties(transactions)
    with committing(table, handle, properties):
        (
            handle.merge(
                # Read to its end first: Delta leaves the last batch unread, and DuckDB then takes
                # no further statement.
                ArrowTable(connection.sql(changes)),
                predicate=" AND ".join(predicates),
                source_alias="new",
                target_alias="old",
                # The source is small: Delta may look at it to see which files it can touch.
                streamed_exec=False,
                writer_properties=_BY_DELTA,
                commit_properties=properties,
            )
            .when_matched_delete("new._is_deleted")
            .when_matched_update(values)
            .when_not_matched_insert(values)
            .execute()
        )
    crash_point("merge written", table.name)
    keep_hashes(table, set(names_of(handle)) - before)


def _bytes(connection: duckdb.DuckDBPyConnection, table: LakeTable, handle: DeltaTable) -> int:
    """How many bytes the table has, not compressed."""
    ((size,),) = connection.execute(
        "SELECT coalesce(sum(total_uncompressed_size), 0) FROM parquet_metadata(?)",
        [table.files(handle)],
    ).fetchall()
    return int(size)
