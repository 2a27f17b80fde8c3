"""Computing a table of the lake by one SELECT from others: not at all, in part, or as a whole."""

import zlib
from collections.abc import Sequence

import duckdb
from deltalake import DeltaTable
from sqlalchemy import Table

from warehouse_assets.lake import Lake, LakeTable, Transactions, Written, replace, view_changes

_TOUCHED = "_touched"


def compute(
    lake: Lake, table: LakeTable, reads: Sequence[Table], query: str, per: str | None = None
) -> Written:
    """Make the table the result of `query`, unless it was computed from the same already.

    The caller holds the table's lock.

    Args:
        reads: the tables that `query` names.
        per: a column of the table and of the first of `reads`: each row of the result follows
            from the rows there that have the same value in it, and from the other tables.
    """
    handle = table.open()
    inputs = [(read, lake.table(read).open()) for read in reads]
    computed_from = _computed_from(inputs, query)
    outdated = [app for app, at in computed_from.items() if handle.transaction_version(app) != at]
    if not outdated:
        return Written()
    with lake.connect() as connection:
        for read, opened in inputs:
            lake.view(connection, read, opened)
        first, opened = inputs[0]
        seen = handle.transaction_version(_app_id(first, opened))
        within = None
        if per is not None and seen is not None and outdated == [_app_id(first, opened)]:
            within = _touched(connection, opened, seen, per)
        if within is not None:
            lake.view(connection, first, opened, name="_all")
            connection.execute(
                f'CREATE OR REPLACE VIEW "{first.name}" AS FROM _all SEMI JOIN {_TOUCHED} '
                f'USING ("{per}")'
            )
        return replace(connection, lake, table, handle, query, computed_from, within)


def _touched(
    connection: duckdb.DuckDBPyConnection, opened: DeltaTable, seen: int, per: str
) -> tuple[str, str] | None:
    """The column `per` and a table of its values in rows changed since the version `seen`.

    None if that is not known, or rows without a value are among them.
    """
    if not view_changes(connection, opened, seen, "_changed"):
        return None
    connection.execute(
        f'CREATE OR REPLACE TEMP TABLE {_TOUCHED} AS SELECT DISTINCT "{per}" FROM _changed'
    )
    connection.execute("DROP TABLE _changed")
    nulls = connection.execute(f'SELECT 1 FROM {_TOUCHED} WHERE "{per}" IS NULL').fetchall()
    return None if nulls else (per, _TOUCHED)


def _app_id(read: Table, opened: DeltaTable) -> str:
    """Remembers up to which version of an input the table was computed."""
    return f"input/{read.name}/{opened.metadata().id}"


def _computed_from(inputs: Sequence[tuple[Table, DeltaTable]], query: str) -> Transactions:
    """What the result depends on: the identity and version of each input, and the SQL."""
    versions = {_app_id(read, opened): opened.version() for read, opened in inputs}
    return {**versions, "sql": zlib.crc32(query.encode())}
