"""Comparing the rows of a published table with those of the lake, whatever their order.

Each side comes to a number of rows and the sum of a hash of each, both computed by DuckDB, of the
database for some thousands of rows at a time. Of text only its MD5 is sent, which both databases
can compute or be taught.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

import duckdb
import sqlalchemy as sa
from arro3.core import Array, DataType, Table
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from warehouse_assets.errors import LakeError
from warehouse_assets.lake import Lake, LakeTable
from warehouse_assets.lake.damage import remedy
from warehouse_assets.tables import column_names, duckdb_type
from warehouse_assets.warehouse.database import Warehouse
from warehouse_assets.warehouse.notes import published_version
from warehouse_assets.warehouse.rows import NUL_REPLACED_BY
from warehouse_assets.warehouse.writer import Writer

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
        note = published_version(connection, table.name)
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
        note, handle = published_version(connection, table.name), table.open()
        if note is None or note.lake_table_id != str(handle.metadata().id):
            return ""
        if not Writer(connection, table.declaration).is_as_declared():
            return "It is missing, or its columns, its key or its indexes are not as declared."
        try:
            with lake.connect() as engine:
                there = _of_warehouse(connection, engine, table.declaration)
        except (duckdb.InvalidInputException, duckdb.ConversionException):
            return "It has values that are not of the types of their columns."
    here = _of_lake(lake, warehouse, table, handle)
    if there != here and note.version < handle.version():  # the newest is still to be published
        try:
            handle.load_as_version(note.version)
            here = _of_lake(lake, warehouse, table, handle)
        except (DeltaError, LakeError):
            return ""  # its files are gone, so that the next run writes the table whole
    if there == here:
        return ""
    as_many = "as many as the lake, but with other values"
    return f"It has {there[0]:,} rows, " + (
        f"{as_many}." if there[0] == here[0] else f"the lake has {here[0]:,}."
    )


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
    rows, total = 0, None
    for batch in _rows_of(connection, declaration):
        engine.register("_rows", batch)
        ((count, part),) = engine.execute(f"SELECT {_sum(columns)} FROM _rows").fetchall()
        rows, total = rows + count, (total or 0) + part
    return rows, total


def _rows_of(connection: sa.Connection, declaration: sa.Table) -> Iterator[Table]:
    """The rows of a published table, as texts, thousands at a time."""
    if connection.dialect.name == "sqlite":
        raw: Any = connection.connection.dbapi_connection
        raw.create_function("md5", 1, _md5, deterministic=True)
        md5 = 'md5(CAST("{}" AS BLOB))'
    else:
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        md5 = "md5(convert_to(\"{}\", 'UTF8'))"
    columns = ", ".join(
        md5.format(column.name) if isinstance(column.type, sa.Text) else f'"{column.name}"'
        for column in declaration.columns
    )
    query = f'SELECT {columns} FROM "{declaration.name}"'
    streamed = connection.execution_options(stream_results=True, max_row_buffer=_ROWS_AT_ONCE)
    for batch in streamed.exec_driver_sql(query).partitions(_ROWS_AT_ONCE):
        texts = (
            Array([None if value is None else str(value) for value in values], DataType.string())
            for values in zip(*batch, strict=True)
        )
        yield Table.from_arrays(list(texts), names=column_names(declaration))


def _sum(columns: list[str]) -> str:
    return f"count(*), sum(CAST(hash({', '.join(columns)}) AS HUGEINT))"


def _md5(value: bytes | None) -> str | None:
    return None if value is None else hashlib.md5(value, usedforsecurity=False).hexdigest()
