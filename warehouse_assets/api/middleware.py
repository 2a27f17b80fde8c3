"""What every request passes before a route: guards, the cache, headers, log and figures.

It is one step and not several, since each costs as much as looking up a short answer.
"""

import asyncio
import time
from collections.abc import Iterable
from http import HTTPStatus
from urllib.parse import quote

from fastapi.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from warehouse_assets.api import problems
from warehouse_assets.api.auth import Asked, Clients, OwnPagesOnly
from warehouse_assets.api.cache import Cache, Kept, Key, RawHeaders
from warehouse_assets.api.database import Database
from warehouse_assets.api.formats import preferred
from warehouse_assets.api.ids import with_encoded_id
from warehouse_assets.api.logs import AccessLog
from warehouse_assets.api.metrics import Metrics
from warehouse_assets.api.published import is_unchanged, target, versions_of

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
_SECONDS_UNTIL_ANOTHER_SERVICE = "10"
_LOOKED_AT = {
    b"host": "host",
    b"origin": "origin",
    b"authorization": "authorization",
    b"x-api-key": "api_key",
    b"accept": "accept",
}


class Middleware:
    """Answers a request, or passes it on to the application behind."""

    def __init__(
        self,
        app: ASGIApp,
        own_pages: OwnPagesOnly,
        clients: Clients,
        database: Database,
        metrics: Metrics,
        log: AccessLog,
    ) -> None:
        self._app = app
        self._own_pages = own_pages
        self._clients = clients
        self._database = database
        self._cache = Cache()
        self._metrics = metrics
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request or pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        asked, if_none_match = _asked(scope)
        told = _Told(send)
        name: str | None = None
        try:
            refusal = self._own_pages.refusal(asked)
            if refusal is None:
                refusal, name = self._clients.admit(asked)
            if refusal is not None:
                told.route = "refused"
                await refusal(scope, receive, told.send)
            else:
                await self._answer(scope, asked, if_none_match, receive, told)
        except asyncio.CancelledError:
            # The server does that when it ends and a request takes longer than it waits.
            if not told.status:
                await _cut_off()(scope, receive, told.send)
        except BaseException:
            told.status = told.status or 500
            raise
        finally:
            self._account(asked, told, name, time.perf_counter() - began)

    async def _answer(
        self, scope: Scope, asked: Asked, if_none_match: str, receive: Receive, told: "_Told"
    ) -> None:
        # The server leaves the body of an answer to a HEAD out; a stream would have no end.
        is_head = asked.method == "HEAD" and not asked.path.endswith("/events")
        key: Key | None = None
        if is_head or asked.method == "GET":
            key = target(scope), preferred(asked.accept)
            kept = self._cache.get(key)
            if kept and kept.is_of(await self._database.published() or {}):
                self._metrics.count_kept(True)
                await told.send_kept(kept, if_none_match)
                return
        inner = with_encoded_id(
            {**scope, "state": {}, "method": "GET" if is_head else asked.method}
        )
        received = _Received(receive)
        try:
            await self._app(inner, received.receive, told.send)
        finally:
            told.received = received.bytes
            told.route = _route(inner)
        versions = versions_of(inner)
        if key is None or versions is None:
            return
        self._metrics.count_kept(False)
        if told.status == HTTPStatus.OK and told.body is not None:
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

    `body` is the body of an answer that was sent at once.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self.route = "none"
        self.status = 0
        self.headers: RawHeaders = ()
        self.body: bytes | None = None
        self.bytes = 0
        self.received = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = dict(message["headers"])
            is_picture = headers.get(b"content-type", b"").startswith(b"image/svg+xml")
            more = _HEADERS_OF_PICTURES if is_picture else _HEADERS
            self.headers = (*message["headers"], *more)
            message = {**message, "headers": self.headers}
        else:
            body = message.get("body", b"")
            is_whole = not self.bytes and not message.get("more_body", False)
            self.body = bytes(body) if is_whole else None
            self.bytes += len(body)
        await self._send(message)

    async def send_kept(self, kept: Kept, if_none_match: str) -> None:
        """Send an answer that was kept, or that it is known to whoever asks."""
        is_known = bool(if_none_match) and is_unchanged(if_none_match, kept.tag)
        self.status = HTTPStatus.NOT_MODIFIED if is_known else HTTPStatus.OK
        self.route = kept.route
        headers = kept.headers_of_unchanged if is_known else kept.headers
        body = b"" if is_known else kept.body
        self.bytes = len(body)
        await self._send(
            {"type": "http.response.start", "status": int(self.status), "headers": headers}
        )
        await self._send({"type": "http.response.body", "body": body})


class _Received:
    """Counts what is sent with a request."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.bytes = 0

    async def receive(self) -> Message:
        message = await self._receive()
        self.bytes += len(message.get("body", b""))
        return message


def _asked(scope: Scope) -> tuple[Asked, str]:
    """What is looked at of a request, and its header `If-None-Match`."""
    if not scope.get("raw_path"):
        scope["raw_path"] = quote(scope["path"]).encode()
    client = scope.get("client")
    asked = Asked(scope["method"], scope["path"], client[0] if client else "")
    if_none_match = ""
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    for name, value in headers:
        if name == b"if-none-match":
            if_none_match = value.decode("latin-1")
        elif attribute := _LOOKED_AT.get(name):
            setattr(asked, attribute, value.decode("latin-1"))
    return asked, if_none_match


def _cut_off() -> Response:
    return problems.answer(
        503,
        "The service was told to end before the answer was there. Ask again.",
        headers={"Retry-After": _SECONDS_UNTIL_ANOTHER_SERVICE},
    )


def _route(scope: Scope) -> str:
    """The template of the route that answered: paths themselves are without number."""
    path = getattr(scope.get("route"), "path", None)
    if isinstance(path, str):
        return path
    return "/static" if scope["path"].startswith("/static/") else "none"
