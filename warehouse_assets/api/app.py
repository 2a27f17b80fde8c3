"""The application: its routes and what surrounds them; and how it is served until it is to end."""

import asyncio
import errno
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import anyio.to_thread
import uvicorn
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from warehouse_assets.api import problems
from warehouse_assets.api.description import describe
from warehouse_assets.api.former import VERSION
from warehouse_assets.api.middleware import Middleware
from warehouse_assets.api.routes import (
    about,
    answers,
    charts,
    deliveries,
    families,
    ingestions,
    loads,
    past,
    receipts,
    reviews,
    tables,
    trip_groups,
    trips,
)
from warehouse_assets.api.runs import Runs
from warehouse_assets.api.service import Service
from warehouse_assets.api.telemetry import LOGS
from warehouse_assets.api.uploads import remove_broken_off
from warehouse_assets.errors import SettingError
from warehouse_assets.settings import Settings

_DESCRIPTION = """The warehouse over HTTP: send files, watch what becomes of them, ask for answers.

Answers are JSON, or CSV with `Accept: text/csv` or `format=csv`. Their `ETag` holds as long as they
stay the same.

Errors are problem documents (RFC 9457, `application/problem+json`)."""
_ROUTERS = (
    reviews.router,  # nearly all that is asked
    answers.router,
    charts.router,
    past.router,
    receipts.router,
    tables.router,
    trips.router,
    trip_groups.router,
    *ingestions.routers,
    loads.router,
    deliveries.router,
    families.router,
    about.router,
)
_HEADERS_OF_PAGES = ("Authorization", "Content-Type", "If-None-Match", "Last-Event-ID", "X-API-Key")
_SECONDS_FOR_REQUESTS_AT_THE_END = 5


class App(FastAPI):
    """An application with our middleware before all else: each layer costs kept answers time."""

    def openapi(self) -> dict[str, Any]:
        """The description of the API, made once."""
        if self.openapi_schema is None:
            self.openapi_schema = describe(self, super().openapi())
        return self.openapi_schema

    def unguarded(self) -> ASGIApp:
        """The routes alone, for programs that are in this process."""
        return super().build_middleware_stack()

    def build_middleware_stack(self) -> ASGIApp:
        """What a request passes, from the front to the routes."""
        service: Service = self.state.service
        ours = Middleware(self.unguarded(), service)
        if not (origins := service.settings.cors_origins):
            return ours
        # Before the rest: a browser asks without a key whether it may ask.
        return CORSMiddleware(
            ours,
            allow_origins=sorted(origins),
            allow_methods=("GET", "HEAD", "POST", "OPTIONS"),
            allow_headers=_HEADERS_OF_PAGES,
            expose_headers=(
                "Allow",
                "Content-Disposition",
                "ETag",
                "Link",
                "Location",
                "Retry-After",
            ),
        )


def build_app(settings: Settings, runs: Runs | None = None) -> App:
    """The service as an application; nothing is opened or started before it is served.

    Args:
        runs: what takes uploaded files; by default a process with the environment of this one.

    Raises:
        SettingError: the file of keys cannot be used.
    """
    app = App(
        title="Warehouse",
        version=version("warehouse_assets"),
        description=_DESCRIPTION,
        servers=[{"url": VERSION}],
        lifespan=_lifespan,
        # Routers that are included take longer to be looked through.
        routes=[route for router in _ROUTERS for route in router.routes],
        exception_handlers=problems.HANDLERS,
        openapi_url=None,  # its own route would ignore parameters
        docs_url=None,  # they load their scripts from another host
        redoc_url=None,
        # To find out that nobody wants it takes as long as a kept answer; there is /metrics.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.service = Service(settings, runs or Runs())
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    service: Service = app.state.service
    service.inbox.prepare()
    remove_broken_off(service.inbox, service.ingestions)
    service.runs.start()
    for kind in {waiting.kind for waiting in service.ingestions.waiting()}:
        service.runs.request(kind)
    service.webhooks.resume()
    following = asyncio.create_task(deliveries.follow(service))
    try:
        yield
    finally:
        service.stopped.set()
        following.cancel()  # what it takes at that moment it takes to the end
        await asyncio.gather(following, return_exceptions=True)
        await service.webhooks.stop()
        await anyio.to_thread.run_sync(service.runs.stop)
        await anyio.to_thread.run_sync(service.database.close)
        service.log.flush()


def listen(host: str, port: int) -> socket.socket:
    """A socket on which the service can be reached.

    Raises:
        SettingError: the port is taken, or the host is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            reason = "another program listens on that port, maybe another `warehouse serve`"
            remedy = "Stop it, or choose another port with --port or API_PORT."
        elif error.errno == errno.EACCES:
            reason = "this user may not listen on that port"
            remedy = "Choose one from 1024 on with --port or API_PORT."
        else:
            reason = error.strerror or str(error)
            remedy = "Choose an address of this machine with --host or API_HOST."
        raise SettingError(
            f"The service cannot listen on {host} port {port}: {reason}. {remedy}"
        ) from None


class Server(uvicorn.Server):
    """A server whose streams of events end with it."""

    def __init__(
        self, app: FastAPI, seconds_at_the_end: int = _SECONDS_FOR_REQUESTS_AT_THE_END
    ) -> None:
        config = uvicorn.Config(
            app,
            log_config=LOGS,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=seconds_at_the_end,
        )
        super().__init__(config)
        self._service = app.state.service

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End, after giving the requests under way some seconds."""
        self._service.stopped.set()
        await super().shutdown(sockets)


def serve(app: FastAPI, listening: socket.socket) -> None:
    """Serve `app` until the process is told to end by SIGINT or SIGTERM; then return."""
    # The server hands a signal on, when it has ended, to whoever had it before.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    Server(app).run(sockets=[listening])
