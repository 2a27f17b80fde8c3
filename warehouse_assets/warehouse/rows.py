"""Rows of the lake on their way into a table of the warehouse, thousands at a time.

SQLite takes them by bound statements. PostgreSQL takes them by COPY, for which DuckDB makes the
lines, so that Python only hands them on.
"""

from collections.abc import Callable
from io import StringIO
from typing import Any

import duckdb
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from warehouse_assets.progress import Progress, report
from warehouse_assets.tables import identifiers, key_names

NUL_REPLACED_BY = 0xFFFD
"""PostgreSQL has no text with the character NUL; this one stands for it."""

_ROWS_AT_ONCE = 5_000


class Rows:
    """The rows of a relation of DuckDB that has the columns of `table`.

    Args:
        total: how many there are.
        with_nul: how many have a text with the character NUL, if they are for PostgreSQL.
    """

    def __init__(
        self,
        engine: duckdb.DuckDBPyConnection,
        relation: str,
        connection: sa.Connection,
        table: sa.Table,
    ) -> None:
        self._engine = engine
        self._relation = relation
        self._connection = connection
        self._is_sqlite = connection.dialect.name == "sqlite"
        self._table = table
        self._texts = [c.name for c in table.columns if isinstance(c.type, sa.Text)]
        with_nul = "false"
        if self._texts and not self._is_sqlite:
            with_nul = " OR ".join(f'contains("{name}", chr(0))' for name in self._texts)
        ((self.total, self.with_nul),) = engine.execute(
            f"SELECT count(*), count(*) FILTER ({with_nul}) FROM {relation}"
        ).fetchall()

    def write_into(self, target: sa.Table, is_new: bool = False) -> int:
        """Write them, in the order of the key, and return how many.

        Args:
            target: a table with a selection of the columns.
            is_new: whether `target` was made in this transaction.
        """
        columns = ", ".join(self._expression(column) for column in target.columns)
        # Rows near each other in the key are then near each other in the table. Sorted before
        # their values are made text: that takes half the memory.
        keys = identifiers(key_names(self._table))
        order = f"ORDER BY {keys}" if keys else ""
        query = f"SELECT {columns} FROM (FROM {self._relation} {order})"
        write = _insert if self._is_sqlite else copy
        return write(self._engine, query, self._connection, target, self._tell, is_new)

    def _expression(self, column: sa.Column[object]) -> str:
        """SQL of DuckDB for a column's values as the database stores them."""
        name = f'"{column.name}"'
        if not self._is_sqlite:
            if self.with_nul and column.name in self._texts:
                return f"replace({name}, chr(0), chr({NUL_REPLACED_BY})) AS {name}"
        elif isinstance(column.type, sa.DateTime):  # SQLite has text that sorts in their order
            return f"strftime({name}, '%Y-%m-%d %H:%M:%S.%f')"
        elif isinstance(column.type, sa.Date):
            return f"strftime({name}, '%Y-%m-%d')"
        return name

    def _tell(self, rows: int) -> None:
        done = min(rows, self.total)
        report(Progress(str(self._table.name), "publishing", done, self.total, "rows"))


def _insert(
    engine: duckdb.DuckDBPyConnection,
    query: str,
    connection: sa.Connection,
    target: sa.Table,
    on_rows: Callable[[int], object],
    is_new: bool,
) -> int:
    """Insert the rows of `query` into a table of SQLite, and return how many."""
    statement = str(sa.insert(target).compile(connection))
    result, rows = engine.execute(query), 0
    while batch := result.fetchmany(_ROWS_AT_ONCE):
        connection.exec_driver_sql(statement, batch)
        rows += len(batch)
        on_rows(rows)
    return rows


def copy(
    engine: duckdb.DuckDBPyConnection,
    query: str,
    connection: sa.Connection,
    target: sa.Table,
    on_rows: Callable[[int], object] = int,
    is_new: bool = False,
) -> int:
    """Copy the rows of `query` into a table of PostgreSQL, and return how many.

    Args:
        query: its columns are those of `target`.
        on_rows: told now and then how many there were.
        is_new: whether `target` was made in this transaction: its rows then count as having been
            there for ever.
    """
    names = identifiers([column.name for column in target.columns])
    option = " (FREEZE)" if is_new else ""
    statement = f'COPY "{target.name}" ({names}) FROM STDIN{option}'
    cells = ", ".join(_cell(column) for column in target.columns)
    result = engine.execute(f"SELECT concat_ws(chr(9), {cells}) || chr(10) FROM ({query})")
    cursor: Any = connection.connection.cursor()
    driver: Any = connection.dialect
    rows = 0
    try:
        while batch := result.fetchmany(_ROWS_AT_ONCE):
            cursor.copy_expert(statement, StringIO("".join(line for (line,) in batch)))
            rows += len(batch)
            on_rows(rows)
    except driver.loaded_dbapi.Error as error:
        if driver.is_disconnect(error, connection.connection.dbapi_connection, cursor):
            connection.invalidate(error)
        kind = driver.loaded_dbapi.Error
        raise DBAPIError.instance(statement, (), error, kind, dialect=driver) from error
    finally:
        cursor.close()
    return rows


def _cell(column: sa.Column[object]) -> str:
    r"""SQL for a value as COPY reads it: `\N` for none, some characters of text escaped."""
    value = f'CAST("{column.name}" AS VARCHAR)'
    if isinstance(column.type, sa.Text):
        for code, escaped in ((92, r"\\"), (9, r"\t"), (10, r"\n"), (13, r"\r")):
            value = f"replace({value}, chr({code}), '{escaped}')"
    return f"coalesce({value}, '\\N')"
