"""The routes of trips: the weekly average of an area, groups of similar trips, and pictures."""

from datetime import date
from typing import Annotated, Any

import sqlalchemy as sa
from anyio.to_thread import run_sync
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from warehouse_assets.api import charts
from warehouse_assets.api.database import Reading
from warehouse_assets.api.problems import PROBLEMS, Refusal
from warehouse_assets.api.request import (
    OfRegion,
    Ranged,
    StrictRoute,
    cursor_of,
    kind_of,
    read_cursor,
)
from warehouse_assets.api.response import (
    UNCHANGED,
    Format,
    Formatted,
    answer,
    formatted,
    in_both_formats,
    page_model,
    row_model,
    sent,
)
from warehouse_assets.api.service import service_of
from warehouse_assets.defs.trips.answers import (
    ORDER,
    Box,
    Filter,
    Match,
    WeeklyTrips,
    most_travelled,
    tile_centre,
    weekly_trips_by_region,
    weekly_trips_of_box,
    weekly_trips_of_region,
)
from warehouse_assets.defs.trips.tables import DAILY_TRIPS, TRIP_GROUPS, WEEKLY_TRIPS
from warehouse_assets.tables import column_names

router = APIRouter(prefix="/trips", tags=["trips"], route_class=StrictRoute, responses=PROBLEMS)

_GROUPS_ON_THE_MAP = 600


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


_GROUP = row_model(
    "Group",
    {str(column.name): column for column in TRIP_GROUPS.columns},
    origin=(Point, Field(description="Centre of the origin's tile.")),
    destination=(Point, Field(description="Centre of the destination's tile.")),
)
_OF_AVERAGE = in_both_formats(
    "week_start,trips\r\n2018-05-21,4\r\n2018-05-28,1\r\n",
    "The average; as CSV the series that it is made of.",
)
_NAMES = column_names(TRIP_GROUPS)
_COLUMNS = (*_NAMES, "origin_lon", "origin_lat", "destination_lon", "destination_lat")
_OF_GROUPS = in_both_formats(
    ",".join(_COLUMNS) + "\r\n",
    "A page; the header `Link` leads to the next one, too.",
)
_OF_PICTURE: Any = {
    200: {
        "description": "The picture.",
        "content": {"image/svg+xml": {"schema": {"type": "string"}}},
    },
    **UNCHANGED,
}


class _Area(Formatted, Ranged, OfRegion):
    """What may be said behind the `?` of the average: a region, or all four sides of a box."""

    min_lon: float | None = Field(None, examples=[14.40])
    min_lat: float | None = Field(None, examples=[50.05])
    max_lon: float | None = Field(None, examples=[14.45])
    max_lat: float | None = Field(None, examples=[50.10])
    match: Match | None = Field(
        None, description="Which end of a trip is in the box; without it that is the origin."
    )

    def box(self) -> Box | None:
        """The box; None if a region is named instead.

        Raises:
            Refusal: neither, both, or half a box is given.
        """
        sides = (self.min_lon, self.min_lat, self.max_lon, self.max_lat)
        given = [side for side in sides if side is not None]
        if self.region is not None and not given:
            if self.match is not None:
                reason = "It says which end of a trip is in the box, and there is none."
                raise Refusal(422, reason, "match")
            return None
        if self.region is not None or len(given) < len(sides):
            reason = "Say either region, or min_lon, min_lat, max_lon and max_lat."
            raise Refusal(422, reason, "region")
        try:
            return Box(*given)
        except ValueError as error:
            raise Refusal(422, f"The box cannot be used: {error}.", "min_lon") from None


@router.get("/weekly-average", response_model=WeeklyAverage, responses=_OF_AVERAGE)
async def weekly_average(request: Request, said: Annotated[_Area, Query()]) -> Response:
    """How many trips per week a region has, or a box of degrees, edges included.

    Say either `region` or all four sides of the box.
    """
    days, format_, box, region = said.days, said.wanted(request), said.box(), said.region
    if box is not None:
        lake, match = service_of(request).lake, said.match or "origin"
        weekly = await run_sync(weekly_trips_of_box, lake, box, match, days)
        return _average(request, weekly, format_)

    def make(reading: Reading) -> Response:
        weekly = weekly_trips_of_region(reading.connection, region or "", days)
        if weekly is None:
            raise Refusal(404, "There are no trips of this region.")
        return _average(request, weekly, format_)

    return await answer(request, [DAILY_TRIPS, WEEKLY_TRIPS], make)


