"""Answers made of published tables: of one version of them, which their ETag stands for."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TypeVar

import sqlalchemy as sa
from fastapi import Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.types import Scope

from warehouse_assets.api.database import Lookup, Reading
from warehouse_assets.api.deps import service_of
from warehouse_assets.api.problems import Refusal
from warehouse_assets.warehouse.notes import PublishedVersion

UNCHANGED = {304: {"description": "What `If-None-Match` names is still the answer."}}
_SECONDS_UNTIL_PUBLISHED = "10"
_DIGEST_BYTES = 12
# The same versions may be told in another way by another release.
_RELEASE = version("warehouse_assets").encode()
R = TypeVar("R", bound=Lookup)


@dataclass(frozen=True)
class Content:
    """What is answered.

    Args:
        link: the query of the next page, if there is one.
    """

    body: bytes
    media_type: str
    link: str | None = None


async def answer(
    request: Request,
    tables: Sequence[sa.Table],
    make: Callable[[Reading], Content | Response],
    variant: str = "",
) -> Response:
    """The answer that `make` makes of `tables` in one transaction.

    Args:
        variant: what it depends on beside the tables, the path and the query.

    Raises:
        Refusal: one of the tables has not been published.
        HTTPException: 304, the answer is known to whoever asks.
        WarehouseAssetsError: the warehouse cannot be read.
    """
    names = [str(table.name) for table in tables]
    return await service_of(request).database.read(names, _work(request, names, make, variant))


async def answer_short(
    request: Request, table: sa.Table, make: Callable[[Lookup], Content], variant: str = ""
) -> Response:
    """The same, of what may be made in less time than it takes to hand it to a thread."""
    names = [str(table.name)]
    return await service_of(request).database.look_up(names, _work(request, names, make, variant))


def _work(
    request: Request,
    names: Sequence[str],
    make: Callable[[R], Content | Response],
    variant: str,
) -> Callable[[R], Response]:
    def work(reading: R) -> Response:
        request.scope["state"]["versions"] = reading.versions
        _check_published(names, reading.versions)
        tag = etag(reading.versions, request.scope, variant)
        refuse_unchanged(request, tag)
        made = make(reading)
        refuse_unchanged(request, tag, is_made=True)
        if isinstance(made, Content):
            return Response(made.body, headers={**_headers(made), **headers_of(tag)})
        made.headers.update(headers_of(tag))
        return made

    return work


def versions_of(scope: Scope) -> Sequence[PublishedVersion] | None:
    """The versions of the tables that an answer was made of; None if of no published ones."""
    found: Sequence[PublishedVersion] | None = scope["state"].get("versions")
    return found


def etag(versions: Iterable[Sequence[object]], scope: Scope, variant: str) -> str:
    """The validator of the answer to a request, made of these versions of tables."""
    digest = hashlib.blake2b(_RELEASE, digest_size=_DIGEST_BYTES)
    digest.update(repr((*map(tuple, versions), target(scope), variant)).encode())
    return f'W/"{digest.hexdigest()}"'


def target(scope: Scope) -> bytes:
    """What is asked for, as it was sent: path and query."""
    return bytes(scope["raw_path"]) + b"?" + bytes(scope["query_string"])


def is_unchanged(if_none_match: str, tag: str) -> bool:
    """Whether a header `If-None-Match` names the validator."""
    named = (name.strip().removeprefix("W/") for name in if_none_match.split(","))
    return any(name in {"*", tag.removeprefix("W/")} for name in named)


def headers_of(tag: str) -> dict[str, str]:
    """The headers of an answer whose validator is `tag`."""
    return {"ETag": tag, "Cache-Control": "no-cache", "Vary": "Accept"}


def refuse_unchanged(request: Request, tag: str, is_made: bool = False) -> None:
    """End with 304 if whoever asks has this answer; `*` is any, once one could be made."""
    if_none_match = request.headers.get("if-none-match", "").strip()
    if if_none_match in {"", "*"} and not is_made:
        return
    if if_none_match and is_unchanged(if_none_match, tag):
        raise HTTPException(304, headers=headers_of(tag))


def _headers(content: Content) -> dict[str, str]:
    headers = {"Content-Type": content.media_type}
    if content.link:
        headers["Link"] = f'<?{content.link}>; rel="next"'
    return headers


def _check_published(names: Sequence[str], versions: Sequence[PublishedVersion]) -> None:
    published = {found.table for found in versions}
    for name in names:
        if name not in published:
            raise Refusal(
                503,
                f"The table {name} has not been published yet. Materialise it and what it is "
                "computed from.",
                Retry_After=_SECONDS_UNTIL_PUBLISHED,
            )
