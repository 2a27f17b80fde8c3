"""What every request passes before a route: guards, the cache, headers, log and figures.

It is one step and not several, since each costs as much as looking up a short answer.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from warehouse_assets.api import problems
from warehouse_assets.api.auth import Guard, client_of
from warehouse_assets.api.database import Versions
from warehouse_assets.api.formats import Ranking, ranking
from warehouse_assets.api.former import VERSION, is_versioned
from warehouse_assets.api.html import POLICY
from warehouse_assets.api.response import versions_of
from warehouse_assets.api.service import Service
from warehouse_assets.warehouse import PublishedVersion

_MOST_BYTES = 128 * 1024 * 1024
_BYTES_OF_OVERHEAD = 1000  # of a kept answer: its key, its headers, their places
_LARGEST_SHARE = 16  # an answer larger than the sixteenth part of all is not kept

Key = tuple[bytes, bytes, Ranking]
"""Path and query as they were sent, and the formats as they are liked."""
RawHeaders = Sequence[tuple[bytes, bytes]]

_POLICY = b"content-security-policy"
_HEADERS: RawHeaders = (
    (_POLICY, POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
# A picture has its styles inside, and needs nothing else.
_HEADERS_OF_PICTURES: RawHeaders = (
    (_POLICY, b"default-src 'none'; style-src 'unsafe-inline'"),
    *_HEADERS[1:],
)
_START = "http.response.start"
_EVENTS = b"text/event-stream"
_OK, _NOT_MODIFIED = 200, 304
_OF_CONTENT = frozenset({b"content-type", b"content-length"})
_SECONDS_UNTIL_ANOTHER_SERVICE = "10"


@dataclass(frozen=True)
class Kept:
    """An answer that needs only to be sent.

    Args:
        versions: the tables that it was made of.
        route: the template of the path that it was asked by.
    """

    versions: Sequence[PublishedVersion]
    route: str
    headers: RawHeaders
    body: bytes

    def is_of(self, published: Versions) -> bool:
        """Whether it would be made the same way of what is published."""
        return all(published.get(version.table) == version for version in self.versions)


class Cache:
    """Answers by what was asked; those asked for longest ago go first.

    Args:
        most_bytes: what all of them together may take.
    """

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[Key, Kept] = OrderedDict()

    def get(self, key: Key) -> Kept | None:
        """What was kept, which may be of former versions."""
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def put(self, key: Key, answer: Kept) -> None:
        """Keep an answer, instead of a former one, if it is not too large."""
        if (former := self._kept.pop(key, None)) is not None:
            self._bytes -= _size(key, former)
        if _size(key, answer) > self._most_bytes // _LARGEST_SHARE:
            return
        self._kept[key] = answer
        self._bytes += _size(key, answer)
        while self._bytes > self._most_bytes:
            self._bytes -= _size(*self._kept.popitem(last=False))


def _size(key: Key, answer: Kept) -> int:
    return len(answer.body) + 2 * len(key[0] + key[1]) + _BYTES_OF_OVERHEAD


class Middleware:
    """Answers a request, or passes it on to the application behind."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._guard = Guard(service.settings, service.keys)
        self._database = service.database
        self._cache = Cache()
        self._metrics = service.metrics
        self._log = service.log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request or pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        if is_versioned(scope["path"]):
            scope = {**scope, "root_path": VERSION}  # links begin with it, routes do not
        headers = dict(scope["headers"])
        told = _Told(send, headers.get(b"if-none-match", b"").decode("latin-1"))
        name: str | None = None
        try:
            refusal, name = self._guard.admit(scope, headers)
            if refusal is not None:
                told.route = "refused"
                await refusal(scope, receive, told.send)
            else:
                accept = headers.get(b"accept", b"").decode("latin-1")
                await self._answer(scope, accept, receive, told)
        except asyncio.CancelledError:
            # The server does that when it ends and a request takes longer than it waits.
            if not told.status:
                reason = "The service was told to end before the answer was there. Ask again."
                wait = {"Retry-After": _SECONDS_UNTIL_ANOTHER_SERVICE}
                await problems.answer(503, reason, headers=wait)(scope, receive, told.send)
        except BaseException:
            told.status = told.status or 500
            raise
        finally:
            self._account(scope, told, name, time.perf_counter() - began)

    async def _answer(self, scope: Scope, accept: str, receive: Receive, told: "_Told") -> None:
        is_head = scope["method"] == "HEAD"  # the server leaves the body of its answer out
        path = scope.get("raw_path") or quote(scope["path"]).encode()
        key: Key | None = None
        if is_head or scope["method"] == "GET":
            key = path, scope["query_string"], ranking(accept)
            kept = self._cache.get(key)
            if kept and kept.is_of(await self._database.published() or {}):
                self._metrics.count_kept(True)
                told.route = kept.route
                await told.send({"type": _START, "status": _OK, "headers": kept.headers})
                await told.send({"type": "http.response.body", "body": kept.body})
                return

        async def counted() -> Message:
            message = await receive()
            told.received += len(message.get("body", b""))
            return message

        method = "GET" if is_head else scope["method"]
        inner = {**scope, "state": {}, "method": method, "raw_path": path}
        try:
            with anyio.CancelScope() as scope_of_answer:
                if is_head:  # a stream would have no end
                    told.end_stream = scope_of_answer.cancel
                await self._app(inner, counted, told.send)
        finally:
            told.route = _route(inner)
        versions = versions_of(inner)
        if key is None or versions is None:
            return
        self._metrics.count_kept(False)
        if told.made_status == _OK and told.body is not None:
            self._cache.put(key, Kept(versions, told.route, told.headers, told.body))

    def _account(self, scope: Scope, told: "_Told", name: str | None, seconds: float) -> None:
        self._metrics.count(scope["method"], told.route, told.status, seconds)
        entry = {
            "client": client_of(scope),
            "method": scope["method"],
            "path": scope["path"],
            "status": told.status,
            "bytes_received": told.received,
            "bytes_sent": 0 if scope["method"] == "HEAD" else told.bytes,
            "seconds": round(seconds, 4),
        }
        if name is not None:
            entry["key"] = name
        self._log.add(entry)


