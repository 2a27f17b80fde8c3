"""Computing a table of the lake by one SELECT from others: not at all, in part, or as a whole.

A table whose rows follow each from few rows is computed again for those that changed (`compute`);
one that adds up rows which are never changed gets partial rows of those that were added
(`compute_added`). Either computes weeks anew that it is told, whether or not anything changed.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import duckdb
from deltalake import DeltaTable
from sqlalchemy import Table

from warehouse_assets.lake import (
    Computation,
    Lake,
    LakeTable,
    Touched,
    Transactions,
    Written,
    append,
    computing,
    is_by_week,
    names_of,
    overwrite,
    replace,
    view_changes,
)
from warehouse_assets.tables import WEEK, column_names, identifiers, week_of
from warehouse_assets.times import Weeks

CONSTANTS = "constants"
"""Name in a SELECT of the relation of one row that holds what the settings give to it."""

_TOUCHED = "_touched"


Constants = Mapping[str, float]
"""What the settings give to a SELECT: columns of the relation `CONSTANTS`, and their values."""


@dataclass(frozen=True)
class Part:
    """From which rows of the first table that is read each row of a computed one follows.

    Args:
        per: from those with the same value in this column of both, if it is not None.
        is_of_week: from those of the same week (`tables.week_of`) alone.
    """

    per: str | None = None
    is_of_week: bool = False


def compute(
    lake: Lake,
    table: LakeTable,
    reads: Sequence[Table],
    query: str,
    part: Part = Part(),
    anew: Weeks | None = None,
    constants: Constants = MappingProxyType({}),
) -> Written:
    """Make the table the result of `query`, unless it was computed from the same already.

    The caller holds the table's lock.

    Args:
        reads: the tables that `query` names, beside `CONSTANTS` if there are any.
        part: of which rows of the first of them, beside the other tables, a row is the result.
        anew: weeks whose rows are computed in any case.
    """
    handle = table.open()
    inputs = [(read, lake.table(read).open()) for read in reads]
    computed_from = _computed_from(inputs, query, constants)
    outdated = [app for app, at in computed_from.items() if handle.transaction_version(app) != at]
    written = Written()
    if outdated:
        with lake.connect() as connection, computing(lake, connection, table) as computation:
            _give(connection, computation, constants)
            first, opened = inputs[0]
            seen = handle.transaction_version(_app_id(first, opened))
            # Where weeks spare no file, values alone are found sooner.
            of = Part(part.per) if part.per and not is_by_week(opened) else part
            touched = None
            if of != Part() and seen is not None and outdated == [_app_id(first, opened)]:
                touched = _touched(connection, first, opened, seen, of)
            _read(computation, inputs, touched)
            rows = computation.rows(query)
            written = replace(connection, lake, table, handle, rows, computed_from, touched)
    if anew is not None:
        written += _compute_weeks(lake, table, inputs, query, part, anew, constants)
    return written


def _read(
    computation: Computation, inputs: Sequence[tuple[Table, DeltaTable]], touched: Touched | None
) -> None:
    """Have the SELECT read its tables, of the first only the rows that were touched, if given."""
    for read, opened in inputs:
        computation.read(read, names_of(opened, touched.weeks if touched else None), touched)
        touched = None


def _compute_weeks(
    lake: Lake,
    table: LakeTable,
    inputs: Sequence[tuple[Table, DeltaTable]],
    query: str,
    part: Part,
    weeks: Weeks,
    constants: Constants,
) -> Written:
    """Compute the rows of `weeks` anew from these versions, of which the table is the result.

    What it remembers of them stays true: if its rows differ they are put right, and else nothing
    is committed.
    """
    with lake.connect() as connection, computing(lake, connection, table) as computation:
        connection.execute(
            f"""CREATE TEMP TABLE {_TOUCHED} AS SELECT CAST(unnest(generate_series(
                CAST(? AS TIMESTAMP), CAST(? AS TIMESTAMP), INTERVAL 7 DAY)) AS DATE) AS {WEEK}""",
            [weeks.first, weeks.last],
        )
        touched = Touched(_TOUCHED, weeks=weeks.mondays)
        _give(connection, computation, constants)
        _read(computation, inputs, touched if part.is_of_week else None)
        rows = computation.rows(query)
        return replace(connection, lake, table, table.open(), rows, {}, touched)


def compute_added(
    lake: Lake,
    table: LakeTable,
    read: Table,
    query: str,
    constants: Constants,
    part: Part = Part(),
    anew: Weeks | None = None,
) -> Written:
    """Add to an aggregated table the partial rows that `query` gives of the rows added to `read`.

    They are computed from all rows if those that were added are not known: at first, with another
    query or other constants, or if rows were changed. The caller holds the table's lock.

    Args:
        read: the table that `query` names, beside `CONSTANTS` if there are any.
        part: of which rows of `read` a row is the result.
        anew: weeks whose rows are computed in any case.
    """
    source = lake.table(read).open()
    written = _add(lake, table, read, source, query, constants)
    if anew is not None:
        written += _compute_weeks(lake, table, [(read, source)], query, part, anew, constants)
    return written


def _add(
    lake: Lake,
    table: LakeTable,
    read: Table,
    source: DeltaTable,
    query: str,
    constants: Constants,
) -> Written:
    handle = table.open()
    app_id, definition = _app_id(read, source), zlib.crc32(f"{query} {dict(constants)}".encode())
    seen = handle.transaction_version(app_id)
    if handle.transaction_version("sql") != definition:
        seen = None
    if seen == source.version():
        return Written()
    with lake.connect() as connection, computing(lake, connection, table) as computation:
        _give(connection, computation, constants)
        is_part = seen is not None and _read_added(
            connection, computation, lake.table(read), source, seen
        )
        if not is_part:
            computation.read(read, names_of(source))
        transactions = {app_id: source.version(), "sql": definition}
        write = append if is_part or not handle.file_uris() else overwrite
        return write(connection, table, handle, computation.rows(query), transactions)


def _give(
    connection: duckdb.DuckDBPyConnection, computation: Computation, constants: Constants
) -> None:
    """Have the SELECT find `constants`: whole numbers as such, others as fractions."""
    if constants:
        columns = ", ".join(
            f'CAST(? AS {"BIGINT" if isinstance(value, int) else "DOUBLE"}) AS "{name}"'
            for name, value in constants.items()
        )
        values = list(constants.values())
        connection.execute(f"CREATE TEMP TABLE _constants AS SELECT {columns}", values)
        computation.read_relation(CONSTANTS, "FROM _constants")


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
    connection: duckdb.DuckDBPyConnection,
    read: Table,
    opened: DeltaTable,
    seen: int,
    part: Part,
) -> Touched | None:
    """What the rows of `read` changed since the version `seen` touch.

    None if that is not known, or rows without a value are among them.
    """
    if not view_changes(connection, opened, seen, "_changed"):
        return None
    columns = [f'"{part.per}"'] if part.per else []
    columns += [f"{week_of(read)} AS {WEEK}"] if part.is_of_week else []
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE {_TOUCHED} AS
        SELECT DISTINCT {", ".join(columns)} FROM _changed"""
    )
    connection.execute("DROP TABLE _changed")
    weeks = None
    if part.is_of_week:
        found = connection.execute(f"SELECT DISTINCT {WEEK} FROM {_TOUCHED}").fetchall()
        weeks = {week for (week,) in found}
    if part.per:
        nulls = f'SELECT 1 FROM {_TOUCHED} WHERE "{part.per}" IS NULL'
        if connection.execute(nulls).fetchall():
            return None
    return Touched(_TOUCHED, part.per, weeks)


def _app_id(read: Table, opened: DeltaTable) -> str:
    """Remembers up to which version of an input the table was computed."""
    return f"input/{read.name}/{opened.metadata().id}"


def _computed_from(
    inputs: Sequence[tuple[Table, DeltaTable]], query: str, constants: Constants
) -> Transactions:
    """What the result depends on: the identity and version of each input, SQL and constants."""
    definition = f"{query} {dict(constants)}" if constants else query
    versions = {_app_id(read, opened): opened.version() for read, opened in inputs}
    return {**versions, "sql": zlib.crc32(definition.encode())}
