"""COPY of what a query of DuckDB gives into a table of PostgreSQL.

DuckDB writes CSV into a pipe that the server reads from, so that memory and disk hold a few
buffers, whatever the size of the table. Python only hands the bytes on.
"""

import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

import duckdb
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from warehouse_assets.tables import identifiers

NUL_REPLACED_BY = 0xFFFD

_BYTES_AT_ONCE = 2**18


def copy(
    engine: duckdb.DuckDBPyConnection,
    query: str,
    connection: sa.Connection,
    target: sa.Table,
    is_frozen: bool = False,
    on_lines: Callable[[int], object] = int,
) -> int:
    """Copy the rows of `query`, whose columns are those of `target`, and return how many.

    Args:
        is_frozen: whether the rows count as having been there for ever; only for a table that was
            made in this transaction.
        on_lines: told now and then how many lines were sent; a text may have several.
    """
    option = ", FREEZE" if is_frozen else ""
    names = [column.name for column in target.columns]
    statement = (
        f"COPY \"{target.name}\" ({identifiers(names)}) FROM STDIN (FORMAT csv, NULL ''{option})"
    )
    with _Pipe(engine, query, _first_text(target), on_lines) as pipe:
        cursor: Any = connection.connection.cursor()
        try:
            cursor.copy_expert(statement, pipe, _BYTES_AT_ONCE)
            return int(cursor.rowcount)
        except _driver_error(connection) as error:
            if pipe.error is not None:  # the server was only told to stop
                raise pipe.error from None
            raise _wrapped(connection, cursor, statement, error) from error
        finally:
            cursor.close()


class _Pipe:
    """What DuckDB writes, as a file to read; `error` is why it ended early, if it did."""

    def __init__(
        self,
        engine: duckdb.DuckDBPyConnection,
        query: str,
        quoted: Sequence[str],
        on_lines: Callable[[int], object],
    ) -> None:
        self.error: BaseException | None = None
        self._engine = engine
        self._on_lines = on_lines
        self._lines = 0
        self._outlet, self._inlet = os.pipe()
        force = f", FORCE_QUOTE ({identifiers(quoted)})" if quoted else ""
        self._statement = (
            f"COPY ({query}) TO '/dev/fd/{self._inlet}' "
            f"(FORMAT csv, HEADER false, NULLSTR '', USE_TMP_FILE false{force})"
        )
        self._thread = threading.Thread(target=self._write, name="copy", daemon=True)

    def __enter__(self) -> "_Pipe":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread.is_alive():
            self._engine.interrupt()
        os.close(self._outlet)  # whoever goes on writing is told that nobody reads
        self._thread.join()

    def read(self, size: int) -> bytes:
        """The next bytes; none at the end.

        Whatever it raises is in `error`, too: the driver makes an error of its own of it, and so
        does the server. If the query failed, what came before is no whole.
        """
        try:
            return self._read(size)
        except BaseException as error:
            self.error = error
            raise

    def _read(self, size: int) -> bytes:
        data = os.read(self._outlet, size)
        if not data:
            self._thread.join()
            if self.error is not None:
                raise self.error
        else:
            self._lines += data.count(b"\n")
            self._on_lines(self._lines)
        return data

    def _write(self) -> None:
        try:
            self._engine.execute(self._statement)
        except BaseException as error:
            self.error = error
        finally:
            os.close(self._inlet)


def _first_text(target: sa.Table) -> list[str]:
    r"""The first column, if it is text: unquoted, `\.` alone in a line would end the data."""
    first = next(iter(target.columns))
    return [first.name] if isinstance(first.type, sa.Text) else []


def _driver_error(connection: sa.Connection) -> type[Exception]:
    module: Any = connection.dialect.loaded_dbapi
    kind: type[Exception] = module.Error
    return kind


def _wrapped(
    connection: sa.Connection, cursor: Any, statement: str, error: Exception
) -> BaseException:
    """The driver's error as SQLAlchemy gives it; a connection that is lost is not used again."""
    dialect = connection.dialect
    raw: Any = connection.connection.dbapi_connection
    driver: Any = dialect
    if driver.is_disconnect(error, raw, cursor):
        connection.invalidate(error)
    kind = _driver_error(connection)
    return DBAPIError.instance(statement, (), error, kind, dialect=dialect)
