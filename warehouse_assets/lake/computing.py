"""Where the SELECT of a table runs: in DuckDB here, or on a Spark Connect server.

Both are told what the SELECT reads, by name, and give rows that the write modes take. The server
(Spark, Databricks, EMR, Sail) reads Parquet files of the lake and writes its result beside those
of the table; nothing of it belongs to the table until it is committed here. So it must reach the
lake by the same paths as this process does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

import duckdb
from sqlalchemy import Table

from warehouse_assets.crash_points import crash_point
from warehouse_assets.lake.files import Rows, WrittenRows, adopt_parquet
from warehouse_assets.lake.lake import Lake
from warehouse_assets.lake.storage import Place, remove_folder
from warehouse_assets.lake.table import LakeTable
from warehouse_assets.lake.touched import Touched
from warehouse_assets.tables import WEEK, aggregates, key_names, spark_types, week_of

if TYPE_CHECKING:
    from pyspark.sql.connect.dataframe import DataFrame
    from pyspark.sql.connect.session import SparkSession


class Computation(Protocol):
    """One SELECT and what it reads."""

    def read(self, declaration: Table, names: Sequence[str], only: Touched | None = None) -> None:
        """Have the SELECT find the rows of some files of a table under the table's name.

        Args:
            names: of files of the table, as Delta has them.
            only: which rows are read, if not all.
        """

    def read_relation(self, name: str, query: str) -> None:
        """Have the SELECT find under `name` what `query` gives in DuckDB."""

    def rows(self, query: str) -> Rows:
        """The rows of the SELECT `query`, for a write mode."""


@contextmanager
def computing(
    lake: Lake, connection: duckdb.DuckDBPyConnection, table: LakeTable
) -> Iterator[Computation]:
    """A computation of `table`, on the lake's server if it has one.

    Raises:
        EngineError: the server does not answer, or refuses the SELECT.
    """
    server = lake.server
    if server is None:
        yield _InDuckDB(lake, connection)
        return
    folder = table.path / f"computing-{uuid4()}"
    if isinstance(folder, Path):
        folder.mkdir()
    try:
        with server.explained():
            yield _OnSpark(lake, connection, table, server.session(), folder)
    finally:
        remove_folder(folder)


class _InDuckDB:
    def __init__(self, lake: Lake, connection: duckdb.DuckDBPyConnection) -> None:
        self._lake = lake
        self._connection = connection

    def read(self, declaration: Table, names: Sequence[str], only: Touched | None = None) -> None:
        name = str(declaration.name)
        files = self._lake.table(declaration).paths(names)
        self._lake.view_rows(self._connection, declaration, files, "_all" if only else name)
        if only is not None:
            self.read_relation(name, only.rows(declaration, "_all"))

    def read_relation(self, name: str, query: str) -> None:
        self._connection.execute(f'CREATE OR REPLACE VIEW "{name}" AS {query}')

    def rows(self, query: str) -> Rows:
        return query


class _OnSpark:
    def __init__(
        self,
        lake: Lake,
        connection: duckdb.DuckDBPyConnection,
        table: LakeTable,
        session: SparkSession,
        folder: Place,
    ) -> None:
        self._lake = lake
        self._connection = connection
        self._table = table
        self._session = session
        self._folder = folder

    def read(self, declaration: Table, names: Sequence[str], only: Touched | None = None) -> None:
        path, types = self._lake.table(declaration).path, spark_types(declaration)
        schema = ", ".join(f"`{name}` {kind}" for name, kind in types.items())
        # Files older than a column lack it: with the schema it is null there.
        frame = (
            self._session.read.schema(schema).parquet(*(str(path / name) for name in names))
            if names
            else self._session.createDataFrame([], schema)
        )
        if partial := aggregates(declaration):
            from pyspark.sql.connect import functions

            frame = frame.groupBy(*key_names(declaration)).agg(
                *(
                    getattr(functions, how)(name).cast(types[name]).alias(name)
                    for name, how in partial.items()
                )
            )
        if only is not None:
            if only.weeks is not None:
                frame = frame.selectExpr("*", f"{week_of(declaration)} AS {WEEK}")
            touched = self._exported(f"FROM {only.relation}")
            frame = frame.join(touched, only.columns, "leftsemi")
        frame.createOrReplaceTempView(str(declaration.name))

    def read_relation(self, name: str, query: str) -> None:
        self._exported(query).createOrReplaceTempView(name)

    def rows(self, query: str) -> Rows:
        output = self._folder / "output"
        frame = self._session.sql(query)
        types = spark_types(self._table.declaration)
        frame = frame.select(*(frame[name].cast(kind) for name, kind in types.items()))
        if self._table.is_by_week():
            week = f"{week_of(self._table.declaration)} AS {WEEK}"
            frame.selectExpr("*", week).write.partitionBy(WEEK).parquet(str(output))
        else:
            frame.write.parquet(str(output))
        crash_point("computed by an engine", self._table.name)
        files = adopt_parquet(self._connection, self._table, output)
        paths = self._table.paths(file.action.path for file in files)
        self._lake.view_files(self._connection, self._table.declaration, paths, "_computed")
        return WrittenRows(files, "FROM _computed")

    def _exported(self, query: str) -> DataFrame:
        path = str(self._folder / f"{uuid4()}.parquet")
        self._connection.execute(f"COPY ({query}) TO ? (FORMAT parquet)", [path])
        return self._session.read.parquet(path)
