"""Rows of the lake on their way into a table of the warehouse.

SQLite takes them by bound statements, tens of thousands of rows at a time, PostgreSQL by COPY.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import duckdb
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from warehouse_assets.errors import WarehouseError
from warehouse_assets.progress import Progress, report
from warehouse_assets.tables import identifiers, key_names
from warehouse_assets.warehouse.postgresql_copy import NUL_REPLACED_BY, copy
from warehouse_assets.warehouse.postgresql_errors import sql_state

_ROWS_AT_ONCE = 50_000
_TOO_LONG = "54000"
_CHARACTERS_SHOWN = 60


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
        if self._is_sqlite:
            return _insert(self._engine, query, self._connection, target, self._tell)
        return copy(self._engine, query, self._connection, target, is_new, self._tell)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Have an error of PostgreSQL about a row that is too long name the row."""
        try:
            yield
        except DBAPIError as error:
            if sql_state(error) != _TOO_LONG:
                raise
            raise WarehouseError(
                f"The table {self._table.name} cannot be published to PostgreSQL: a value of "
                f"its key or of an index is too long. The longest are in the row with "
                f"{self._longest_indexed()}; PostgreSQL takes about 2,700 bytes. Nothing was "
                "changed; correct the row at its source, or publish to SQLite."
            ) from error

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

    def _longest_indexed(self) -> str:
        """In words, the row whose indexed texts are the longest."""
        indexed = set(key_names(self._table))
        for index in self._table.indexes:
            indexed |= {column.name for column in index.columns}
        names = [name for name in self._texts if name in indexed]
        if not names:
            return ""
        length = " + ".join(f'coalesce(strlen("{name}"), 0)' for name in names)
        columns = ", ".join(
            f'left("{name}", {_CHARACTERS_SHOWN}), strlen("{name}")' for name in names
        )
        rows = self._engine.execute(
            f"SELECT {columns} FROM {self._relation} ORDER BY {length} DESC LIMIT 1"
        ).fetchall()
        values = iter(rows[0])
        return ", ".join(f"{name} = {next(values)!r} … ({next(values):,} bytes)" for name in names)


def _insert(
    engine: duckdb.DuckDBPyConnection,
    query: str,
    connection: sa.Connection,
    target: sa.Table,
    on_rows: Callable[[int], object],
) -> int:
    """Insert the rows of `query` into a table of SQLite, and return how many."""
    statement = str(sa.insert(target).compile(connection))
    result, rows = engine.execute(query), 0
    while batch := result.fetchmany(_ROWS_AT_ONCE):
        connection.exec_driver_sql(statement, batch)
        rows += len(batch)
        on_rows(rows)
    return rows
