"""The routes about the service itself: its page, its description, its health and its figures."""

import gzip
import time
from datetime import datetime, timezone
from pathlib import Path

import pydantic_core
from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.datastructures import QueryParams
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from warehouse_assets.api.html import POLICY
from warehouse_assets.api.request import StrictRoute, check
from warehouse_assets.api.response import reply, sent
from warehouse_assets.api.scripts import charting_script
from warehouse_assets.api.service import Service, service_of
from warehouse_assets.api.telemetry import METRICS_TYPE

router = APIRouter(route_class=StrictRoute)

_STATIC = Path(__file__).parents[1] / "static"
_JAVASCRIPT = "text/javascript"
_SECONDS_OF_A_DAY = 24 * 60 * 60
_FRESH = {"Vary": "Accept", "Cache-Control": "no-cache"}
_POLICY_OF_DOCS = {"Content-Security-Policy": f"{POLICY}; img-src 'self' data:"}  # its icons


class Offered(BaseModel):
    """What the service offers."""

    status: str = Field(description="Always alive.", examples=["alive"])
    product: str = Field(description="Where the reviews of a product are.")
    user: str = Field(description="Where the reviews by a user are.")
    answers: str = Field(description="Where the answers are listed.")
    ingestions: str = Field(description="Where files are sent to.")
    description: str = Field(description="The description of the API, for programs.")
    docs: str = Field(description="The same for people, to try it on.")
    upload_limit: int = Field(description="Bytes that a file may have.")
    routes: list[str] = Field(examples=[["/product/{product_id}", "/answers"]])


class Live(BaseModel):
    """The service is there."""

    status: str = Field(default="live", description="Always live.", examples=["live"])


class Age(BaseModel):
    """How old the data of a family is."""

    changed_at: datetime | None = Field(
        description="When its rows were last written to the lake; null if it has none here."
    )
    age_seconds: float | None


class Ready(BaseModel):
    """The service can answer."""

    status: str = Field(default="ready", description="Always ready.", examples=["ready"])
    families: dict[str, Age] = Field(
        description="How old the data of each family is, looked up every 15 seconds.",
        examples=[{"forum": {"changed_at": "2026-11-21T09:30:44Z", "age_seconds": 17.25}}],
    )


_HOME = {
    "description": "What the service offers; the page, for browsers.",
    "content": {"text/html": {"schema": {"type": "string"}}},
}
_FIGURES = {
    "description": "Figures as Prometheus reads them.",
    "content": {"text/plain": {"schema": {"type": "string"}}},
}


@router.get("/", response_model=Offered, responses={200: _HOME})
async def home(request: Request) -> Response:
    """What the service offers, which tells that it is alive; for browsers a page."""
    if "text/html" in request.headers.get("accept", "").lower():
        return FileResponse(_STATIC / "index.html", headers=_FRESH)
    offered = {
        "status": "alive",
        "product": f"{request.base_url}product/{{product_id}}",
        "user": f"{request.base_url}user/{{user_id}}",
        "answers": str(request.url_for("answers")),
        "ingestions": f"{request.base_url}trips/ingestions",
        "description": str(request.url_for("openapi")),
        "docs": str(request.url_for("docs")),
        "upload_limit": service_of(request).settings.upload_limit,
        "routes": sorted(request.app.openapi()["paths"]),
    }
    return JSONResponse(offered, headers=_FRESH)


@router.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request) -> Response:
    """The description of the API."""
    return sent(request, pydantic_core.to_json(request.app.openapi()), "application/json")


@router.get("/docs", include_in_schema=False)
async def docs(request: Request) -> Response:
    """The same for people, who can try it."""
    return FileResponse(_STATIC / "docs.html", headers={**_FRESH, **_POLICY_OF_DOCS})


@router.get("/health/live", response_model=Live, tags=["health"])
async def live(request: Request) -> Response:
    """Whether the service is there: it is, if it says so."""
    return reply(Live())


@router.get("/health/ready", response_model=Ready, tags=["health"])
async def ready(request: Request) -> Response:
    """Whether the warehouse can be read, and how old the data is."""
    service = service_of(request)
    if await service.database.published() is None:
        await run_sync(_check_readable, service)
    now = time.time()
    families = {
        family: Age(
            changed_at=None if moment is None else datetime.fromtimestamp(moment, timezone.utc),
            age_seconds=None if moment is None else round(now - moment, 3),
        )
        for family, moment in (await service.freshness.changed()).items()
    }
    return reply(Ready(families=families))


def _check_readable(service: Service) -> None:
    """Raise what is wrong with the warehouse, unless only nothing is published yet."""
    with service.warehouse.read():
        pass


@router.get("/metrics", response_class=Response, responses={200: _FIGURES}, tags=["health"])
async def metrics(request: Request) -> Response:
    """Requests by route, their times, the age of the data, answers that were kept."""
    service = service_of(request)
    told = service.metrics.told(await service.freshness.changed())
    return Response(told, headers={"Content-Type": METRICS_TYPE})


@router.get("/static/vega.js", include_in_schema=False)
async def charting(request: Request) -> Response:
    """The script that draws charts, packed if the browser unpacks it, as all do."""
    service = service_of(request)
    path = await charting_script(service.settings.scratch / "scripts", service.drawing)
    headers = {"Cache-Control": f"max-age={_SECONDS_OF_A_DAY}", "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return FileResponse(
            path, headers={**headers, "Content-Encoding": "gzip"}, media_type=_JAVASCRIPT
        )
    return Response(gzip.decompress(await run_sync(path.read_bytes)), 200, headers, _JAVASCRIPT)


class _Static(StaticFiles):
    """Files, which take no parameters."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        check(QueryParams(scope["query_string"]), ())
        return await super().get_response(path, scope)


# Swagger UI is the only thing that is used of that package, which brings it as it is released.
router.mount("/docs/files", _Static(packages=[("fastapi_offline", "static")]), name="docs_files")
router.mount("/static", _Static(directory=_STATIC), name="static")
