"""The routes of trips: the weekly average of an area, groups of similar trips, and pictures."""

from datetime import date
from typing import Annotated, Any
from urllib.parse import urlencode

import sqlalchemy as sa
from anyio.to_thread import run_sync
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from warehouse_assets.api import charts, cursor
from warehouse_assets.api.database import Reading
from warehouse_assets.api.deps import TheService
from warehouse_assets.api.formats import (
    MEDIA_TYPES,
    Format,
    FormatQuery,
    in_both_formats,
    plain,
    to_csv,
    to_json,
    wanted,
)
from warehouse_assets.api.parameters import Day, Region, StrictRoute, days_of
from warehouse_assets.api.problems import Refusal, problems
from warehouse_assets.api.published import (
    UNCHANGED,
    Content,
    answer,
    etag,
    headers_of,
    refuse_unchanged,
)
from warehouse_assets.defs.trips.areas import (
    Box,
    Match,
    WeeklyTrips,
    weekly_trips_by_region,
    weekly_trips_of_box,
    weekly_trips_of_region,
)
from warehouse_assets.defs.trips.groups import Filter, Place, most_travelled, tile_centre
from warehouse_assets.defs.trips.tables import DAILY_TRIPS, TRIP_GROUPS, TRIPS, WEEKLY_TRIPS
from warehouse_assets.lake import Lake
from warehouse_assets.tables import key_names

router = APIRouter(prefix="/trips", tags=["trips"], route_class=StrictRoute)

_TOO_LARGE = 1 << 62  # for a number of a database
_GROUPS_ON_THE_MAP = 600
_ORDER = [TRIP_GROUPS.c.trips.type, *(TRIP_GROUPS.c[name].type for name in key_names(TRIP_GROUPS))]


class Week(BaseModel):
    """A week of the series."""

    week_start: date = Field(description="Monday with which the week begins.")
    trips: int


class WeeklyAverage(BaseModel):
    """The weekly average of an area and what it is made of."""

    average_trips_per_week: float | None = Field(
        description="trips / weeks; null if there is no week."
    )
    trips: int = Field(description="Trips of the area, within the range of days if one is given.")
    weeks: int = Field(
        description="Weeks from that of the first trip to that of the last, weeks without trips "
        "included; with a range of days, the weeks that it touches."
    )
    series: list[Week] = Field(description="Each of the weeks.")


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


_OF_AVERAGE: Any = {
    200: in_both_formats(
        {
            "average_trips_per_week": 2.5,
            "trips": 5,
            "weeks": 2,
            "series": [
                {"week_start": "2018-05-21", "trips": 4},
                {"week_start": "2018-05-28", "trips": 1},
            ],
        },
        "week_start,trips\r\n2018-05-21,4\r\n2018-05-28,1\r\n",
        "The average; as CSV the series that it is made of.",
    ),
    **UNCHANGED,
    **problems(404, 422, 503),
}
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


def _as_row(group: dict[str, Any]) -> dict[str, Any]:
    """A group as CSV has it: both centres as two columns each."""
    row = {name: value for name, value in group.items() if not isinstance(value, dict)}
    ends = ("origin", "destination")
    return row | {f"{end}_{side}": group[end][side] for end in ends for side in ("lon", "lat")}


_OF_GROUPS: Any = {
    200: in_both_formats(
        {"groups": [_GROUP_EXAMPLE], "next": None},
        to_csv(tuple(_as_row(_GROUP_EXAMPLE)), [tuple(_as_row(_GROUP_EXAMPLE).values())]).decode(),
        "A page; the header `Link` leads to the next one, too.",
    ),
    **UNCHANGED,
    **problems(422, 503),
}
_OF_PICTURE: Any = {
    200: {
        "description": "The picture.",
        "content": {"image/svg+xml": {"schema": {"type": "string"}}},
    },
    **UNCHANGED,
    **problems(422, 503),
}


@router.get("/weekly-average", response_model=WeeklyAverage, responses=_OF_AVERAGE)
async def weekly_average(
    request: Request,
    service: TheService,
    region: Region = None,
    min_lon: Annotated[float | None, Query(examples=[14.40])] = None,
    min_lat: Annotated[float | None, Query(examples=[50.05])] = None,
    max_lon: Annotated[float | None, Query(examples=[14.45])] = None,
    max_lat: Annotated[float | None, Query(examples=[50.10])] = None,
    match: Annotated[
        Match | None,
        Query(description="Which end of a trip is in the box; without it that is the origin."),
    ] = None,
    first: Annotated[Day | None, Query(alias="from", description="First day.")] = None,
    last: Annotated[Day | None, Query(alias="to", description="Last day, included.")] = None,
    said: FormatQuery = None,
) -> Response:
    """How many trips per week a region has, or a box of degrees, edges included.

    Say either `region` or all four sides of the box.
    """
    days, shape = days_of(first, last), wanted(request, said)
    if region is not None and (min_lon, min_lat, max_lon, max_lat) == (None,) * 4:
        if match is not None:
            raise Refusal(
                422, "It says which end of a trip is in the box, and there is none.", "match"
            )

        def make(reading: Reading) -> Content:
            weekly = weekly_trips_of_region(reading.connection, region, days)
            if weekly is None:
                raise Refusal(404, "There are no trips of this region.")
            return _average(weekly, shape)

        return await answer(request, [DAILY_TRIPS, WEEKLY_TRIPS], make, shape)
    if region is not None or min_lon is None or min_lat is None:
        raise Refusal(422, "Say either region, or min_lon, min_lat, max_lon and max_lat.", "region")
    if max_lon is None or max_lat is None:
        raise Refusal(422, "The box needs max_lon and max_lat, too.", "max_lon")
    try:
        box = Box(min_lon, min_lat, max_lon, max_lat)
    except ValueError as error:
        raise Refusal(422, f"The box cannot be used: {error}.", "min_lon") from None

    def of_box() -> Response:
        headers = _headers_of_trips(request, service.lake, shape)
        made = _average(weekly_trips_of_box(service.lake, box, match or "origin", days), shape)
        return Response(made.body, headers=headers, media_type=made.media_type)

    return await run_sync(of_box)


