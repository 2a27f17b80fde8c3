"""Committing rejected records, with what is remembered of their source."""

from collections.abc import Mapping

import duckdb
from deltalake import DeltaTable

from warehouse_assets.ingest.inbox import unit_name
from warehouse_assets.ingest.units import REJECTED
from warehouse_assets.lake import Lake, LakeTable, Transactions, append
from warehouse_assets.tables import REJECTED_RECORDS


def commit_rejects(
    connection: duckdb.DuckDBPyConnection,
    rejects: LakeTable,
    handle: DeltaTable,
    source: str,
    units: Mapping[int, str],
    transactions: Transactions,
    chosen: str = f"FROM {REJECTED}",
) -> None:
    """Add records to `rejected_records`, whose lock is held, and remember `transactions`.

    The commit is made even when there are no records, if there are transactions.

    Args:
        rejects: the table `rejected_records`, and `handle` a fresh handle of it.
        source: the table that the records were for.
        units: the names of the parts of the source, by arrival number, of which records are added;
            0 is the part of records without one.
        chosen: SQL for the records, with the columns of `REJECTED`.
    """
    # What is written as files cannot have parameters.
    connection.execute(
        """CREATE OR REPLACE TEMP TABLE _units AS
        SELECT unnest(CAST($arrivals AS BIGINT[])) AS number,
            unnest(CAST($units AS VARCHAR[])) AS unit, CAST($source AS VARCHAR) AS source""",
        {"arrivals": list(units), "units": list(units.values()), "source": source},
    )
    query = f"""SELECT *, now() AT TIME ZONE 'UTC' AS rejected_at
        FROM ({chosen}) JOIN _units ON number = coalesce(arrival, 0)"""
    append(connection, rejects, handle, query, transactions)


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
            SELECT * FROM {REJECTED}
            ANTI JOIN (SELECT raw FROM {table.name} WHERE source = ?) USING (raw)
            QUALIFY row_number() OVER (PARTITION BY raw ORDER BY position) = 1""",
            [source],
        )
        ((new,),) = connection.execute("SELECT count(*) FROM _new_rejected").fetchall()
        if new:
            numbering = f"{source}/readings"
            number = (handle.transaction_version(numbering) or 0) + 1
            units, remembered = {0: unit_name(number, unit)}, {numbering: number}
            chosen = "FROM _new_rejected"
            commit_rejects(connection, table, handle, source, units, remembered, chosen)
    return new, count - new
