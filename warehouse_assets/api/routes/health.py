"""The routes for whoever watches the service: whether it lives, whether it can answer, figures."""

import time
from datetime import datetime, timezone

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from warehouse_assets.api.deps import Service, reply, service_of
from warehouse_assets.api.metrics import MEDIA_TYPE
from warehouse_assets.api.parameters import StrictRoute
from warehouse_assets.api.problems import GUARDED, problems

router = APIRouter(tags=["health"], route_class=StrictRoute, responses=problems(422))


class Live(BaseModel):
    """The service is there."""

    status: str = Field("live", description="Always live.", examples=["live"])


class Age(BaseModel):
    """How old the data of a family is."""

    changed_at: datetime | None = Field(
        description="When its rows were last written to the lake; null if it has none here."
    )
    age_seconds: float | None


class Ready(BaseModel):
    """The service can answer."""

    status: str = Field("ready", description="Always ready.", examples=["ready"])
    families: dict[str, Age] = Field(
        description="How old the data of each family is, looked up every 15 seconds.",
        examples=[{"forum": {"changed_at": "2026-11-21T09:30:44Z", "age_seconds": 17.25}}],
    )


@router.get("/health/live", response_model=Live)
async def live(request: Request) -> Response:
    """Whether the service is there: it is, if it says so."""
    return reply(Live(status="live"))


@router.get("/health/ready", response_model=Ready, responses=problems(503))
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
    return reply(Ready(status="ready", families=families))


def _check_readable(service: Service) -> None:
    """Raise what is wrong with the warehouse, unless only nothing is published yet."""
    with service.warehouse.read():
        pass


_FIGURES = {
    "description": "Figures as Prometheus reads them.",
    "content": {"text/plain": {"schema": {"type": "string"}}},
}


@router.get("/metrics", response_class=Response, responses={200: _FIGURES, **GUARDED})
async def metrics(request: Request) -> Response:
    """Requests by route, their times, the age of the data, answers that were kept."""
    service = service_of(request)
    told = service.metrics.told(await service.freshness.changed())
    return Response(told, headers={"Content-Type": MEDIA_TYPE})
