"""Puts the service together: what its routes share, its routes, and what surrounds them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

import anyio.to_thread
from fastapi import FastAPI
from starlette.middleware import Middleware

from warehouse_assets.api import ingestions, pages, problems, trips_answers
from warehouse_assets.api.deps import Runs, Service
from warehouse_assets.api.following import JournalWatch
from warehouse_assets.api.guards import AccessLog, OwnPagesOnly, SecurityHeaders
from warehouse_assets.api.runs import WarmRuns
from warehouse_assets.api.uploads import remove_broken_off
from warehouse_assets.api.webhooks import Webhooks
from warehouse_assets.graph.resources import build_resources
from warehouse_assets.ingestions import Ingestion, Ingestions
from warehouse_assets.settings import Settings

_DESCRIPTION = """The warehouse over HTTP: send files, watch what becomes of them, ask for answers.

Errors are problem documents (RFC 9457, `application/problem+json`)."""


def build_app(settings: Settings, runs: Runs | None = None) -> FastAPI:
    """The service as an application; nothing is opened or started before it is served.

    Args:
        runs: what takes uploaded files; by default a process with the environment of this one.
    """
    resources = build_resources(settings)
    journals = Ingestions(settings.ingestions)
    watch = JournalWatch(settings.ingestions)

    def address(ingestion: Ingestion) -> str:
        return settings.api_url + str(app.url_path_for("status", ingestion_id=ingestion.id))

    app = FastAPI(
        title="Warehouse",
        version=version("warehouse_assets"),
        description=_DESCRIPTION,
        lifespan=_lifespan,
        responses=problems.problems(422),
        docs_url=None,  # they load their scripts from another host
        redoc_url=None,
        middleware=[
            Middleware(AccessLog),
            Middleware(SecurityHeaders),
            Middleware(OwnPagesOnly, settings=settings),
        ],
    )
    app.state.service = Service(
        settings=settings,
        lake=resources["lake"],
        warehouse=resources["warehouse"],
        inbox=resources["inbox"],
        ingestions=journals,
        watch=watch,
        webhooks=Webhooks(journals, watch, address),
        runs=WarmRuns() if runs is None else runs,
    )
    problems.add_handlers(app)
    app.include_router(pages.router)
    app.include_router(ingestions.router)
    app.include_router(trips_answers.router)
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
    try:
        yield
    finally:
        service.end_streams()
        await service.webhooks.stop()
        await anyio.to_thread.run_sync(service.runs.stop)
