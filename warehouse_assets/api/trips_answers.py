"""The answers about trips: weekly averages of regions and boxes, groups, and their pictures."""

import base64
import json
from datetime import date
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field

from warehouse_assets.api import pictures
from warehouse_assets.api.deps import TheLake, TheSettings, TheWarehouse
from warehouse_assets.api.problems import Refusal, problems
from warehouse_assets.schema import key_names
from warehouse_assets.trips.areas import (
    Box,
    Days,
    Match,
    WeeklyTrips,
    weekly_trips_by_region,
    weekly_trips_of_box,
    weekly_trips_of_region,
)
from warehouse_assets.trips.groups import Filter, Place, most_travelled, tile_centre
from warehouse_assets.trips.tables import DAILY_TRIPS, TRIP_GROUPS, WEEKLY_TRIPS

router = APIRouter(prefix="/trips", tags=["trips"])

_SECONDS_UNTIL_PUBLISHED = "10"
_GROUPS_ON_THE_MAP = 600
_TOO_LARGE = 1 << 62  # for a number of a database
_FRESH = {"Cache-Control": "max-age=10"}

_Region = Annotated[str | None, Query(description="A region.", examples=["Prague"])]


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

    @classmethod
    def of(cls, weekly: WeeklyTrips) -> "WeeklyAverage":
        """The answer that tells of `weekly`."""
        series = [Week(week_start=week, trips=trips) for week, trips in weekly.weeks]
        return cls(
            average_trips_per_week=weekly.average,
            trips=weekly.trips,
            weeks=len(series),
            series=series,
        )


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


@router.get("/weekly-average", responses=problems(404, 422, 503))
def weekly_average(
    warehouse: TheWarehouse,
    lake: TheLake,
    region: _Region = None,
    min_lon: Annotated[float | None, Query(examples=[14.40])] = None,
    min_lat: Annotated[float | None, Query(examples=[50.05])] = None,
    max_lon: Annotated[float | None, Query(examples=[14.45])] = None,
    max_lat: Annotated[float | None, Query(examples=[50.10])] = None,
    match: Annotated[Match, Query(description="Which end of a trip is in the box.")] = "origin",
    first: Annotated[date | None, Query(alias="from", description="First day.")] = None,
    last: Annotated[date | None, Query(alias="to", description="Last day, included.")] = None,
) -> WeeklyAverage:
    """How many trips per week a region has, or a box of degrees, edges included.

    Say either `region` or all four sides of the box.
    """
    sides = (min_lon, min_lat, max_lon, max_lat)
    days = _days(first, last)
    if region is not None and all(side is None for side in sides):
        with warehouse.read() as connection:
            _refuse_unpublished(connection, DAILY_TRIPS, WEEKLY_TRIPS)
            weekly = weekly_trips_of_region(connection, region, days)
        if weekly is None:
            raise Refusal(404, "There are no trips of this region.")
        return WeeklyAverage.of(weekly)
    if region is not None or min_lon is None or min_lat is None:
        raise Refusal(422, "Say either region, or min_lon, min_lat, max_lon and max_lat.", "region")
    if max_lon is None or max_lat is None:
        raise Refusal(422, "The box needs max_lon and max_lat, too.", "max_lon")
    try:
        box = Box(min_lon, min_lat, max_lon, max_lat)
    except ValueError as error:
        raise Refusal(422, f"The box cannot be used: {error}.", "min_lon") from None
    return WeeklyAverage.of(weekly_trips_of_box(lake, box, match, days))


@router.get("/groups", responses=problems(422, 503))
def groups(
    warehouse: TheWarehouse,
    settings: TheSettings,
    region: _Region = None,
    hour_of_day: Annotated[int | None, Query(ge=0, le=23)] = None,
    min_trips: Annotated[
        int, Query(ge=1, lt=_TOO_LARGE, description="Least trips of a group.")
    ] = 1,
    limit: Annotated[int, Query(ge=1, le=1000, description="Groups on a page.")] = 100,
    after: Annotated[str | None, Query(description="`next` of the page before.")] = None,
) -> Groups:
    """Groups of similar trips, those with the most trips first."""
    place = None if after is None else _place(after)
    wanted = Filter(region, hour_of_day, min_trips)
    with warehouse.read() as connection:
        _refuse_unpublished(connection, TRIP_GROUPS)
        found = most_travelled(connection, wanted, limit + 1, place)
    page = found[:limit]
    following = _cursor(Place.of(page[-1])) if len(found) > limit else None
    zoom = settings.trip_groups_zoom
    return Groups(groups=[_group(group, zoom) for group in page], next=following)


@router.get("/map.svg", responses={200: {"content": {"image/svg+xml": {}}}, **problems(503)})
def trips_map(warehouse: TheWarehouse, settings: TheSettings, region: _Region = None) -> Response:
    """A map of the most travelled groups, by region."""
    with warehouse.read() as connection:
        _refuse_unpublished(connection, TRIP_GROUPS)
        found = most_travelled(connection, Filter(region), _GROUPS_ON_THE_MAP)
    lines = [_line(group, settings.trip_groups_zoom) for group in found]
    return _picture(pictures.trips_map(lines))


@router.get("/weeks.svg", responses={200: {"content": {"image/svg+xml": {}}}, **problems(503)})
def trips_by_week(warehouse: TheWarehouse, region: _Region = None) -> Response:
    """A chart of the trips of each week, by region."""
    with warehouse.read() as connection:
        _refuse_unpublished(connection, WEEKLY_TRIPS)
        by_region = weekly_trips_by_region(connection, region)
    return _picture(pictures.trips_by_week(by_region))


def _picture(svg: str) -> Response:
    return Response(svg, media_type="image/svg+xml", headers=_FRESH)


def _refuse_unpublished(connection: sa.Connection, *tables: sa.Table) -> None:
    inspector = sa.inspect(connection)
    for table in tables:
        if not inspector.has_table(str(table.name)):
            raise Refusal(
                503,
                f"The table {table.name} has not been published yet. Materialise the assets of "
                "the group trips.",
                Retry_After=_SECONDS_UNTIL_PUBLISHED,
            )


def _days(first: date | None, last: date | None) -> Days:
    try:
        return Days(first, last)
    except ValueError as error:
        raise Refusal(422, f"The days cannot be used: {error}.", "from") from None


def _group(group: sa.RowMapping, zoom: int) -> Group:
    line = _line(group, zoom)
    values: dict[str, Any] = {
        name: value.isoformat() if name.endswith("_at") else value for name, value in group.items()
    }
    return Group(
        **values,
        origin=Point(lon=line.origin[0], lat=line.origin[1]),
        destination=Point(lon=line.destination[0], lat=line.destination[1]),
    )


def _line(group: sa.RowMapping, zoom: int) -> pictures.Line:
    return pictures.Line(
        group["region"],
        tile_centre(group["origin_tile_x"], group["origin_tile_y"], zoom),
        tile_centre(group["destination_tile_x"], group["destination_tile_y"], zoom),
        group["trips"],
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
