"""Puts the service together: what its routes share, its routes, and what surrounds them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

import anyio.to_thread
from fastapi import FastAPI
from starlette.types import ASGIApp

from warehouse_assets.api import problems
from warehouse_assets.api.deps import Runs, Service
from warehouse_assets.api.middleware import Middleware
from warehouse_assets.api.routes import (
    answers,
    deliveries,
    health,
    ingestions,
    pages,
    reviews,
    trips,
)
from warehouse_assets.api.runs import WarmRuns
from warehouse_assets.api.uploads import remove_broken_off
from warehouse_assets.settings import Settings

_DESCRIPTION = """The warehouse over HTTP: send files, watch what becomes of them, ask for answers.

Answers are JSON, or CSV with `Accept: text/csv` or `format=csv`. Their `ETag` holds as long as they
stay the same.

Errors are problem documents (RFC 9457, `application/problem+json`)."""


_ROUTERS = (
    reviews.router,  # nearly all that is asked
    answers.router,
    trips.router,
    ingestions.router,
    deliveries.router,
    health.router,
    pages.router,
)


class _App(FastAPI):
    """An application with our middleware before all else: each layer costs kept answers time."""

    def build_middleware_stack(self) -> ASGIApp:
        """What a request passes, from the front to the routes."""
        return Middleware(super().build_middleware_stack(), self.state.service)


def build_app(settings: Settings, runs: Runs | None = None) -> FastAPI:
    """The service as an application; nothing is opened or started before it is served.

    Args:
        runs: what takes uploaded files; by default a process with the environment of this one.

    Raises:
        SettingError: the file of keys cannot be used.
    """
    app = _App(
        title="Warehouse",
        version=version("warehouse_assets"),
        description=_DESCRIPTION,
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
    app.state.service = Service(settings, WarmRuns() if runs is None else runs)
    pages.add_static(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    service: Service = app.state.service
    service.inbox.prepare()
    remove_broken_off(service.inbox, service.ingestions)
    service.runs.start()
    if service.ingestions.waiting():
        service.runs.request()
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
