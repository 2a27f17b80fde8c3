"""Answers as JSON or CSV, whichever a request wants, with an ETag by which each is known again.

Those of published tables are made in one transaction: of one version of each table.
"""

import csv
import hashlib
import io
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import date, datetime
from decimal import Decimal
from tempfile import SpooledTemporaryFile
from types import GenericAlias
from typing import IO, Annotated, Any, Literal
from urllib.parse import urlencode

import duckdb
import pydantic_core
import sqlalchemy as sa
from anyio.to_thread import run_sync
from fastapi import Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, Field, WithJsonSchema, create_model
from starlette.types import Scope

from warehouse_assets.api.database import Reading
from warehouse_assets.api.problems import Refusal
from warehouse_assets.api.service import service_of
from warehouse_assets.errors import UsageError
from warehouse_assets.history.as_of import handles_of, read_moment, view
from warehouse_assets.warehouse import PublishedVersion

Format = Literal["json", "csv"]
Connection = sa.Connection | duckdb.DuckDBPyConnection
"""What an answer is read from: the warehouse, or the lake."""

UNCHANGED: Any = {304: {"description": "What `If-None-Match` names is still the answer."}}
"""The description of the answer to who knows it already, for the `responses` of a route."""

# In JSON Schema "date-time" has a zone; this is OpenAPI's name for one without.
TimeWithoutZone = Annotated[
    datetime, WithJsonSchema({"type": "string", "format": "date-time-local"})
]
_MEDIA_TYPES: Mapping[Format, str] = {"json": "application/json", "csv": "text/csv; charset=utf-8"}
_SECONDS_UNTIL_PUBLISHED = "10"
_CHARACTERS_AT_ONCE = 64 * 1024
_BYTES_IN_MEMORY = 4 * 1024 * 1024


def preferred(accept: str) -> Format:
    """CSV if the header `Accept` says that it is liked more than JSON."""
    if "csv" not in accept.lower():
        return "json"
    likings = dict(_liking(part) for part in accept.lower().split(","))
    anything = likings.get("*/*", 0.0)
    csv_liking = likings.get("text/csv", likings.get("text/*", anything))
    json_liking = likings.get("application/json", likings.get("application/*", anything))
    return "csv" if csv_liking > json_liking else "json"


