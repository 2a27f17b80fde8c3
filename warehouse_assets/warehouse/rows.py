"""Rows of the lake on their way into a table of the warehouse, thousands at a time.

SQLite takes them by bound statements. PostgreSQL takes them by COPY, for which DuckDB makes the
lines, so that Python only hands them on.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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
        texts = [column.name for column in table.columns if isinstance(column.type, sa.Text)]
        with_nul = "false"
        if texts and not self._is_sqlite:
            with_nul = " OR ".join(f'contains("{name}", chr(0))' for name in texts)
        ((self.total, self.with_nul),) = engine.execute(
            f"SELECT count(*), count(*) FILTER ({with_nul}) FROM {relation}"
        ).fetchall()

    def write_into(self, target: sa.Table, is_new: bool = False) -> int:
        """Write them, in the order of the key, and return how many.

        Args:
            target: a table with a selection of the columns.
            is_new: whether `target` was made in this transaction.
        """
        if self._is_sqlite:
            columns = ", ".join(_for_sqlite(column) for column in target.columns)
        else:
            cells = ", ".join(self._cell(column) for column in target.columns)
            columns = f"concat_ws(chr(9), {cells}) || chr(10)"
        # Rows near each other in the key are then near each other in the table. Sorted before
        # their values are made text: that takes half the memory.
        keys = identifiers(key_names(self._table))
        order = f"ORDER BY {keys}" if keys else ""
        result = self._engine.execute(f"SELECT {columns} FROM (FROM {self._relation} {order})")
        rows, name = 0, str(self._table.name)
        with self._inserting(target) if self._is_sqlite else self._copying(target, is_new) as write:
            while batch := result.fetchmany(_ROWS_AT_ONCE):
                write(batch)
                rows += len(batch)
                report(Progress(name, "publishing", min(rows, self.total), self.total, "rows"))
        return rows

    @contextmanager
    def _inserting(self, target: sa.Table) -> Iterator[Callable[[list[Any]], object]]:
        statement = str(sa.insert(target).compile(self._connection))
        yield lambda batch: self._connection.exec_driver_sql(statement, batch)

    @contextmanager
    def _copying(
        self, target: sa.Table, is_new: bool
    ) -> Iterator[Callable[[Sequence[tuple[str]]], object]]:
        """Take lines of COPY; rows of a new table count as having been there for ever."""
        names = identifiers([column.name for column in target.columns])
        option = " (FREEZE)" if is_new else ""
        statement = f'COPY "{target.name}" ({names}) FROM STDIN{option}'
        connection: Any = self._connection.connection
        driver: Any = self._connection.dialect
        cursor = connection.cursor()
        try:
            yield lambda batch: cursor.copy_expert(
                statement, StringIO("".join(line for (line,) in batch))
            )
        except driver.loaded_dbapi.Error as error:
            if driver.is_disconnect(error, connection.dbapi_connection, cursor):
                self._connection.invalidate(error)
            kind = driver.loaded_dbapi.Error
            raise DBAPIError.instance(statement, (), error, kind, dialect=driver) from error
        finally:
            cursor.close()

    def _cell(self, column: sa.Column[object]) -> str:
        r"""SQL for a value as COPY reads it: `\N` for none, some characters of text escaped."""
        value = f'CAST("{column.name}" AS VARCHAR)'
        if isinstance(column.type, sa.Text):
            if self.with_nul:
                value = f"replace({value}, chr(0), chr({NUL_REPLACED_BY}))"
            for code, escaped in ((92, r"\\"), (9, r"\t"), (10, r"\n"), (13, r"\r")):
                value = f"replace({value}, chr({code}), '{escaped}')"
        return f"coalesce({value}, '\\N')"


def _for_sqlite(column: sa.Column[object]) -> str:
    """SQL for a value as SQLite stores it, which has text that sorts in the order of times."""
    name = f'"{column.name}"'
    if isinstance(column.type, sa.DateTime):
        return f"strftime({name}, '%Y-%m-%d %H:%M:%S.%f')"
    return f"strftime({name}, '%Y-%m-%d')" if isinstance(column.type, sa.Date) else name
