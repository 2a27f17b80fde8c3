"""Answers made of published tables, in one transaction: of one version of each of them."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from tempfile import SpooledTemporaryFile
from urllib.parse import urlencode

import sqlalchemy as sa
from fastapi import Request
from fastapi.responses import Response, StreamingResponse
from starlette.types import Scope

from warehouse_assets.api.database import Reading
from warehouse_assets.api.deps import service_of
from warehouse_assets.api.formats import Content
from warehouse_assets.api.problems import Refusal
from warehouse_assets.warehouse import PublishedVersion

_SECONDS_UNTIL_PUBLISHED = "10"
_CHARACTERS_AT_ONCE = 64 * 1024


async def answer(
    request: Request,
    tables: Sequence[sa.Table],
    make: Callable[[Reading], Content],
    is_short: bool = False,
) -> Response:
    """The answer that `make` makes of `tables` in one transaction.

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
        return sent(request, make(reading))

    return await service_of(request).database.read(names, work, is_short)


def versions_of(scope: Scope) -> Sequence[PublishedVersion] | None:
    """The versions of the tables that an answer was made of; None if of no published ones."""
    found: Sequence[PublishedVersion] | None = scope["state"].get("versions")
    return found


def sent(request: Request, content: Content) -> Response:
    """The answer that has `content`, with an ETag by which it is known again."""
    digest = hashlib.blake2b(digest_size=12)
    for piece in [content.body] if isinstance(content.body, bytes) else _pieces(content.body):
        digest.update(piece)
    headers = {
        "Content-Type": content.media_type,
        "ETag": f'W/"{digest.hexdigest()}"',
        "Cache-Control": "no-cache",
        "Vary": "Accept",
    }
    if content.next is not None:
        query = urlencode({**request.query_params, "after": content.next})
        headers["Link"] = f'<?{query}>; rel="next"'
    if isinstance(content.body, bytes):
        return Response(content.body, headers=headers)
    return StreamingResponse(_closing(content.body), headers=headers)


def _pieces(file: SpooledTemporaryFile[str]) -> Iterator[bytes]:
    file.seek(0)
    while piece := file.read(_CHARACTERS_AT_ONCE):
        yield piece.encode()


def _closing(file: SpooledTemporaryFile[str]) -> Iterator[bytes]:
    with file:
        yield from _pieces(file)