def _average(weekly: WeeklyTrips, shape: Format) -> Content:
    if shape == "csv":
        return Content(to_csv(("week_start", "trips"), weekly.weeks), MEDIA_TYPES[shape])
    told = {  # a `WeeklyAverage`; models of as many weeks as may be asked for would take seconds
        "average_trips_per_week": weekly.average,
        "trips": weekly.trips,
        "weeks": len(weekly.weeks),
        "series": [{"week_start": week.isoformat(), "trips": n} for week, n in weekly.weeks],
    }
    return Content(to_json(told), MEDIA_TYPES[shape])


def _headers_of_trips(request: Request, lake: Lake, shape: Format) -> dict[str, str]:
    """The headers of an answer that is made of the lake's trips, unless it is known."""
    handle = lake.table(TRIPS).open_existing()
    versions: list[tuple[str, str, int]] = []
    if handle is not None:
        versions = [(str(TRIPS.name), str(handle.metadata().id), handle.version())]
    tag = etag(versions, request.scope, shape)
    refuse_unchanged(request, tag)
    return headers_of(tag)


@router.get("/groups", response_model=Groups, responses=_OF_GROUPS)
async def groups(
    request: Request,
    service: TheService,
    region: Region = None,
    hour_of_day: Annotated[int | None, Query(ge=0, le=23)] = None,
    min_trips: Annotated[
        int, Query(ge=1, lt=_TOO_LARGE, description="Least trips of a group.")
    ] = 1,
    limit: Annotated[int, Query(ge=1, le=1000, description="Groups on a page.")] = 100,
    after: Annotated[str | None, Query(description="`next` of the page before.")] = None,
    said: FormatQuery = None,
) -> Response:
    """Groups of similar trips, those with the most trips first."""
    shape, zoom = wanted(request, said), service.settings.trip_groups_zoom
    place = None
    if after is not None:
        trips, *key = cursor.decode(after, _ORDER)
        place = Place(trips, tuple(key))

    def make(reading: Reading) -> Content:
        filter_ = Filter(region, hour_of_day, min_trips)
        found = most_travelled(reading.connection, filter_, limit + 1, place)
        page = [_group(group, zoom) for group in found[:limit]]
        following = link = None
        if len(found) > limit:
            end = Place.of(found[limit - 1])
            following = cursor.encode([end.trips, *end.key])
            link = urlencode({**request.query_params, "after": following})
        if shape == "csv":
            rows = [_as_row(group) for group in page]
            names = tuple(_as_row(_GROUP_EXAMPLE))
            return Content(
                to_csv(names, [list(row.values()) for row in rows]), MEDIA_TYPES[shape], link
            )
        return Content(to_json({"groups": page, "next": following}), MEDIA_TYPES[shape], link)

    return await answer(request, [TRIP_GROUPS], make, f"{shape} {zoom}")


def _group(group: sa.RowMapping, zoom: int) -> dict[str, Any]:
    """A `Group`."""
    told = {name: plain(value) for name, value in group.items()}
    for end in ("origin", "destination"):
        lon, lat = tile_centre(group[f"{end}_tile_x"], group[f"{end}_tile_y"], zoom)
        told[end] = {"lon": lon, "lat": lat}
    return told


@router.get("/map.svg", response_class=Response, responses=_OF_PICTURE)
async def trips_map(request: Request, service: TheService, region: Region = None) -> Response:
    """A map of the most travelled groups, by region."""
    zoom = service.settings.trip_groups_zoom

    def make(reading: Reading) -> Content:
        found = most_travelled(reading.connection, Filter(region), _GROUPS_ON_THE_MAP)
        return _picture(charts.trips_map(_line(group, zoom) for group in found))

    return await answer(request, [TRIP_GROUPS], make, f"svg {zoom}")


@router.get("/weeks.svg", response_class=Response, responses=_OF_PICTURE)
async def trips_by_week(request: Request, region: Region = None) -> Response:
    """A chart of the trips of each week, by region."""

    def make(reading: Reading) -> Content:
        return _picture(charts.trips_by_week(weekly_trips_by_region(reading.connection, region)))

    return await answer(request, [WEEKLY_TRIPS], make, "svg")


def _picture(svg: str) -> Content:
    return Content(svg.encode(), "image/svg+xml")


def _line(group: sa.RowMapping, zoom: int) -> charts.Line:
    return charts.Line(
        group["region"],
        tile_centre(group["origin_tile_x"], group["origin_tile_y"], zoom),
        tile_centre(group["destination_tile_x"], group["destination_tile_y"], zoom),
        group["trips"],
    )
