"""Answers about reviews without a detour: many are asked for, each takes microseconds.

An answer is kept until something is published, and never longer; how that is known is the business
of the connection. A request that is in any way unusual is left to its route, which says what is
wrong with it.
"""

import logging
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from starlette.types import Scope

from warehouse_assets.api.ids import LONGEST, decoded, split
from warehouse_assets.api.kept_connections import KeptConnections, UnreachableError
from warehouse_assets.api.metrics import Metrics
from warehouse_assets.api.reviewed import (
    MOST_REVIEWS_ON_A_PAGE,
    PageAsked,
    Question,
    SummaryAsked,
    Told,
    day_of,
    place_of,
)
from warehouse_assets.api.shapes import MEDIA_TYPES, Shape, preferred
from warehouse_assets.api.validators import etag, headers_of, is_unchanged, target
from warehouse_assets.days import ANY_DAY, Days
from warehouse_assets.reviews.answers import PRODUCT, USER, Execute
from warehouse_assets.warehouse.publish import PUBLISHED

MOST_BYTES_KEPT = 128 * 1024 * 1024
_BYTES_OF_OVERHEAD = 1000  # of a kept answer: its key, its headers, their places
_REVIEWED = {reviewed.name: reviewed for reviewed in (PRODUCT, USER)}
_VERSIONS = f'SELECT table_name, lake_table_id, version FROM "{PUBLISHED.name}"'
_ROUTES = {
    (name, is_list): f"/{name}/{{{name}_id}}{'/reviews' if is_list else ''}"
    for name in _REVIEWED
    for is_list in (False, True)
}
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ready:
    """An answer that needs only to be sent."""

    route: str
    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes


@dataclass(frozen=True)
class _Kept:
    tag: str
    whole: Ready
    unchanged: Ready


class QuickAnswers:
    """Answers about reviews from connections that stay open.

    Args:
        most_bytes: what answers that are kept may take; the oldest ones go first.
    """

    def __init__(
        self, connections: KeptConnections, metrics: Metrics, most_bytes: int = MOST_BYTES_KEPT
    ) -> None:
        self._connections = connections
        self._metrics = metrics
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[tuple[bytes, Shape], _Kept] = OrderedDict()
        self._token: Hashable | None = None
        self._versions: Sequence[Sequence[Any]] | None = None

    def start(self) -> None:
        """Get ready; returns at once."""
        self._connections.start()

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()

    async def answer(self, scope: Scope, accept: str, if_none_match: str) -> Ready | None:
        """The answer to a GET; None if it has to be answered by its route."""
        raw_path: bytes = scope["raw_path"]
        if not raw_path.startswith((b"/product/", b"/user/")):
            return None
        try:
            token = self._connections.token()
        except UnreachableError:
            return None
        if token is None or token != self._token:
            self._forget(token)
        shape: Shape = preferred(accept) if "csv" in accept.lower() else "json"
        key = (target(scope), shape)
        kept = self._kept.get(key)
        self._metrics.count_kept(kept is not None)
        if kept is None:
            kept = await self._make(scope, shape)
            if kept is None:
                return None
            # What was published meanwhile may not be in it.
            if token is not None and token == self._token == self._token_now():
                self._keep(key, kept)
        if if_none_match and is_unchanged(if_none_match, kept.tag):
            return kept.unchanged
        return kept.whole

    async def _make(self, scope: Scope, shape: Shape) -> _Kept | None:
        asked = _question(scope)
        if asked is None:
            return None
        question, shape, route = asked[0], asked[1] or shape, asked[2]
        known = self._versions

        def work(execute: Execute) -> tuple[Sequence[Sequence[Any]], Told | None]:
            # Before the rows: a newer answer under an older version is only asked for once more.
            versions = execute(_VERSIONS, {}) if known is None else known
            return versions, question.told(self._connections.queries, execute, shape)

        token = self._token
        try:
            versions, told = await self._connections.run(work)
        except UnreachableError:
            return None
        if token is not None and token == self._token == self._token_now():
            self._versions = versions
        of_table = [found for found in versions if found[0] == question.table.name]
        if told is None or not of_table:
            return None
        tag = etag(of_table, scope, shape)
        headers = headers_of(tag)
        if told.link:
            headers["Link"] = told.link
        # Tuples of bytes are not looked at again when garbage is collected.
        validators = tuple((name.lower().encode(), text.encode()) for name, text in headers.items())
        whole = (
            *validators,
            (b"content-type", MEDIA_TYPES[shape].encode()),
            (b"content-length", str(len(told.body)).encode()),
        )
        return _Kept(tag, Ready(route, 200, whole, told.body), Ready(route, 304, validators, b""))

    def _token_now(self) -> Hashable | None:
        """The token by which answers may be kept; of SQLite it need not be asked for again."""
        try:
            return self._connections.token() if self._connections.changes_meanwhile else self._token
        except UnreachableError:
            return None

    def _keep(self, key: tuple[bytes, Shape], kept: _Kept) -> None:
        size = len(kept.whole.body) + 2 * len(key[0]) + _BYTES_OF_OVERHEAD
        if size > self._most_bytes or key in self._kept:
            return
        self._kept[key] = kept
        self._bytes += size
        while self._bytes > self._most_bytes:
            gone, answer = self._kept.popitem(last=False)
            self._bytes -= len(answer.whole.body) + 2 * len(gone[0]) + _BYTES_OF_OVERHEAD

    def _forget(self, token: Hashable | None) -> None:
        """Forget what was read under another token than `token`."""
        self._token = token
        self._versions = None
        if self._kept:
            self._kept.clear()
        self._bytes = 0


def _question(scope: Scope) -> tuple[Question, Shape | None, str] | None:
    """What is asked, in which shape if that is said, and by which route; None if unusual."""
    found = split(scope["raw_path"])
    if found is None:
        return None
    name, sent, is_list = found
    try:
        id_ = decoded(sent)
        query = bytes(scope["query_string"]).decode("ascii")
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True) if query else []
        values = dict(pairs)
        if len(id_) > LONGEST or len(values) < len(pairs):
            return None
        shape: Any = values.pop("format", None)
        if shape not in {None, *MEDIA_TYPES}:
            return None
        question = _page(name, id_, values) if is_list else _summary(name, id_, values)
    except ValueError:
        return None
    return None if question is None else (question, shape, _ROUTES[name, is_list])


def _summary(name: str, id_: str, values: dict[str, str]) -> Question | None:
    if not values:
        return SummaryAsked(_REVIEWED[name], id_, ANY_DAY)
    if not values.keys() <= {"from", "to"}:
        return None
    return SummaryAsked(_REVIEWED[name], id_, _days(values))


def _page(name: str, id_: str, values: dict[str, str]) -> Question | None:
    if not values.keys() <= {"limit", "after", "from", "to"}:
        return None
    question = PageAsked(_REVIEWED[name], id_)
    limit = values.get("limit", str(question.limit))
    if not (limit.isascii() and limit.isdigit() and 1 <= int(limit) <= MOST_REVIEWS_ON_A_PAGE):
        return None
    after, days = None, _days(values)
    if "after" in values:
        after, days = place_of(values["after"], days)
    return PageAsked(_REVIEWED[name], id_, int(limit), after, days)


def _days(values: dict[str, str]) -> Days:
    first, last = (day_of(values[side]) if side in values else None for side in ("from", "to"))
    return Days(first, last)