def _liking(part: str) -> tuple[str, float]:
    media_type, *parameters = (piece.strip() for piece in part.split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return media_type, float(parameter[2:])
            except ValueError:
                return media_type, 0.0
    return media_type, 1.0


class Formatted(BaseModel):
    """The parameter of an answer that there is in both formats."""

    format: Format | None = Field(
        None, description="Format of the answer; by default what `Accept` says."
    )

    def wanted(self, request: Request) -> Format:
        """The format that a request wants: what its parameter says, or else `Accept`."""
        return self.format or preferred(request.headers.get("accept", ""))


def row_model(name: str, columns: Mapping[str, sa.Column[Any]], **others: Any) -> type[BaseModel]:
    """The description of a row that is answered: a model with the columns' types and comments.

    Args:
        columns: each by the name that it has in the answer.
        others: fields as of `pydantic.create_model`, instead of those of columns or after them.
    """
    fields: dict[str, Any] = {}
    for field, column in columns.items():
        kind = TimeWithoutZone if column.type.python_type is datetime else column.type.python_type
        fields[field] = (
            kind | None if column.nullable else kind,
            Field(description=column.comment),
        )
    return create_model(name, __doc__=f"A row of {name}.", **{**fields, **others})


def page_model(name: str, row: type[BaseModel], **others: Any) -> type[BaseModel]:
    """The description of a page that has rows under `name`, after `others`, and leads on."""
    following = Field(description="`after` of the next page; null on the last one.")
    rows: Any = GenericAlias(list, (row,))
    fields: dict[str, Any] = {**others, name: (rows, ...), "next": (str | None, following)}
    return create_model(name.capitalize(), __doc__=f"A page of {name}.", **fields)


def in_both_formats(csv_example: str, text: str) -> Any:
    """The description of an answer in both formats, for the `responses` of a route."""
    changes = "Changes with the answer, which it does when a table is published anew."
    answered = {
        "description": text,
        "headers": {"ETag": {"description": changes, "schema": {"type": "string"}}},
        "content": {"text/csv": {"schema": {"type": "string"}, "example": csv_example}},
    }
    return {200: answered, **UNCHANGED}


def plain(value: Any) -> Any:
    """A value as JSON has it: times are text, and what is no number is null."""
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


async def answer(
    request: Request,
    tables: Sequence[sa.Table],
    make: Callable[[Reading], Response],
    is_short: bool = False,
) -> Response:
    """What `make` makes of `tables` in one transaction.

    Args:
        is_short: it may be made in less time than it takes to hand it to a thread.

    Raises:
        Refusal: one of the tables has not been published.
        WarehouseAssetsError: the warehouse cannot be read.
    """
    names = [str(table.name) for table in tables]

    def work(reading: Reading) -> Response:
        request.scope["state"]["versions"] = reading.versions
        published = {found.table for found in reading.versions}
        for name in names:
            if name not in published:
                raise Refusal(
                    503,
                    f"The table {name} has not been published yet. Materialise it and what it is "
                    "computed from.",
                    Retry_After=_SECONDS_UNTIL_PUBLISHED,
                )
        return make(reading)

    return await service_of(request).database.read(names, work, is_short)


async def answer_as_of(
    request: Request,
    tables: Sequence[sa.Table],
    as_of: str | None,
    make: Callable[[Connection], Response],
) -> Response:
    """As `answer`, or what `make` makes of the tables in the lake as they were published once.

    Raises:
        UsageError: `as_of` means nothing, or a time to come.
        GoneError: what there was then is no longer kept.
    """
    if as_of is None:
        return await answer(request, tables, lambda reading: make(reading.connection))
    service = service_of(request)

    def made() -> Response:
        handles = handles_of(
            service.lake, service.warehouse, read_moment(service.lake, as_of), tables
        )
        for name, handle in handles.items():
            if handle is None:
                raise UsageError(f"There was no {name} yet at {as_of}.")
        with service.lake.connect() as connection:
            view(service.lake, connection, tables, handles)
            return make(connection)

    return await run_sync(made)


def versions_of(scope: Scope) -> Sequence[PublishedVersion] | None:
    """The versions of the tables that an answer was made of; None if of no published ones."""
    found: Sequence[PublishedVersion] | None = scope["state"].get("versions")
    return found


def formatted(
    request: Request,
    format_: Format,
    value: object,
    names: Sequence[str],
    rows: Iterable[Sequence[Any]],
    following: str | None = None,
) -> Response:
    """`value` as JSON, or `rows` as CSV (RFC 4180) with a heading.

    Args:
        following: the cursor of the next page, if there is one.
    """
    if format_ == "json":
        body = pydantic_core.to_json(value, inf_nan_mode="null")
    else:
        text = io.StringIO(newline="")
        _write_csv(text, names, rows)
        body = text.getvalue().encode()
    return sent(request, body, _MEDIA_TYPES[format_], following)


def long_csv(
    request: Request, names: Sequence[str], rows: Iterable[Sequence[Any]]
) -> StreamingResponse:
    """Rows as CSV, by way of a file if they are many: a slow client would hold up others."""
    with ExitStack() as stack:
        file = stack.enter_context(
            SpooledTemporaryFile(_BYTES_IN_MEMORY, "w+", encoding="utf-8", newline="")
        )
        _write_csv(file, names, rows)
        headers = _headers(request, _MEDIA_TYPES["csv"], _pieces(file))
        stack.pop_all()  # who sends it closes it

    def closing() -> Iterator[bytes]:
        with file:
            yield from _pieces(file)

    return StreamingResponse(closing(), headers=headers)


def reply(told: BaseModel, status: int = 200, **headers: str) -> Response:
    """The answer that tells `told`, which is not kept."""
    body = told.model_dump_json(by_alias=True)
    return Response(body, status, headers, media_type="application/json")


def sent(request: Request, body: bytes, media_type: str, following: str | None = None) -> Response:
    """The answer that has `body`, and leads to the page of the cursor `following`."""
    return Response(body, headers=_headers(request, media_type, [body], following))


def _headers(
    request: Request, media_type: str, pieces: Iterable[bytes], following: str | None = None
) -> dict[str, str]:
    digest = hashlib.blake2b(digest_size=12)
    for piece in pieces:
        digest.update(piece)
    headers = {
        "Content-Type": media_type,
        "ETag": f'W/"{digest.hexdigest()}"',
        "Cache-Control": "no-cache",
        "Vary": "Accept",
    }
    if following is not None:
        query = urlencode({**request.query_params, "after": following})
        headers["Link"] = f'<?{query}>; rel="next"'
    return headers


def _write_csv(stream: IO[str], names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write rows with a heading; null is nothing between the commas."""
    writer = csv.writer(stream)
    writer.writerow(names)
    writer.writerows([plain(value) for value in row] for row in rows)


def _pieces(file: IO[str]) -> Iterator[bytes]:
    file.seek(0)
    while piece := file.read(_CHARACTERS_AT_ONCE):
        yield piece.encode()
