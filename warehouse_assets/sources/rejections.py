"""Rejecting the records of a source that is read again and again: each of them once."""

import duckdb
from deltalake import DeltaTable

from warehouse_assets.lake import Lake, append
from warehouse_assets.schema import REJECTED_RECORDS
from warehouse_assets.sources.inbox import unit_name
from warehouse_assets.sources.units import REJECTED


def reject_once(
    lake: Lake, connection: duckdb.DuckDBPyConnection, source: str, unit: str
) -> tuple[int, int]:
    """Commit to `rejected_records` what of the table `REJECTED` is not in it yet.

    A record is in it if one with the same raw text was rejected before, at whatever position.
    Returns how many records were committed and how many were not.

    Args:
        source: the table that the records were for, whose lock is held.
        unit: the name of what was read. Another reading may have other records at the same
            positions; so the unit gets the number of the reading, too.
    """
    ((count,),) = connection.execute(f"SELECT count(*) FROM {REJECTED}").fetchall()
    if count == 0:
        return 0, 0
    table = lake.table(REJECTED_RECORDS)
    with lake.lock(table.name):
        handle = table.open()
        lake.view(connection, REJECTED_RECORDS, handle)
        connection.execute(
            f"""CREATE OR REPLACE TEMP TABLE _new_rejected AS
            SELECT position, reason, value, raw FROM {REJECTED}
            ANTI JOIN (SELECT raw FROM {table.name} WHERE source = ?) USING (raw)
            QUALIFY row_number() OVER (PARTITION BY raw ORDER BY position) = 1""",
            [source],
        )
        ((new,),) = connection.execute("SELECT count(*) FROM _new_rejected").fetchall()
        if new:
            _append(lake, connection, handle, source, unit)
    return new, count - new


def _append(
    lake: Lake,
    connection: duckdb.DuckDBPyConnection,
    handle: DeltaTable,
    source: str,
    unit: str,
) -> None:
    numbering = f"{source}/readings"
    number = (handle.transaction_version(numbering) or 0) + 1
    # What is written as files cannot have parameters.
    connection.execute(
        """CREATE OR REPLACE TEMP TABLE _reading AS
        SELECT CAST(? AS VARCHAR) AS source, CAST(? AS VARCHAR) AS unit""",
        [source, unit_name(number, unit)],
    )
    query = """SELECT *, now() AT TIME ZONE 'UTC' AS rejected_at
        FROM _new_rejected CROSS JOIN _reading ORDER BY position"""
    append(connection, lake.table(REJECTED_RECORDS), handle, query, {numbering: number})
