"""Tables as they were published at a moment, and answers made of them again.

A table that is published has the rows then that the SQL database had, also while a run was about to
publish others; of one that is in the lake only, or of which no publication is known, those count
that the lake had.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import duckdb
import sqlalchemy as sa
from deltalake import DeltaTable
from sqlalchemy.dialects.postgresql.base import PGDialect

from warehouse_assets.errors import GoneError, UsageError
from warehouse_assets.lake import Labelled, Lake, labelled, open_at, version_at
from warehouse_assets.times import read_time, utc_now
from warehouse_assets.warehouse import PublishedVersion, Warehouse, published_at

Connection = sa.Connection | duckdb.DuckDBPyConnection
"""What an answer is read from: the warehouse, or the lake."""

Handles = Mapping[str, DeltaTable | None]
"""Of each table, by its name, a handle on a version; None before the table was made."""

# Of all dialects of SQLAlchemy it is the one that DuckDB understands.
_dialect: Any = PGDialect
_DUCKDB = _dialect(paramstyle="numeric_dollar")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_IS_LABEL = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_DAYS_AGO = {"today": 0, "yesterday": 1}


@dataclass(frozen=True)
class Moment:
    """What people say to mean a state of tables: a time, a version of one table, or a label."""

    text: str
    time: datetime | None = None
    version: int | None = None
    versions: Mapping[str, Labelled] = field(default_factory=dict)


def read_moment(lake: Lake, text: str, is_since: bool = False) -> Moment:
    """What `text` means.

    A time (or `now`) is in UTC unless it has a zone, and one to come is refused. A day (also
    `yesterday` and `today`) is its end, or now if it has not ended.

    Args:
        is_since: a day is its beginning, so that all that changed on it is after it.

    Raises:
        UsageError: it is nothing of that.
    """
    said, now = text.strip(), utc_now()
    if said.isdecimal():
        return Moment(said, version=int(said))
    if said == "now":
        return Moment(said, time=now)
    if said in _DAYS_AGO:
        said = str((now - timedelta(days=_DAYS_AGO[said])).date())
    time = read_time(said)
    if time is not None:
        if time > now:
            raise UsageError(f"{text} is in the future: it is {now:%Y-%m-%d %H:%M:%S} UTC now.")
        if _DAY.fullmatch(said) and not is_since:
            time = min(time + timedelta(days=1, microseconds=-1), now)
        return Moment(text, time=time)
    labels = labelled(lake)
    found = {one.table: one for one in labels if one.label == said}
    if not found:
        known = ", ".join(dict.fromkeys(one.label for one in labels)) or "none"
        raise UsageError(
            f"{text!r} is no moment: give a time (2026-11-20, 2026-11-20T10:00, yesterday), the "
            f"number of a version, or a label (there are: {known})."
        )
    return Moment(text, versions=found)


def check_label(label: str) -> None:
    """See that a label can be told from a time and from a version.

    Raises:
        UsageError: it cannot, or is not made of letters, digits, `.`, `_` and `-`.
    """
    if (
        not _IS_LABEL.fullmatch(label)
        or label in {*_DAYS_AGO, "now"}
        or read_time(label) is not None
    ):
        raise UsageError(
            f"{label!r} cannot be a label: it needs a letter, may have digits, `.`, `_` and `-`, "
            "at most 100 characters, and must not be a time."
        )


def handles_at(
    lake: Lake, moment: Moment, tables: Sequence[sa.Table], published: sa.Connection | None
) -> Handles:
    """The versions of `tables` at a moment.

    Args:
        published: of the SQL database, that knows what was published when; None if there is none.

    Raises:
        GoneError: one of them is no longer kept.
        UsageError: a version was asked for that has not been, or of several tables.
    """
    if moment.version is not None:
        if len(tables) != 1:
            names = ", ".join(str(table.name) for table in tables)
            raise UsageError(
                f"A version is of one table; these are {len(tables)} ({names}). Give a time."
            )
        return {str(tables[0].name): open_at(lake.table(tables[0]), moment.version)}
    known: Mapping[str, PublishedVersion] = {}
    if published is not None and moment.time is not None:
        known = published_at(published, moment.time)
    return {str(table.name): _handle_at(lake, moment, table, known) for table in tables}


def _handle_at(
    lake: Lake, moment: Moment, declaration: sa.Table, known: Mapping[str, PublishedVersion]
) -> DeltaTable | None:
    table = lake.table(declaration)
    newest = table.open_existing()
    if newest is None:
        return None
    noted = known.get(table.name) or moment.versions.get(table.name)
    if noted is not None and noted.lake_table_id != str(newest.metadata().id):
        raise GoneError(
            f"What {table.name} was at {moment.text} is gone: the table was made anew since."
        )
    if moment.time is None:
        return None if noted is None else open_at(table, noted.version)
    version = version_at(table, newest, moment.time, noted and noted.version)
    return None if version is None else open_at(table, version)


def handles_of(
    lake: Lake, warehouse: Warehouse, moment: Moment, tables: Sequence[sa.Table]
) -> Handles:
    """As `handles_at`, for whom no transaction of the SQL database is open."""
    if moment.time is None or not warehouse.exists():
        return handles_at(lake, moment, tables, None)
    with warehouse.read() as connection:
        return handles_at(lake, moment, tables, connection)


def tables_at(
    lake: Lake, warehouse: Warehouse, text: str, tables: Sequence[sa.Table]
) -> Mapping[str, DeltaTable]:
    """The versions of `tables` at the moment that `text` means.

    Raises:
        GoneError: one of them is no longer kept.
        UsageError: it means nothing, or one of the tables was not there yet.
    """
    found = {}
    for name, handle in handles_of(lake, warehouse, read_moment(lake, text), tables).items():
        if handle is None:
            raise UsageError(f"There was no {name} yet at {text}.")
        found[name] = handle
    return found


def view(
    lake: Lake,
    connection: duckdb.DuckDBPyConnection,
    tables: Sequence[sa.Table],
    handles: Handles,
    prefix: str = "",
) -> None:
    """Make tables readable in DuckDB at those versions, by their names behind a prefix."""
    for table in tables:
        lake.view(connection, table, handles[str(table.name)], f"{prefix}{table.name}")


def fetch(
    connection: Connection, statement: sa.Select[Any] | str
) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Columns and rows of a statement, of the SQL database or of the lake.

    Args:
        statement: text has no parameters, and is in SQL that both understand.
    """
    if isinstance(connection, sa.Connection):
        if isinstance(statement, str):
            # There are no parameters, for which a driver would look after each %.
            bare = connection.execution_options(no_parameters=True)
            result = bare.exec_driver_sql(statement)
        else:
            result = connection.execute(statement)
        return list(result.keys()), [tuple(row) for row in result]
    said: Any = (statement,) if isinstance(statement, str) else in_duckdb(statement)
    found = connection.execute(*said)
    return [column[0] for column in found.description or ()], found.fetchall()


def in_duckdb(statement: sa.Select[Any]) -> tuple[str, list[Any]]:
    """A statement in DuckDB's SQL, and the values that are bound, in their order."""
    compiled = statement.compile(dialect=_DUCKDB, compile_kwargs={"render_postcompile": True})
    return str(compiled), [compiled.params[name] for name in compiled.positiontup or ()]
