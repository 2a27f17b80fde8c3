"""The route of the groups of similar trips, those with the most trips first."""

import base64
import json
from typing import Annotated, Any
from urllib.parse import urlencode

import sqlalchemy as sa
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from warehouse_assets.api.deps import TheRegion, TheSettings, TheWarehouse
from warehouse_assets.api.problems import Refusal, problems
from warehouse_assets.api.shapes import TheShape, described, response, to_csv, to_json
from warehouse_assets.api.validators import UNCHANGED, reading
from warehouse_assets.schema import key_names
from warehouse_assets.trips.groups import Filter, Place, most_travelled, tile_centre
from warehouse_assets.trips.tables import TRIP_GROUPS

router = APIRouter(prefix="/trips", tags=["trips"])

_TOO_LARGE = 1 << 62  # for a number of a database


class Point(BaseModel):
    """The centre of a tile, in degrees."""

    lon: float
    lat: float


class Group(BaseModel):
    """A group of similar trips."""

    region: str
    origin_tile_x: int
    origin_tile_y: int
    destination_tile_x: int
    destination_tile_y: int
    hour_of_day: int
    trips: int
    first_trip_at: str
    last_trip_at: str
    origin: Point = Field(description="Centre of the origin's tile.")
    destination: Point = Field(description="Centre of the destination's tile.")


class Groups(BaseModel):
    """A page of groups, those with the most trips first."""

    groups: list[Group]
    next: str | None = Field(description="`after` of the next page; null on the last one.")


_GROUP_EXAMPLE: dict[str, Any] = {
    "region": "Prague",
    "origin_tile_x": 8847,
    "origin_tile_y": 5550,
    "destination_tile_x": 8851,
    "destination_tile_y": 5546,
    "hour_of_day": 9,
    "trips": 3,
    "first_trip_at": "2018-05-21T09:03:40",
    "last_trip_at": "2018-05-28T09:59:01",
    "origin": {"lon": 14.403, "lat": 50.007},
    "destination": {"lon": 14.491, "lat": 50.063},
}
_GROUPS_AS_CSV = (
    "region,origin_tile_x,origin_tile_y,destination_tile_x,destination_tile_y,hour_of_day,trips,"
    "first_trip_at,last_trip_at,origin_lon,origin_lat,destination_lon,destination_lat\r\n"
    "Prague,8847,5550,8851,5546,9,3,2018-05-21T09:03:40,2018-05-28T09:59:01,14.403,50.007,"
    "14.491,50.063\r\n"
)
_NAMES_OF_GROUPS = _GROUPS_AS_CSV.partition("\r\n")[0].split(",")
_OF_GROUPS: Any = {
    200: described(
        {"groups": [_GROUP_EXAMPLE], "next": None},
        _GROUPS_AS_CSV,
        "A page; the header `Link` leads to the next one, too.",
    ),
    **UNCHANGED,
    **problems(422, 503),
}


@router.get("/groups", response_model=Groups, responses=_OF_GROUPS)
def groups(
    request: Request,
    shape: TheShape,
    warehouse: TheWarehouse,
    settings: TheSettings,
    region: TheRegion = None,
    hour_of_day: Annotated[int | None, Query(ge=0, le=23)] = None,
    min_trips: Annotated[
        int, Query(ge=1, lt=_TOO_LARGE, description="Least trips of a group.")
    ] = 1,
    limit: Annotated[int, Query(ge=1, le=1000, description="Groups on a page.")] = 100,
    after: Annotated[str | None, Query(description="`next` of the page before.")] = None,
) -> Response:
    """Groups of similar trips, those with the most trips first."""
    place = None if after is None else _place(after)
    wanted = Filter(region, hour_of_day, min_trips)
    zoom = settings.trip_groups_zoom
    with reading(request, warehouse, [TRIP_GROUPS], f"{shape} {zoom}") as answer:
        found = most_travelled(answer.connection, wanted, limit + 1, place)
    page = [_group(group, zoom) for group in found[:limit]]
    following = _cursor(Place.of(found[limit - 1])) if len(found) > limit else None
    headers = dict(answer.headers)
    if following:
        asked = {**dict(request.query_params), "after": following}
        headers["Link"] = f'<?{urlencode(asked)}>; rel="next"'
    if shape == "csv":
        return response(to_csv(_NAMES_OF_GROUPS, map(_group_as_row, page)), shape, headers)
    told = Groups(groups=page, next=following)
    return response(to_json(told.model_dump(mode="json")), shape, headers)


def _group_as_row(group: Group) -> list[Any]:
    values = group.model_dump(exclude={"origin", "destination"}).values()
    ends = (group.origin, group.destination)
    return [*values, *(degrees for end in ends for degrees in (end.lon, end.lat))]


def _group(group: sa.RowMapping, zoom: int) -> Group:
    origin = tile_centre(group["origin_tile_x"], group["origin_tile_y"], zoom)
    destination = tile_centre(group["destination_tile_x"], group["destination_tile_y"], zoom)
    values: dict[str, Any] = {
        name: value.isoformat() if name.endswith("_at") else value for name, value in group.items()
    }
    return Group(
        **values,
        origin=Point(lon=origin[0], lat=origin[1]),
        destination=Point(lon=destination[0], lat=destination[1]),
    )


def _cursor(place: Place) -> str:
    return base64.urlsafe_b64encode(json.dumps([place.trips, *place.key]).encode()).decode()


def _place(cursor: str) -> Place:
    try:
        trips, region, *numbers = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        is_usable = isinstance(region, str) and len(numbers) == len(key_names(TRIP_GROUPS)) - 1
        is_usable &= all(isinstance(n, int) and abs(n) < _TOO_LARGE for n in (trips, *numbers))
    except (ValueError, TypeError):
        is_usable = False
    if not is_usable:
        raise Refusal(422, "It is not the `next` of a page.", "after")
    return Place(trips, (region, *numbers))
