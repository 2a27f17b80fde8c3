"""Comparing the rows of a published table with those of the lake, whatever their order.

Each side comes to a number of rows and the sum of a hash of each, both computed by DuckDB, of the
database for some thousands of rows at a time.
"""

from collections.abc import Iterator
from typing import NamedTuple

import duckdb
import sqlalchemy as sa
from arro3.core import Array, DataType, Table
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from warehouse_assets.errors import LakeError
from warehouse_assets.lake import Lake, LakeTable
from warehouse_assets.tables import column_names, duckdb_type, identifiers
from warehouse_assets.warehouse.rows import NUL_REPLACED_BY
from warehouse_assets.warehouse.warehouse import Warehouse, published_version
from warehouse_assets.warehouse.writer import Writer

_ROWS_AT_ONCE = 2_000

_Sum = tuple[int, int]


class Difference(NamedTuple):
    """In what a published table differs from the lake, and whether that is for want of a run."""

    words: str
    is_behind: bool = False


def difference(lake: Lake, warehouse: Warehouse, table: LakeTable) -> Difference | None:
    """In what the warehouse's copy differs from the table as it was published; None if in nothing.

    Raises:
        WarehouseError: the database cannot be read, or something else has the table's name.
        LakeError: the table cannot be read.
        BusyError: the server cannot be reached.
    """
    with warehouse.read() as connection:
        note, handle = published_version(connection, table.name), table.open()
        if note is None or note.lake_table_id != str(handle.metadata().id):
            lost = "What is published is of a table of the lake that is no longer there."
            return Difference(lost if note else "It is not published.", is_behind=True)
        if not Writer(connection, table.declaration).is_as_declared():
            words = "It is missing, or its columns, its key or its indexes are not as declared."
            return Difference(words)
        try:
            with lake.connect() as engine:
                there = _of_warehouse(connection, engine, table.declaration)
        except (duckdb.InvalidInputException, duckdb.ConversionException):
            return Difference("It has values that are not of the types of their columns.")
    here = _of_lake(lake, table, handle)
    if there != here and note.version < handle.version():  # the newest is still to be published
        try:
            handle.load_as_version(note.version)
            here = _of_lake(lake, table, handle)
        except (DeltaError, LakeError):
            return None  # its files are gone, so that the next run writes the table whole
    if there == here:
        return None
    as_many = "as many as the lake, but with other values"
    lake_has = as_many if there[0] == here[0] else f"the lake has {here[0]:,}"
    return Difference(f"It has {there[0]:,} rows, {lake_has}.")


def _of_lake(lake: Lake, table: LakeTable, handle: DeltaTable) -> _Sum:
    with table.reading(), lake.connect() as engine:
        lake.view(engine, table.declaration, handle)
        return _sum(engine, f'"{table.name}"', table.declaration)


def _of_warehouse(
    connection: sa.Connection, engine: duckdb.DuckDBPyConnection, declaration: sa.Table
) -> _Sum:
    rows = total = 0
    for batch in _rows_of(connection, declaration):
        engine.register("_rows", batch)
        count, part = _sum(engine, "_rows", declaration)
        rows, total = rows + count, total + part
    return rows, total


def _rows_of(connection: sa.Connection, declaration: sa.Table) -> Iterator[Table]:
    """The rows of a published table, as texts, thousands at a time."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    names = column_names(declaration)
    query = f'SELECT {identifiers(names)} FROM "{declaration.name}"'
    streamed = connection.execution_options(stream_results=True, max_row_buffer=_ROWS_AT_ONCE)
    for batch in streamed.exec_driver_sql(query).partitions(_ROWS_AT_ONCE):
        texts = (
            Array([None if value is None else str(value) for value in values], DataType.string())
            for values in zip(*batch, strict=True)
        )
        yield Table.from_arrays(list(texts), names=names)


def _sum(engine: duckdb.DuckDBPyConnection, relation: str, declaration: sa.Table) -> _Sum:
    """How many rows a relation has, and the sum of their hashes, whichever side they are of."""
    columns = []
    for column in declaration.columns:
        name = f'"{column.name}"'
        value, missing = f"TRY_CAST({name} AS {duckdb_type(column)})", f"{name} IS NULL"
        if isinstance(column.type, sa.Text):
            value = f"replace({value}, chr(0), chr({NUL_REPLACED_BY}))"
        elif isinstance(column.type, sa.Double):
            # SQLite has neither a number that is none nor a zero below zero.
            missing = f"coalesce(isnan({value}), {missing})"
            value = f"CASE WHEN isnan({value}) THEN NULL ELSE {value} + 0.0 END"
        columns += [value, missing]
    query = f"SELECT count(*), sum(CAST(hash({', '.join(columns)}) AS HUGEINT)) FROM {relation}"
    ((rows, total),) = engine.execute(query).fetchall()
    return rows, total or 0
