"""What surrounds every request: who may ask, headers for browsers, the access log."""

import ipaddress
import json
import logging
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from warehouse_assets.api import problems
from warehouse_assets.settings import Settings

_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; object-src 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
# A picture has its styles inside, and needs nothing else.
_POLICY_OF_PICTURES = "default-src 'none'; style-src 'unsafe-inline'"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_access = logging.getLogger("warehouse_assets.api.access")


class SecurityHeaders:
    """Adds headers that keep pages to what this service serves; a route's own ones are kept."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if headers.get("content-type", "").startswith("image/svg+xml"):
                    headers.setdefault("Content-Security-Policy", _POLICY_OF_PICTURES)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)


class OwnPagesOnly:
    """Refuses what a page of another site makes a browser of this network ask for.

    Such a page could send files to a service that listens on this machine only; and read its
    answers, by a name of its own for this machine's address, which is why then the name is
    checked, too.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        public = urlsplit(settings.api_url)
        self._public = public.netloc.lower()
        self._hosts = (
            frozenset({"localhost", "127.0.0.1", "::1", settings.api_host, public.hostname or ""})
            if _is_of_this_machine(settings.api_host)
            else None
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "http" and (reason := self._why_not(scope)):
            status, detail = reason
            await problems.answer(status, detail)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _why_not(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "").lower()
        if self._hosts is not None and host and _name_of(host) not in self._hosts:
            return 400, (
                f"This service listens on its own machine only and does not know itself as {host}. "
                "Set API_URL to the address under which it is reached."
            )
        origin = headers.get("origin", "").lower()
        if origin and scope["method"] not in _SAFE_METHODS:
            asked_from = urlsplit(origin).netloc if "://" in origin else origin
            if asked_from not in {host, self._public}:
                return 403, f"Pages of {asked_from} may not send anything to this service."
        return None


class AccessLog:
    """Logs each request as a JSON object on a line, when it has been answered.

    Without what follows the path: that may hold addresses of webhooks.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.monotonic()
        received = sent = status = 0

        async def counting_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            return message

        async def counting_send(message: Message) -> None:
            nonlocal sent, status
            status = message.get("status", status)
            sent += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, counting_receive, counting_send)
        finally:
            entry = {
                "client": (scope.get("client") or ["", 0])[0],
                "method": scope["method"],
                "path": scope["path"],
                "status": status,
                "bytes_received": received,
                "bytes_sent": sent,
                "seconds": round(time.monotonic() - began, 3),
            }
            _access.info("%s", json.dumps(entry))


def _is_of_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _name_of(host: str) -> str:
    """The name or address in a Host header, without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
