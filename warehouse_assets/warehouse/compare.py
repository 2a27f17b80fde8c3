"""Comparing the rows of a published table with those of the lake, whatever their order.

Each side comes to a number of rows and the sum of a hash of each, both computed by DuckDB. The
rows of the database pass through a pipe, so that memory holds a few buffers. Of text only its MD5
is sent, which both databases can compute or be taught.
"""

import csv
import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import duckdb
import sqlalchemy as sa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from warehouse_assets.errors import LakeError
from warehouse_assets.lake import Lake, LakeTable
from warehouse_assets.lake.damage import remedy
from warehouse_assets.schema import duckdb_type
from warehouse_assets.warehouse.database import Warehouse
from warehouse_assets.warehouse.notes import PUBLISHED
from warehouse_assets.warehouse.postgresql_copy import NUL_REPLACED_BY
from warehouse_assets.warehouse.publish import WRITERS

_ROWS_AT_ONCE = 10_000

_Sum = tuple[int, int | None]


def behind(warehouse: Warehouse, table: LakeTable) -> str:
    """Why there is nothing to compare, which the next run mends; empty if there is.

    Raises:
        WarehouseError: the database cannot be read.
        LakeError: the table cannot be read.
        BusyError: the server cannot be reached.
    """
    with warehouse.read() as connection:
        note = _note(connection, table)
    if note is None:
        return "It is not published."
    if note.lake_table_id != str(table.open().metadata().id):
        return "What is published is of a table of the lake that is no longer there."
    return ""


def difference(lake: Lake, warehouse: Warehouse, table: LakeTable) -> str:
    """In what the warehouse's copy differs from the table as it was published; empty if in nothing.

    Where there is nothing to compare (see `behind`) that is empty, too.

    Raises:
        WarehouseError: the database cannot be read, or something else has the table's name.
        LakeError: the table cannot be read.
        BusyError: the server cannot be reached.
    """
    with warehouse.read() as connection:
        note, handle = _note(connection, table), table.open()
        if note is None or note.lake_table_id != str(handle.metadata().id):
            return ""
        if not WRITERS[connection.dialect.name](connection).is_as_declared(table.declaration):
            return "It is missing, or its columns, its key or its indexes are not as declared."
        try:
            with lake.connect() as engine:
                there = _of_warehouse(connection, engine, table.declaration)
        except (duckdb.InvalidInputException, duckdb.ConversionException):
            return "It has values that are not of the types of their columns."
    here = _of_lake(lake, warehouse, table, handle)
    if there != here and note.version < handle.version():  # the newest is still to be published
        try:
            handle.load_as_version(int(note.version))
            here = _of_lake(lake, warehouse, table, handle)
        except (DeltaError, LakeError):
            return ""  # its files are gone, so that the next run writes the table whole
    if there == here:
        return ""
    as_many = "as many as the lake, but with other values"
    return f"It has {there[0]:,} rows, " + (
        f"{as_many}." if there[0] == here[0] else f"the lake has {here[0]:,}."
    )


def _note(connection: sa.Connection, table: LakeTable) -> Any:
    if not connection.dialect.has_table(connection, PUBLISHED.name):
        return None
    query = sa.select(PUBLISHED).where(PUBLISHED.c.table_name == table.name)
    return connection.execute(query).one_or_none()


def _of_lake(lake: Lake, warehouse: Warehouse, table: LakeTable, handle: DeltaTable) -> _Sum:
    columns = []
    for column in table.declaration.columns:
        value = f'CAST("{column.name}" AS {duckdb_type(column)})'
        if isinstance(column.type, sa.Text):
            if not warehouse.is_sqlite:
                value = f"replace({value}, chr(0), chr({NUL_REPLACED_BY}))"
            value = f"md5({value})"
        elif isinstance(column.type, sa.Double):
            # SQLite has neither a number that is none nor a zero below zero.
            value = f"CASE WHEN isnan({value}) THEN NULL ELSE {value} + 0.0 END"
        columns.append(f"{value}, ({value}) IS NULL")
    try:
        with lake.connect() as engine:
            lake.view(engine, table.declaration, handle)
            query = f'SELECT {_sum(columns)} FROM "{table.name}"'
            ((rows, total),) = engine.execute(query).fetchall()
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        said = str(error).partition("\n")[0].rstrip(".")
        raise LakeError(
            f"The lake table {table.name} cannot be read: {said}. "
            f"{remedy(table.declaration, table.path)}"
        ) from error
    return rows, total


