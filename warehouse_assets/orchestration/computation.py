"""Computing a table of the lake by one SELECT from others: not at all, in part, or as a whole.

A table whose rows follow each from few rows is computed again for those that changed (`compute`);
one that adds up rows which are never changed gets partial rows of those that were added
(`compute_added`).
"""

import zlib
from collections.abc import Mapping, Sequence

import duckdb
from deltalake import DeltaTable
from sqlalchemy import Table

from warehouse_assets.lake import (
    Computation,
    Lake,
    LakeTable,
    Transactions,
    Written,
    append,
    computing,
    names_of,
    overwrite,
    replace,
    view_changes,
)
from warehouse_assets.tables import column_names, identifiers

CONSTANTS = "constants"
"""Name in a SELECT of the relation of one row that holds what the settings give to it."""

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
    with lake.connect() as connection, computing(lake, connection, table) as computation:
        first, opened = inputs[0]
        seen = handle.transaction_version(_app_id(first, opened))
        within = None
        if per is not None and seen is not None and outdated == [_app_id(first, opened)]:
            within = _touched(connection, opened, seen, per)
        computation.read(first, names_of(opened), within)
        for read, opened in inputs[1:]:
            computation.read(read, names_of(opened))
        rows = computation.rows(query)
        return replace(connection, lake, table, handle, rows, computed_from, within)


def compute_added(
    lake: Lake, table: LakeTable, read: Table, query: str, constants: Mapping[str, float]
) -> Written:
    """Add to an aggregated table the partial rows that `query` gives of the rows added to `read`.

    They are computed from all rows if those that were added are not known: at first, with another
    query or other constants, or if rows were changed. The caller holds the table's lock.

    Args:
        read: the table that `query` names, beside `CONSTANTS` if there are any.
        constants: columns of `CONSTANTS` and their values.
    """
    handle, source = table.open(), lake.table(read).open()
    app_id, definition = _app_id(read, source), zlib.crc32(f"{query} {dict(constants)}".encode())
    seen = handle.transaction_version(app_id)
    if handle.transaction_version("sql") != definition:
        seen = None
    if seen == source.version():
        return Written()
    with lake.connect() as connection, computing(lake, connection, table) as computation:
        if constants:
            connection.execute(
                "CREATE TEMP TABLE _constants AS SELECT "
                + ", ".join(f'CAST(? AS DOUBLE) AS "{name}"' for name in constants),
                list(constants.values()),
            )
            computation.read_relation(CONSTANTS, "FROM _constants")
        is_part = seen is not None and _read_added(
            connection, computation, lake.table(read), source, seen
        )
        if not is_part:
            computation.read(read, names_of(source))
        transactions = {app_id: source.version(), "sql": definition}
        write = append if is_part or not handle.file_uris() else overwrite
        return write(connection, table, handle, computation.rows(query), transactions)


def _read_added(
    connection: duckdb.DuckDBPyConnection,
    computation: Computation,
    read: LakeTable,
    source: DeltaTable,
    seen: int,
) -> bool:
    """Have the SELECT read the rows of `read` added since the version `seen`.

    Returns False if that is not known, or if rows have been changed or removed.
    """
    names = read.names_added(source, seen)
    if names is not None:
        computation.read(read.declaration, names)
        return True
    # Maintenance has written rows into other files.
    if not view_changes(connection, source, seen, "_changed"):
        return False
    others = connection.execute("SELECT 1 FROM _changed WHERE _change_type <> 'insert' LIMIT 1")
    if others.fetchall():
        return False
    columns = identifiers(column_names(read.declaration))
    computation.read_relation(read.name, f"SELECT {columns} FROM _changed")
    return True


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
