"""Of rows that arrived together, those that count: of each key the newest."""

import duckdb

from warehouse_assets.lake.table import LakeTable
from warehouse_assets.tables import column_names, identifiers, key_names, value_names


def latest_of(
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
    if not connection.execute("FROM _repeated LIMIT 1").fetchall():
        return f"(SELECT {columns}, 1 AS _versions FROM {staged})"
    arrival = f'"{newest_by}"' if newest_by else "0"
    values = [name for name in value_names(table.declaration) if name != newest_by] or keys
    newer = ""
    if newest_by:
        same_key = " AND ".join(f'{staged}."{key}" = old."{key}"' for key in keys)
        newer = f'''ANTI JOIN "{table.name}" AS old
            ON {same_key} AND {staged}.{arrival} <= old.{arrival}'''
    return f"""(
        WITH arrived AS (
            SELECT {columns} FROM {staged} SEMI JOIN _repeated USING ({key_list}) {newer}
            QUALIFY row_number() OVER (
                PARTITION BY {key_list}, {arrival} ORDER BY {staged}.rowid DESC) = 1
        ),
        compared AS (
            SELECT *, row_number() OVER arrivals = 1 OR row({identifiers(values)})
                IS DISTINCT FROM lag(row({identifiers(values)})) OVER arrivals AS _is_change
            FROM arrived WINDOW arrivals AS (PARTITION BY {key_list} ORDER BY {arrival})
        )
        SELECT {columns}, 1 AS _versions FROM {staged} ANTI JOIN _repeated USING ({key_list})
        UNION ALL
        SELECT {columns}, count(*) OVER (PARTITION BY {key_list}) FROM compared WHERE _is_change
        QUALIFY row_number() OVER (PARTITION BY {key_list} ORDER BY {arrival} DESC) = 1
    )"""