def _average(request: Request, weekly: WeeklyTrips, format_: Format) -> Response:
    told = {  # a `WeeklyAverage`; models of as many weeks as may be asked for would take seconds
        "average_trips_per_week": weekly.average,
        "trips": weekly.trips,
        "weeks": len(weekly.weeks),
        "series": [{"week_start": week, "trips": number} for week, number in weekly.weeks],
    }
    return formatted(request, format_, told, ("week_start", "trips"), weekly.weeks)


class _Groups(Formatted, OfRegion):
    """What may be said behind the `?` of groups."""

    hour_of_day: int | None = Field(None, ge=0, le=23)
    min_trips: int = Field(1, ge=1, lt=1 << 62, description="Least trips of a group.")
    limit: int = Field(100, ge=1, le=1000, description="Groups on a page.")
    after: str | None = Field(None, description="`next` of the page before.")


@router.get("/groups", response_model=page_model("groups", _GROUP), responses=_OF_GROUPS)
async def groups(request: Request, said: Annotated[_Groups, Query()]) -> Response:
    """Groups of similar trips, those with the most trips first."""
    format_, zoom, place = said.wanted(request), _zoom(request), None
    if said.after is not None:
        place = read_cursor(said.after, map(kind_of, ORDER))

    def make(reading: Reading) -> Response:
        filter_ = Filter(said.region, said.hour_of_day, said.min_trips)
        found = most_travelled(reading.connection, filter_, said.limit + 1, place)
        page = [_group(group, zoom) for group in found[: said.limit]]
        following = None
        if len(found) > said.limit:
            following = cursor_of([found[said.limit - 1][column.name] for column in ORDER])
        told = {"groups": page, "next": following}
        return formatted(request, format_, told, _COLUMNS, map(_row, page), following)

    return await answer(request, [TRIP_GROUPS], make)


def _zoom(request: Request) -> int:
    return service_of(request).settings.trip_groups_zoom


def _group(group: sa.RowMapping, zoom: int) -> dict[str, Any]:
    """A `Group`."""
    told: dict[str, Any] = dict(zip(_NAMES, group.values(), strict=True))
    for end in ("origin", "destination"):
        lon, lat = tile_centre(told[f"{end}_tile_x"], told[f"{end}_tile_y"], zoom)
        told[end] = {"lon": lon, "lat": lat}
    return told


def _row(group: dict[str, Any]) -> list[Any]:
    """A group as CSV has it: both centres as two columns each."""
    *values, origin, destination = group.values()
    return [*values, *origin.values(), *destination.values()]


@router.get("/map.svg", response_class=Response, responses=_OF_PICTURE)
async def trips_map(request: Request, said: Annotated[OfRegion, Query()]) -> Response:
    """A map of the most travelled groups, by region."""
    zoom = _zoom(request)

    def line(group: sa.RowMapping) -> charts.Line:
        origin, destination = (
            tile_centre(group[f"{end}_tile_x"], group[f"{end}_tile_y"], zoom)
            for end in ("origin", "destination")
        )
        return charts.Line(group["region"], origin, destination, group["trips"])

    def make(reading: Reading) -> Response:
        found = most_travelled(reading.connection, Filter(said.region), _GROUPS_ON_THE_MAP)
        return _picture(request, charts.trips_map(map(line, found)))

    return await answer(request, [TRIP_GROUPS], make)


@router.get("/weeks.svg", response_class=Response, responses=_OF_PICTURE)
async def trips_by_week(request: Request, said: Annotated[OfRegion, Query()]) -> Response:
    """A chart of the trips of each week, by region."""

    def make(reading: Reading) -> Response:
        weekly = weekly_trips_by_region(reading.connection, said.region)
        return _picture(request, charts.trips_by_week(weekly))

    return await answer(request, [WEEKLY_TRIPS], make)


def _picture(request: Request, svg: str) -> Response:
    return sent(request, svg.encode(), "image/svg+xml")
