"""Asks the routes of the API, in this process, and tells of which versions the answer was made.

Only `GET` is ever asked, of an application that is not started: it takes no files, no deliveries.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any
from urllib.parse import unquote, urlencode

import sqlalchemy as sa
from anyio.to_thread import run_sync
from fastapi.routing import APIRoute
from mcp.server.mcpserver.exceptions import ToolError
from starlette.types import ASGIApp, Message

from warehouse_assets.api.app import build_app
from warehouse_assets.api.former import VERSION
from warehouse_assets.api.response import versions_of
from warehouse_assets.api.service import Service
from warehouse_assets.errors import WarehouseAssetsError
from warehouse_assets.history.as_of import handles_of, read_moment
from warehouse_assets.settings import Settings
from warehouse_assets.time_limit import time_limit
from warehouse_assets.values import plain
from warehouse_assets.warehouse import PublishedVersion, published_since

_OK, _BAD_REQUEST = 200, 400
_MOST_ON_A_PAGE = 1000
_ADVICE = (
    "Ask for less: conditions on columns of the key, fewer days, or one region. The setting "
    "MCP_TIMEOUT_SECONDS says how long a question may take."
)
_logger = logging.getLogger(__name__)


class Asking:
    """The answers of the warehouse, each with what it means and the versions it was made of."""

    def __init__(self, settings: Settings) -> None:
        seconds = settings.mcp_timeout_seconds
        least = min(seconds, settings.api_statement_timeout_seconds)
        self.settings = settings.model_copy(update={"api_statement_timeout_seconds": least})
        self._seconds = seconds
        self._app = build_app(self.settings)

    @property
    def service(self) -> Service:
        """What the routes share."""
        service: Service = self._app.state.service
        return service

    async def get(
        self, path: str, said: Mapping[str, Any], tables: Sequence[sa.Table] = ()
    ) -> dict[str, Any]:
        """What a route answers, with the versions of what it read.

        Args:
            said: the parameters; those that are None are not said.
            tables: what the answer is made of, where it is not made of what is published now.

        Raises:
            ToolError: there is no answer; it says why and what to do.
        """
        asked = {name: value for name, value in said.items() if value is not None}
        state: dict[str, Any] = {}
        with time_limit(self._seconds, _ADVICE):
            answer = await self._sent(path, asked, state)
            moment = asked.get("as_of", "now")
            versions = versions_of({"state": state})
            told = await run_sync(self.versions, tables, moment, versions)
        return {"answer": answer, "versions": told}

    def rows(self, limit: int | None) -> int:
        """How many rows are wanted, and may be."""
        return min(limit or self.settings.mcp_rows, self.settings.mcp_rows, _MOST_ON_A_PAGE)

    def bounded(self, told: dict[str, Any], limit: int | None) -> dict[str, Any]:
        """An answer whose lists have no more elements than may be."""
        most, left_out = self.rows(limit), {}
        for name, value in told["answer"].items():
            if isinstance(value, list) and len(value) > most:
                told["answer"][name] = value[:most]
                left_out[name] = len(value) - most
        return {**told, "left_out": left_out} if left_out else told

    async def read(self, work: Callable[[], Any]) -> Any:
        """What `work` returns, which reads the warehouse in a thread.

        Raises:
            ToolError: it could not; it says why and what to do.
        """
        try:
            with time_limit(self._seconds, _ADVICE):
                return await run_sync(work)
        except WarehouseAssetsError as error:
            raise ToolError(str(error)) from None

    def meaning(self, path: str) -> dict[str, Any]:
        """What the answer of a route means, and its fields."""
        (route,) = (one for one in self._routes if one.path == path)
        fields = getattr(route.response_model, "model_fields", {})
        described = {name: f.description for name, f in fields.items() if f.description}
        return {"meaning": route.description, "fields": described}

    @property
    def _routes(self) -> list[APIRoute]:
        return [route for route in self._app.routes if isinstance(route, APIRoute)]

    @cached_property
    def _stack(self) -> ASGIApp:
        return self._app.unguarded()

    async def _sent(self, path: str, said: Mapping[str, Any], state: dict[str, Any]) -> Any:
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "root_path": VERSION,
            "path": unquote(f"{VERSION}{path}"),
            "raw_path": f"{VERSION}{path}".encode(),
            "query_string": urlencode(said).encode(),
            "headers": [(b"accept", b"application/json")],
            "state": state,
            "app": self._app,
        }
        status, body = 0, b""

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            nonlocal status, body
            status, body = message.get("status", status), body + message.get("body", b"")

        try:
            await self._stack(scope, receive, send)
        except Exception:
            if status < _BAD_REQUEST:
                raise
            _logger.exception("GET %s", path)
        told = json.loads(body)
        if status != _OK:
            raise ToolError(told["detail"])
        return told

    def versions(
        self,
        tables: Sequence[sa.Table],
        moment: str = "now",
        versions: Sequence[PublishedVersion] | None = None,
    ) -> list[dict[str, Any]]:
        """The versions of tables at a moment, or those given, and when they were published.

        Raises:
            WarehouseAssetsError: they cannot be read, or are no longer kept.
        """
        lake, warehouse = self.service.lake, self.service.warehouse
        if versions is None:
            handles = handles_of(lake, warehouse, read_moment(lake, moment), tables)
            versions = [
                PublishedVersion(name, str(handle.metadata().id), handle.version())
                for name, handle in handles.items()
                if handle is not None
            ]
        times: Mapping[PublishedVersion, Any] = {}
        if versions and warehouse.exists():
            with warehouse.read() as connection:
                times = published_since(connection, versions)
        return [
            {"table": one.table, "version": one.version, "published_at": plain(times.get(one))}
            for one in versions
        ]
