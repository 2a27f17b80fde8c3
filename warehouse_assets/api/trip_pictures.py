"""The routes of the pictures of trips: a map of the groups, a chart of the weeks."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Request
from fastapi.responses import Response

from warehouse_assets.api import pictures
from warehouse_assets.api.deps import TheRegion, TheSettings, TheWarehouse
from warehouse_assets.api.problems import problems
from warehouse_assets.api.validators import UNCHANGED, reading
from warehouse_assets.trips.areas import weekly_trips_by_region
from warehouse_assets.trips.groups import Filter, most_travelled, tile_centre
from warehouse_assets.trips.tables import TRIP_GROUPS, WEEKLY_TRIPS

router = APIRouter(prefix="/trips", tags=["trips"])

_GROUPS_ON_THE_MAP = 600
_OF_PICTURE: Any = {
    200: {
        "description": "The picture.",
        "content": {"image/svg+xml": {"schema": {"type": "string"}}},
    },
    **UNCHANGED,
    **problems(422, 503),
}


@router.get("/map.svg", response_class=Response, responses=_OF_PICTURE)
def trips_map(
    request: Request, warehouse: TheWarehouse, settings: TheSettings, region: TheRegion = None
) -> Response:
    """A map of the most travelled groups, by region."""
    zoom = settings.trip_groups_zoom
    with reading(request, warehouse, [TRIP_GROUPS], f"svg {zoom}") as answer:
        found = most_travelled(answer.connection, Filter(region), _GROUPS_ON_THE_MAP)
    lines = [_line(group, zoom) for group in found]
    return _picture(pictures.trips_map(lines), answer.headers)


@router.get("/weeks.svg", response_class=Response, responses=_OF_PICTURE)
def trips_by_week(request: Request, warehouse: TheWarehouse, region: TheRegion = None) -> Response:
    """A chart of the trips of each week, by region."""
    with reading(request, warehouse, [WEEKLY_TRIPS], "svg") as answer:
        by_region = weekly_trips_by_region(answer.connection, region)
    return _picture(pictures.trips_by_week(by_region), answer.headers)


def _picture(svg: str, headers: Mapping[str, str]) -> Response:
    return Response(svg, media_type="image/svg+xml", headers=dict(headers))


def _line(group: sa.RowMapping, zoom: int) -> pictures.Line:
    return pictures.Line(
        group["region"],
        tile_centre(group["origin_tile_x"], group["origin_tile_y"], zoom),
        tile_centre(group["destination_tile_x"], group["destination_tile_y"], zoom),
        group["trips"],
    )
