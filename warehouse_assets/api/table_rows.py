"""The rows of any table, in any format: from the warehouse if it is published, else from the lake.

As Parquet and Arrow, whose columns have types, a table comes from the lake, in the version that is
published: DuckDB writes them without a row passing through Python.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

import duckdb
import sqlalchemy as sa
from anyio.to_thread import run_sync
from arro3.core import RecordBatchReader
from deltalake import DeltaTable
from fastapi import Request
from fastapi.responses import Response

from warehouse_assets.api.database import Reading
from warehouse_assets.api.formats import FILES, Format, text_of
from warehouse_assets.api.problems import Refusal
from warehouse_assets.api.response import answer, formatted, not_published, sent_file, text_file
from warehouse_assets.api.selection import ROWS_ON_A_PAGE, Selecting, Selection
from warehouse_assets.api.service import Service, service_of
from warehouse_assets.errors import BusyError
from warehouse_assets.history.as_of import in_duckdb, tables_at
from warehouse_assets.lake import Lake, open_at
from warehouse_assets.tables import identifiers
from warehouse_assets.warehouse import PublishedVersion

Row = Sequence[Any]
Show = Callable[[Sequence[Row], str | None], Response]
"""Makes the answer of the rows of a page, and of the cursor of the next one."""

_ROWS_AT_ONCE = 2000
_WRITTEN_BY_DUCKDB = frozenset({"parquet", "arrow"})


@dataclass(frozen=True)
class _Rows:
    """Where the rows of a table are read.

    Args:
        dialect: the kind of SQL of `read`, which gives the rows of a selection, at most so many.
    """

    dialect: str
    read: Callable[[sa.Select[Any], bool], Iterator[Row]]


async def answer_of_rows(
    request: Request, format_: Format, selection: Selection, said: Selecting, show: Show
) -> Response:
    """The answer of the rows that are selected: a page of them, or a file of all.

    Args:
        show: makes the answer in a format that is no file's.

    Raises:
        Refusal: the table has not been published.
        WarehouseAssetsError: the warehouse or the lake cannot be read, or not as of that moment.
    """
    service, table = service_of(request), selection.table
    if format_ in _WRITTEN_BY_DUCKDB:
        version = await _published(service, table) if said.as_of is None else None
        make_typed = partial(_typed_file, request, format_, selection, said.limit, service.lake)
        return await run_sync(_of_lake, service, table, said.as_of, version, make_typed)
    if format_ in FILES and said.limit is None and selection.place is None:
        make = partial(_whole, request, format_, selection)
    else:
        make = partial(_page, request, format_, selection, said.limit or ROWS_ON_A_PAGE, show)
    if said.as_of is None and service.settings.publishes(table):
        return await answer(request, [table], lambda reading: make(_of_warehouse(reading)))
    return await run_sync(
        _of_lake, service, table, said.as_of, None, lambda connection: make(_of_duckdb(connection))
    )


def _whole(request: Request, format_: Format, selection: Selection, rows: _Rows) -> Response:
    width, every = len(selection.columns), rows.read(selection.query(rows.dialect), True)
    pieces = text_of(format_, selection.names, (row[:width] for row in every))
    return sent_file(request, str(selection.table.name), format_, text_file(pieces))


def _page(
    request: Request, format_: Format, selection: Selection, limit: int, show: Show, rows: _Rows
) -> Response:
    found = list(rows.read(selection.query(rows.dialect, limit + 1), False))
    page, following = selection.page(found, limit)
    if format_ in FILES:
        return formatted(request, format_, None, selection.names, page, following)
    return show(page, following)


def _of_warehouse(reading: Reading) -> _Rows:
    def read(query: sa.Select[Any], are_many: bool) -> Iterator[Row]:
        at_once = {"yield_per": _ROWS_AT_ONCE} if are_many else {}
        yield from reading.connection.execution_options(**at_once).execute(query)

    return _Rows(reading.dialect, read)


def _of_duckdb(connection: duckdb.DuckDBPyConnection) -> _Rows:
    def read(query: sa.Select[Any], are_many: bool) -> Iterator[Row]:
        connection.execute(*in_duckdb(query))
        while rows := connection.fetchmany(_ROWS_AT_ONCE):
            yield from rows

    return _Rows("duckdb", read)


def _of_lake(
    service: Service,
    table: sa.Table,
    as_of: str | None,
    version: PublishedVersion | None,
    make: Callable[[duckdb.DuckDBPyConnection], Response],
) -> Response:
    """What `make` makes of a table in the lake: as of a moment, in a version, or as it is.

    Raises:
        Refusal: it is not in the lake.
        WarehouseAssetsError: it cannot be read, or reading it takes more memory than there is.
    """
    handle = _handle(service, table, as_of, version)
    with service.lake.connect() as connection:
        service.lake.view(connection, table, handle)
        try:
            with service.lake.table(table).reading():
                return make(connection)
        except duckdb.OutOfMemoryException as error:
            raise BusyError(
                f"Reading {table.name} so takes more memory or disk than there is (setting "
                "MEMORY_LIMIT): ask for fewer rows by conditions."
            ) from error


def _handle(
    service: Service, table: sa.Table, as_of: str | None, version: PublishedVersion | None
) -> DeltaTable:
    lake = service.lake
    if as_of is not None:
        return tables_at(lake, service.warehouse, as_of, [table])[str(table.name)]
    newest = lake.table(table).open_existing()
    if version is None and newest is None:
        raise not_published(str(table.name))
    if version is None or newest is None:
        found = newest
    else:
        is_it = str(newest.metadata().id) == version.lake_table_id
        found = open_at(lake.table(table), version.version) if is_it else None
    if found is None:
        raise Refusal(
            503,
            f"The lake here does not have the {table.name} that is published. Ask for CSV or "
            "NDJSON, which come from the warehouse.",
            Retry_After="60",
        )
    return found


async def _published(service: Service, table: sa.Table) -> PublishedVersion | None:
    """The version of a table that is published; None if it is in the lake only."""
    if not service.settings.publishes(table):
        return None
    versions = await service.database.read([str(table.name)], lambda reading: reading.versions)
    if not versions:
        raise not_published(str(table.name))
    return versions[0]


def _typed_file(
    request: Request,
    format_: Format,
    selection: Selection,
    limit: int | None,
    lake: Lake,
    connection: duckdb.DuckDBPyConnection,
) -> Response:
    """Rows as Parquet, or as a stream of Arrow; pages of them lead on as those of JSON do."""
    following = None
    if limit is not None:
        found = connection.execute(*in_duckdb(selection.query("duckdb", limit + 1))).fetchall()
        following = selection.page(found, limit)[1]
    statement, values = in_duckdb(selection.query("duckdb", limit))
    rows = connection.sql(statement, params=values).select(identifiers(selection.names))
    with lake.scratch_folder() as folder:
        # Its name goes with the folder, and the file when it is closed.
        file = _written(format_, rows, folder / "rows")
    return sent_file(request, str(selection.table.name), format_, file, following)


def _written(format_: Format, rows: duckdb.DuckDBPyRelation, path: Path) -> IO[bytes]:
    if format_ == "parquet":
        rows.write_parquet(str(path))
        return path.open("rb")
    from arro3.io import write_ipc_stream

    file = path.open("w+b")
    write_ipc_stream(RecordBatchReader.from_stream(rows), file)
    return file
