"""The rows of any table, in any format: from the warehouse if it is published, else from the lake.

A file of all rows, and any of Parquet and Arrow, whose columns have types, comes from the lake, in
the version that is published: DuckDB writes it without a row passing through Python. A lake that
does not have that version leaves CSV and NDJSON to the warehouse.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import duckdb
import sqlalchemy as sa
from anyio.to_thread import run_sync
from arro3.core import RecordBatchReader
from deltalake import DeltaTable
from fastapi import Request
from fastapi.responses import Response

from warehouse_assets.api.database import PastReading, Reading
from warehouse_assets.api.formats import FILES, TEXTS, Format, text_of
from warehouse_assets.api.problems import Refusal
from warehouse_assets.api.response import (
    answer,
    formatted,
    not_published,
    sent_file,
    text_file,
)
from warehouse_assets.api.selection import ROWS_ON_A_PAGE, Selecting, Selection
from warehouse_assets.api.service import Service, service_of
from warehouse_assets.api.text_in_sql import write_text
from warehouse_assets.errors import BusyError, WarehouseAssetsError
from warehouse_assets.history.as_of import fetch, in_duckdb, tables_at
from warehouse_assets.lake import Lake, open_at
from warehouse_assets.tables import identifiers
from warehouse_assets.warehouse import PublishedVersion

Row = Sequence[Any]
Show = Callable[[Sequence[Row], str | None], Response]
"""Makes the answer of the rows of a page, and of the cursor of the next one."""

_ROWS_AT_ONCE = 2000


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
    is_published = said.as_of is None and service.settings.publishes(table)
    from_lake = partial(_of_lake, service, table, said.as_of)
    is_whole = said.limit is None and selection.place is None
    if format_ in FILES and (is_whole or format_ not in TEXTS):
        version = await _published(request, table) if is_published else None
        is_in_postgresql = is_published and not service.warehouse.is_sqlite
        make_file = partial(
            _file, request, format_, selection, said.limit, service.lake, is_in_postgresql
        )
        try:
            return await run_sync(from_lake, version, make_file)
        except (Refusal, WarehouseAssetsError):
            # Without that version, or without memory to sort it, there is the warehouse.
            if version is None or format_ not in TEXTS:
                raise
        return await answer(request, [table], partial(_text, request, format_, selection))
    make = partial(_page, request, format_, selection, said.limit or ROWS_ON_A_PAGE, show)
    if is_published:
        return await answer(request, [table], make, selection.is_of_one_row)
    return await run_sync(from_lake, None, make)


def _text(request: Request, format_: Format, selection: Selection, reading: Reading) -> Response:
    """A file of all rows, which come through Python."""
    width, query = len(selection.columns), selection.query(reading.dialect)
    rows = reading.connection.execution_options(yield_per=_ROWS_AT_ONCE).execute(query)
    pieces = text_of(format_, selection.names, (row[:width] for row in rows))
    return sent_file(request, str(selection.table.name), format_, text_file(pieces))


def _page(
    request: Request,
    format_: Format,
    selection: Selection,
    limit: int,
    show: Show,
    reading: Reading | PastReading,
) -> Response:
    _, found = fetch(reading.connection, selection.query(reading.dialect, limit + 1))
    page, following = selection.page(found, limit)
    if format_ in FILES:
        return formatted(request, format_, None, selection.names, page, following)
    return show(page, following)


def _of_lake(
    service: Service,
    table: sa.Table,
    as_of: str | None,
    version: PublishedVersion | None,
    make: Callable[[PastReading], Response],
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
                return make(PastReading(connection))
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


async def _published(request: Request, table: sa.Table) -> PublishedVersion:
    """The version of a table that is published, of which the answer is made then."""
    return await answer(request, [table], lambda reading: reading.versions[0])


def _file(
    request: Request,
    format_: Format,
    selection: Selection,
    limit: int | None,
    lake: Lake,
    is_in_postgresql: bool,
    reading: PastReading,
) -> Response:
    """A file of rows, which DuckDB writes; pages of them lead on as those of JSON do."""
    following = None
    if limit is not None:
        _, found = fetch(reading.connection, selection.query(reading.dialect, limit + 1))
        following = selection.page(found, limit)[1]
    statement, values = in_duckdb(selection.query(reading.dialect, limit))
    rows = reading.connection.sql(statement, params=values).select(identifiers(selection.names))
    with lake.scratch_folder() as folder:
        # Its name goes with the folder, and the file when it is closed.
        path = folder / "rows"
        if format_ == "parquet":
            rows.write_parquet(str(path))
        elif format_ == "arrow":
            from arro3.io import write_ipc_stream

            write_ipc_stream(RecordBatchReader.from_stream(rows), path)
        else:
            write_text(rows, selection.columns, format_ == "csv", path, is_in_postgresql)
        file = path.open("rb")
    return sent_file(request, str(selection.table.name), format_, file, following)
