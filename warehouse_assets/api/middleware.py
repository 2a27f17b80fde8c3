"""What every request passes before a route: guards, the cache, headers, log and figures.

It is one step and not several, since each costs as much as looking up a short answer.
"""

import asyncio
import time
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from warehouse_assets.api import problems
from warehouse_assets.api.auth import Asked, Guard
from warehouse_assets.api.cache import Cache, Kept, Key, RawHeaders
from warehouse_assets.api.deps import Service
from warehouse_assets.api.formats import preferred
from warehouse_assets.api.published import versions_of

_POLICY = b"content-security-policy"
_HEADERS: RawHeaders = (
    (
        _POLICY,
        (
            b"default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
            b"object-src 'none'"
        ),
    ),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
# A picture has its styles inside, and needs nothing else.
_HEADERS_OF_PICTURES: RawHeaders = (
    (_POLICY, b"default-src 'none'; style-src 'unsafe-inline'"),
    *_HEADERS[1:],
)
_OK, _NOT_MODIFIED = 200, 304
_OF_CONTENT = frozenset({b"content-type", b"content-length"})
_SECONDS_UNTIL_ANOTHER_SERVICE = "10"
_LOOKED_AT = {
    b"host": "host",
    b"origin": "origin",
    b"authorization": "authorization",
    b"x-api-key": "api_key",
    b"accept": "accept",
    b"if-none-match": "if_none_match",
}


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
        asked = _asked(scope)
        told = _Told(send, asked.if_none_match)
        name: str | None = None
        try:
            refusal, name = self._guard.admit(asked)
            if refusal is not None:
                told.route = "refused"
                await refusal(scope, receive, told.send)
            else:
                await self._answer(scope, asked, receive, told)
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
            self._account(asked, told, name, time.perf_counter() - began)

    async def _answer(self, scope: Scope, asked: Asked, receive: Receive, told: "_Told") -> None:
        # The server leaves the body of an answer to a HEAD out; a stream would have no end.
        is_head = asked.method == "HEAD" and not asked.path.endswith("/events")
        key: Key | None = None
        if is_head or asked.method == "GET":
            key = scope["raw_path"], scope["query_string"], preferred(asked.accept)
            kept = self._cache.get(key)
            if kept and kept.is_of(await self._database.published() or {}):
                self._metrics.count_kept(True)
                await told.send_kept(kept)
                return

        async def counted() -> Message:
            message = await receive()
            told.received += len(message.get("body", b""))
            return message

        inner = {**scope, "state": {}, "method": "GET" if is_head else asked.method}
        try:
            await self._app(inner, counted, told.send)
        finally:
            told.route = _route(inner)
        versions = versions_of(inner)
        if key is None or versions is None:
            return
        self._metrics.count_kept(False)
        if told.made_status == _OK and told.body is not None:
            self._cache.put(key, Kept(versions, told.route, told.headers, told.body))

    def _account(self, asked: Asked, told: "_Told", name: str | None, seconds: float) -> None:
        self._metrics.count(asked.method, told.route, told.status, seconds)
        entry = {
            "client": asked.client,
            "method": asked.method,
            "path": asked.path,
            "status": told.status,
            "bytes_received": told.received,
            "bytes_sent": 0 if asked.method == "HEAD" else told.bytes,
            "seconds": round(seconds, 4),
        }
        if name is not None:
            entry["key"] = name
        self._log.add(entry)


class _Told:
    """What is answered, with headers that keep pages to what this service serves.

    What is known to whoever asks, by its ETag, is not sent again. `body` is that of an answer that
    was made at once.
    """

    def __init__(self, send: Send, if_none_match: str) -> None:
        self._send = send
        self._if_none_match = if_none_match
        self.route = "none"
        self.made_status = 0
        self.status = 0
        self.headers: RawHeaders = ()
        self.body: bytes | None = None
        self.bytes = 0
        self.received = 0
        self._parts = 0

    async def send(self, message: Message) -> None:
        """Send a part of the answer."""
        if message["type"] == "http.response.start":
            headers: RawHeaders = message["headers"]
            is_picture = dict(headers).get(b"content-type") == b"image/svg+xml"
            self.headers = (*headers, *(_HEADERS_OF_PICTURES if is_picture else _HEADERS))
            await self._begin(message["status"], self.headers)
        else:
            body = bytes(message.get("body", b""))
            more = message.get("more_body", False)
            self._parts += 1
            self.body = body if self._parts == 1 and not more else None
            await self._go_on(body, more)

    async def send_kept(self, kept: Kept) -> None:
        """Send an answer that was kept."""
        self.route = kept.route
        if self._if_none_match:
            await self._begin(_OK, kept.headers)
            await self._go_on(kept.body, False)
            return
        self.status, self.bytes = _OK, len(kept.body)
        await self._send({"type": "http.response.start", "status": _OK, "headers": kept.headers})
        await self._send({"type": "http.response.body", "body": kept.body})

    async def _begin(self, status: int, headers: RawHeaders) -> None:
        self.made_status = self.status = status
        if self._if_none_match and status == _OK and self._is_known(headers):
            self.status = _NOT_MODIFIED
            headers = [header for header in headers if header[0] not in _OF_CONTENT]
        start = {"type": "http.response.start", "status": self.status, "headers": headers}
        await self._send(start)

    async def _go_on(self, body: bytes, more: bool) -> None:
        if self.status == _NOT_MODIFIED:
            body = b""
        self.bytes += len(body)
        await self._send({"type": "http.response.body", "body": body, "more_body": more})

    def _is_known(self, headers: RawHeaders) -> bool:
        tag = next((value for name, value in headers if name == b"etag"), b"").decode("latin-1")
        names = (name.strip().removeprefix("W/") for name in self._if_none_match.split(","))
        return bool(tag) and any(name in {"*", tag.removeprefix("W/")} for name in names)


def _asked(scope: Scope) -> Asked:
    if not scope.get("raw_path"):
        scope["raw_path"] = quote(scope["path"]).encode()
    client = scope.get("client")
    asked = Asked(scope["method"], scope["path"], client[0] if client else "")
    for name, value in scope["headers"]:
        if attribute := _LOOKED_AT.get(name):
            setattr(asked, attribute, value.decode("latin-1"))
    return asked


def _route(scope: Scope) -> str:
    """The template of the route that answered: paths themselves are without number."""
    path = getattr(scope.get("route"), "path_format", None)
    if isinstance(path, str):
        return path
    return "/static" if scope["path"].startswith("/static/") else "none"