class _Told:
    """What is answered, with headers that keep pages to what this service serves.

    What is known to whoever asks, by its ETag, is not sent again. `body` is that of an answer that
    was made at once. Of a stream of events, `end_stream` is called instead of sending what follows
    its headers.
    """

    def __init__(self, send: Send, if_none_match: str) -> None:
        self._send = send
        self._if_none_match = if_none_match
        self._parts = 0
        self.route = "none"
        self.made_status = self.status = 0
        self.headers: RawHeaders = ()
        self.body: bytes | None = None
        self.bytes = self.received = 0
        self.end_stream: Callable[[], None] | None = None

    async def send(self, message: Message) -> None:
        """Send a part of the answer."""
        if message["type"] == _START:
            self.made_status = self.status = message["status"]
            self.headers = message["headers"]
            sent = dict(self.headers)
            is_picture = sent.get(b"content-type") == b"image/svg+xml"
            ours = _HEADERS_OF_PICTURES if is_picture else _HEADERS
            headers = [*self.headers, *(ours[1:] if _POLICY in sent else ours)]
            if self._if_none_match and self.status == _OK and self._knows(sent.get(b"etag", b"")):
                self.status = _NOT_MODIFIED
                headers = [header for header in headers if header[0] not in _OF_CONTENT]
            await self._send({"type": _START, "status": self.status, "headers": headers})
            if self.end_stream and sent.get(b"content-type", b"").startswith(_EVENTS):
                await self._send({"type": "http.response.body", "body": b""})
                self.end_stream()
            return
        body, more = bytes(message.get("body", b"")), message.get("more_body", False)
        self._parts += 1
        self.body = body if self._parts == 1 and not more else None
        if self.status == _NOT_MODIFIED:
            body = b""
        self.bytes += len(body)
        await self._send({"type": message["type"], "body": body, "more_body": more})

    def _knows(self, tag: bytes) -> bool:
        """Whether who asks has the answer of this ETag."""
        name = tag.decode("latin-1").removeprefix("W/")
        known = (name.strip().removeprefix("W/") for name in self._if_none_match.split(","))
        return bool(tag) and any(found in {"*", name} for found in known)


def _route(scope: Scope) -> str:
    """The template of the route that answered: paths themselves are without number."""
    path = getattr(scope.get("route"), "path_format", None)
    if isinstance(path, str):
        return path
    return "/static" if scope["path"].removeprefix(VERSION).startswith("/static/") else "none"
