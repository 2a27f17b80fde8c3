"""What ties an answer to the published version it was made of: its ETag, and 304 where it holds."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version

import sqlalchemy as sa
from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.types import Scope

from warehouse_assets.api.problems import Refusal
from warehouse_assets.warehouse import Warehouse
from warehouse_assets.warehouse.versions import PublishedVersion, PublishedVersions

SECONDS_UNTIL_PUBLISHED = "10"
UNCHANGED = {304: {"description": "What `If-None-Match` names is still the answer."}}
_DIGEST_BYTES = 12
# The same versions may be told in another way by another release.
_RELEASE = version("warehouse_assets").encode()


@dataclass(frozen=True)
class Reading:
    """A transaction that reads, and the headers of the answer that is made of it."""

    connection: sa.Connection
    headers: dict[str, str]


def etag(versions: Iterable[Sequence[object]], scope: Scope, shape: str) -> str:
    """The validator of the answer to a request in a shape, made of these versions of tables."""
    digest = hashlib.blake2b(_RELEASE, digest_size=_DIGEST_BYTES)
    digest.update(repr((*sorted(map(tuple, versions)), target(scope), shape)).encode())
    return f'W/"{digest.hexdigest()}"'


def target(scope: Scope) -> bytes:
    """What is asked for, as it was sent: path and query."""
    path = scope.get("raw_path") or scope["path"].encode("utf-8", "surrogateescape")
    return bytes(path) + b"?" + bytes(scope["query_string"])


def is_unchanged(if_none_match: str, tag: str) -> bool:
    """Whether a header `If-None-Match` names the validator."""
    named = (name.strip().removeprefix("W/") for name in if_none_match.split(","))
    return any(name in {"*", tag.removeprefix("W/")} for name in named)


def headers_of(tag: str) -> dict[str, str]:
    """The headers of an answer whose validator is `tag`."""
    return {"ETag": tag, "Cache-Control": "no-cache", "Vary": "Accept"}


def refuse_unchanged(request: Request, tag: str) -> None:
    """End with 304 if whoever asks has this answer; `*` is of no use before there is one."""
    if_none_match = request.headers.get("if-none-match", "")
    if if_none_match.strip() != "*" and is_unchanged(if_none_match, tag):
        raise HTTPException(304, headers=headers_of(tag))


@contextmanager
def reading(
    request: Request, warehouse: Warehouse, tables: Sequence[sa.Table], shape: str = ""
) -> Iterator[Reading]:
    """One transaction that reads `tables`, for one answer.

    Raises:
        Refusal: one of them has not been published.
        HTTPException: 304, the answer is known to whoever asks.
    """
    with warehouse.read() as connection:
        versions = _versions(warehouse, connection, tables)
        tag = etag(versions, request.scope, shape)
        refuse_unchanged(request, tag)
        yield Reading(connection, headers_of(tag))


def _versions(
    warehouse: Warehouse, connection: sa.Connection, tables: Sequence[sa.Table]
) -> Sequence[PublishedVersion]:
    """The published versions of `tables`.

    Raises:
        Refusal: one of them has not been published.
    """
    versions = PublishedVersions(warehouse).of(connection, [str(table.name) for table in tables])
    published = {version.table for version in versions}
    for table in tables:
        if table.name not in published:
            raise Refusal(
                503,
                f"The table {table.name} has not been published yet. Materialise it and what it "
                "is computed from.",
                Retry_After=SECONDS_UNTIL_PUBLISHED,
            )
    return versions
