"""The write mode `merge`: rows by key, the newest arrival wins, what is known changes nothing."""

import duckdb
from deltalake import DeltaTable

from warehouse_assets.lake.commit import Transactions, Written, append, commit_changes, counts
from warehouse_assets.lake.lake import Lake, LakeTable
from warehouse_assets.tables import column_names, identifiers, key_names, value_names


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
    latest = _latest(connection, table, staged, newest_by)
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
            old."{keys[0]}" IS NOT NULL AS _is_known
        FROM {latest} AS new LEFT JOIN "{table.name}" AS old USING ({identifiers(keys)})
        WHERE old."{keys[0]}" IS NULL OR ({newer}({differs}))"""
    )
    inserted, updated = counts(connection, "_changes", "NOT _is_known", "_is_known")
    columns = identifiers(names)
    changes = f"SELECT {columns}, _is_deleted FROM _changes"
    whole = f"""SELECT {columns} FROM "{table.name}" ANTI JOIN _changes
        USING ({identifiers(keys)}) UNION ALL SELECT {columns} FROM _changes"""
    counted = Written(inserted, updated)
    return commit_changes(connection, table, handle, changes, counted, whole, transactions)


def _latest(
    connection: duckdb.DuckDBPyConnection, table: LakeTable, staged: str, newest_by: str | None
) -> str:
    """A relation with one row per key of `staged` and `_versions`, how often its values changed.

    Keys that are staged once, nearly all, are not sorted. Of the others, arrivals not above that
    of the stored row take no part.
    """
    names, keys = column_names(table.declaration), key_names(table.declaration)
    key_list, columns = identifiers(keys), identifiers(names)
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE _repeated AS
        SELECT {key_list} FROM {staged} GROUP BY {key_list} HAVING count(*) > 1"""
    )
    (repeated,) = counts(connection, "_repeated", "true")
    if repeated == 0:
        return f"(SELECT {columns}, 1 AS _versions FROM {staged})"
    arrival = f'"{newest_by}"' if newest_by else "0"
    values = [name for name in value_names(table.declaration) if name != newest_by] or keys
    newer = ""
    if newest_by:
        same_key = " AND ".join(f'{staged}."{key}" = old."{key}"' for key in keys)
        newer = f'''ANTI JOIN "{table.name}" AS old
            ON {same_key} AND {staged}.{arrival} <= old.{arrival}'''
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
                        {newer}
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
