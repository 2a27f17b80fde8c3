"""The routes for whoever watches the service: whether it lives, whether it can answer, figures."""

import time
from datetime import datetime, timezone

from anyio.to_thread import run_sync
from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, Field

from warehouse_assets.api.deps import Service, TheService
from warehouse_assets.api.metrics import MEDIA_TYPE
from warehouse_assets.api.parameters import StrictRoute
from warehouse_assets.api.problems import problems

router = APIRouter(prefix="/health", tags=["health"], route_class=StrictRoute)
metrics_router = APIRouter(tags=["health"], route_class=StrictRoute)


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


@router.get("/live")
async def live() -> Live:
    """Whether the service is there: it is, if it says so."""
    return Live(status="live")


@router.get("/ready", responses=problems(503))
async def ready(service: TheService) -> Ready:
    """Whether the warehouse can be read, and how old the data is."""
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
    return Ready(status="ready", families=families)


def _check_readable(service: Service) -> None:
    """Raise what is wrong with the warehouse, unless only nothing is published yet."""
    with service.warehouse.read():
        pass


@metrics_router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {
            "description": "Figures as Prometheus reads them.",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        }
    },
)
async def metrics(service: TheService) -> Response:
    """Requests by route, their times, the age of the data, answers that were kept."""
    now = time.time()
    ages = {
        family: None if moment is None else now - moment
        for family, moment in (await service.freshness.changed()).items()
    }
    return Response(service.metrics.told(ages), headers={"Content-Type": MEDIA_TYPE})
