"""Answers in the format that a request wants, with an ETag by which each is known again.

Those of published tables are made in one transaction: of one version of each table.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from tempfile import SpooledTemporaryFile
from types import GenericAlias
from typing import IO, Annotated, Any, TypeVar
from urllib.parse import urlencode

import pydantic_core
import sqlalchemy as sa
from anyio.to_thread import run_sync
from fastapi import Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, Field, WithJsonSchema, create_model
from starlette.types import Scope

from warehouse_assets.api.database import PastReading, Reading
from warehouse_assets.api.formats import MEDIA_TYPES, Format, text_of
from warehouse_assets.api.former import named
from warehouse_assets.api.problems import Refusal
from warehouse_assets.api.service import service_of
from warehouse_assets.history.as_of import tables_at, view
from warehouse_assets.warehouse import PublishedVersion

T = TypeVar("T")

UNCHANGED: Any = {304: {"description": "What `If-None-Match` names is still the answer."}}
"""The description of the answer to who knows it already, for the `responses` of a route."""

# In JSON Schema "date-time" has a zone; this is OpenAPI's name for one without.
TimeWithoutZone = Annotated[
    datetime, WithJsonSchema({"type": "string", "format": "date-time-local"})
]
_SECONDS_UNTIL_PUBLISHED = "10"
_BYTES_AT_ONCE = 64 * 1024
_BYTES_IN_MEMORY = 4 * 1024 * 1024


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
    """The description of a page that has `items` after `others`, and leads on."""
    following = Field(description="`after` of the next page; null on the last one.")
    rows: Any = GenericAlias(list, (row,))
    fields: dict[str, Any] = {**others, "items": (rows, ...), "next": (str | None, following)}
    return create_model(name, __doc__=f"A page of {name.lower()}.", **fields)


def in_formats(formats: Sequence[Format], text: str) -> Any:
    """The description of an answer in some formats, for the `responses` of a route."""
    changes = "Changes with the answer, which it does when a table is published anew."
    types = (MEDIA_TYPES[format_].partition(";")[0] for format_ in formats if format_ != "json")
    answered = {
        "description": text,
        "headers": {"ETag": {"description": changes, "schema": {"type": "string"}}},
        "content": {media_type: {"schema": {"type": "string"}} for media_type in types},
    }
    return {200: answered, **UNCHANGED}


def in_both_formats(csv_example: str, text: str) -> Any:
    """As `in_formats`, of JSON and CSV."""
    found = in_formats(["csv"], text)
    found[200]["content"]["text/csv"]["example"] = csv_example
    return found


async def answer(
    request: Request,
    tables: Sequence[sa.Table],
    make: Callable[[Reading], T],
    is_short: bool = False,
) -> T:
    """What `make` makes of `tables` in one transaction.

    Args:
        is_short: it may be made in less time than it takes to hand it to a thread.

    Raises:
        Refusal: one of the tables has not been published.
        WarehouseAssetsError: the warehouse cannot be read.
    """
    names = [str(table.name) for table in tables]

    def work(reading: Reading) -> T:
        request.scope["state"]["versions"] = reading.versions
        published = {found.table for found in reading.versions}
        for name in names:
            if name not in published:
                raise not_published(name)
        return make(reading)

    return await service_of(request).database.read(names, work, is_short)


async def answer_as_of(
    request: Request,
    tables: Sequence[sa.Table],
    as_of: str | None,
    make: Callable[[Reading | PastReading], Response],
    is_short: bool = False,
) -> Response:
    """As `answer`, or what `make` makes of the tables in the lake as they were published once.

    Raises:
        UsageError: `as_of` means nothing, or a time when one of the tables was not there.
        GoneError: what there was then is no longer kept.
    """
    if as_of is None:
        return await answer(request, tables, make, is_short)
    service = service_of(request)

    def made() -> Response:
        handles = tables_at(service.lake, service.warehouse, as_of, tables)
        with service.lake.connect() as connection:
            view(service.lake, connection, tables, handles)
            return make(PastReading(connection))

    return await run_sync(made)


def not_published(name: str) -> Refusal:
    """What is said of a table that is not there yet."""
    return Refusal(
        503,
        f"The table {name} has not been published yet. Materialise it and what it is "
        "computed from.",
        Retry_After=_SECONDS_UNTIL_PUBLISHED,
    )


def versions_of(scope: Scope) -> Sequence[PublishedVersion] | None:
    """The versions of the tables that an answer was made of; None if of no published ones."""
    found: Sequence[PublishedVersion] | None = scope["state"].get("versions")
    return found


def formatted(
    request: Request,
    format_: Format,
    value: object,
    names: Iterable[str],
    rows: Iterable[Sequence[Any]],
    following: str | None = None,
) -> Response:
    """`value` as JSON, or `rows` as CSV or NDJSON.

    Args:
        following: the cursor of the next page, if there is one.
    """
    value, names = named(request, value, names)
    if format_ == "json":
        body = pydantic_core.to_json(value, inf_nan_mode="null")
    else:
        body = b"".join(text_of(format_, list(names), rows))
    return sent(request, body, MEDIA_TYPES[format_], following)


def text_file(pieces: Iterable[bytes]) -> IO[bytes]:
    """A temporary file of all pieces, in memory if it is small: a slow client holds up nobody."""
    with ExitStack() as stack:
        file = stack.enter_context(SpooledTemporaryFile(_BYTES_IN_MEMORY))
        file.writelines(pieces)
        stack.pop_all()
    return file


def sent_file(
    request: Request, name: str, format_: Format, file: IO[bytes], following: str | None = None
) -> StreamingResponse:
    """The answer that has a file, which is closed when it is sent, to be saved under a name."""
    headers = _headers(request, MEDIA_TYPES[format_], _pieces(file), following)
    headers["Content-Length"] = str(file.tell())
    headers["Content-Disposition"] = f'attachment; filename="{name}.{format_}"'

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


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while piece := file.read(_BYTES_AT_ONCE):
        yield piece