def _of_warehouse(
    connection: sa.Connection, engine: duckdb.DuckDBPyConnection, declaration: sa.Table
) -> _Sum:
    columns = []
    for column in declaration.columns:
        value, missing = f'"{column.name}"', f'"{column.name}" IS NULL'
        if not isinstance(column.type, sa.Text):
            value = f"TRY_CAST({value} AS {duckdb_type(column)})"
        if isinstance(column.type, sa.Double):
            missing = f"coalesce(isnan({value}), {missing})"
            value = f"CASE WHEN isnan({value}) THEN NULL ELSE {value} + 0.0 END"
        columns.append(f"{value}, {missing}")
    send = _send_sqlite if connection.dialect.name == "sqlite" else _send_postgresql
    with _received(engine, declaration, _sum(columns)) as (stream, found):
        send(connection, declaration, stream)
    ((rows, total),) = found
    return rows, total


def _sum(columns: list[str]) -> str:
    return f"count(*), sum(CAST(hash({', '.join(columns)}) AS HUGEINT))"


def _send_sqlite(connection: sa.Connection, declaration: sa.Table, stream: TextIO) -> None:
    columns = ", ".join(
        f'md5(CAST("{c.name}" AS BLOB))' if isinstance(c.type, sa.Text) else f'"{c.name}"'
        for c in declaration.columns
    )
    raw: Any = connection.connection.dbapi_connection
    raw.create_function("md5", 1, _md5, deterministic=True)
    cursor = raw.execute(f'SELECT 1, {columns} FROM "{declaration.name}"')
    writer = csv.writer(stream, lineterminator="\n")
    while rows := cursor.fetchmany(_ROWS_AT_ONCE):
        writer.writerows(rows)


def _md5(value: bytes | None) -> str | None:
    return None if value is None else hashlib.md5(value, usedforsecurity=False).hexdigest()


def _send_postgresql(connection: sa.Connection, declaration: sa.Table, stream: TextIO) -> None:
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    columns = ", ".join(
        f"md5(convert_to(\"{c.name}\", 'UTF8'))" if isinstance(c.type, sa.Text) else f'"{c.name}"'
        for c in declaration.columns
    )
    cursor: Any = connection.connection.cursor()
    try:
        query = f'SELECT 1, {columns} FROM "{declaration.name}"'
        cursor.copy_expert(f"COPY ({query}) TO STDOUT (FORMAT csv, NULL '')", stream)
    finally:
        cursor.close()


@contextmanager
def _received(
    engine: duckdb.DuckDBPyConnection, declaration: sa.Table, selected: str
) -> Iterator[tuple[TextIO, list[Any]]]:
    """A stream of lines of CSV, and what selecting from them gives once the block has ended."""
    outlet, inlet = os.pipe()
    names = ", ".join(
        f"'{name}': 'VARCHAR'" for name in ("_", *(c.name for c in declaration.columns))
    )
    query = f"""SELECT {selected} FROM read_csv('/dev/fd/{outlet}', columns = {{{names}}},
        auto_detect = false, header = false, delim = ',', quote = '', escape = '', nullstr = '')"""
    found: list[Any] = []
    failed: list[BaseException] = []

    def receive() -> None:
        try:
            found.extend(engine.execute(query).fetchall())
        except BaseException as error:
            failed.append(error)
        finally:
            os.close(outlet)  # whoever goes on writing is told that nobody reads

    thread = threading.Thread(target=receive, name="compare", daemon=True)
    thread.start()
    try:
        with os.fdopen(inlet, "w", encoding="utf-8", errors="replace", newline="") as stream:
            yield stream, found
    except BrokenPipeError:
        if not failed:
            raise
    finally:
        thread.join()
        if failed:
            raise failed[0]
