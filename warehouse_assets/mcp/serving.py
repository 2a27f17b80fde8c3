"""Serves the tools: to one agent by standard input and output, or to those of this machine."""

import click
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from warehouse_assets.api.app import listen
from warehouse_assets.api.auth import Guard, Keys
from warehouse_assets.mcp.server import server_of
from warehouse_assets.settings import Settings

_HOST = "127.0.0.1"


def serve(settings: Settings) -> None:
    """Serve the agent that started this process, until it closes standard input."""
    server_of(settings).run()


def serve_http(settings: Settings, port: int) -> None:
    """Serve agents of this machine, with the keys of the API, until SIGINT or SIGTERM.

    Raises:
        SettingError: the port is taken, or the file of keys cannot be used.
    """
    own = settings.model_copy(
        update={"api_host": _HOST, "api_port": port, "api_url": f"http://{_HOST}:{port}"}
    )
    app = server_of(settings).streamable_http_app(stateless_http=True, json_response=True)
    with listen(_HOST, port) as listening:
        click.echo(f"Agents ask at {own.api_url}/mcp (Ctrl+C ends it).", err=True)
        config = uvicorn.Config(_Guarded(app, own), log_level="warning", server_header=False)
        uvicorn.Server(config).run(sockets=[listening])


class _Guarded:
    """An application for who may ask the API."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._guard = Guard(settings, Keys(settings))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            refusal, _ = self._guard.admit(scope, dict(scope["headers"]))
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)
