"""The routes of trips: the weekly average of an area, groups of similar trips, and pictures."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Annotated, Any, Literal

import pydantic_core
import sqlalchemy as sa
from anyio.to_thread import run_sync
from deltalake import DeltaTable
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from warehouse_assets.api.database import PastReading, Reading
from warehouse_assets.api.formats import Format, Formatted
from warehouse_assets.api.pictures import (
    KIND,
    OF_CHART,
    Styled,
    drawn,
    kind_called,
    specification_sent,
)
from warehouse_assets.api.problems import Refusal
from warehouse_assets.api.request import (
    AsOf,
    OfRegion,
    Ranged,
    StrictRoute,
    cursor_of,
    kind_of,
    read_cursor,
)
from warehouse_assets.api.response import (
    answer,
    answer_as_of,
    formatted,
    in_both_formats,
    page_model,
    row_model,
)
from warehouse_assets.api.service import Service, service_of
from warehouse_assets.charts import specification, values_of
from warehouse_assets.defs.trips.answers import (
    Box,
    Match,
    WeeklyTrips,
    weekly_trips_of_box,
    weekly_trips_of_region,
)
from warehouse_assets.defs.trips.groups import (
    HOURS,
    MAP,
    ORDER,
    Filter,
    Likeness,
    TooManyGroupsError,
    groups_of,
    tile_centre,
)
from warehouse_assets.defs.trips.tables import DAILY_TRIPS, TRIP_GROUPS, TRIPS, WEEKLY_TRIPS
from warehouse_assets.drawing import specified
from warehouse_assets.history.as_of import tables_at
from warehouse_assets.setting_types import PartOfDay, Zoom
from warehouse_assets.tables import column_names

router = APIRouter(prefix="/trips", tags=["trips"], route_class=StrictRoute)

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
    groups_joined=(int, Field(description="Neighbours that are one in it; 1 without `merge`.")),
    origin=(Point, Field(description="Centre of the origin's tile.")),
    destination=(Point, Field(description="Centre of the destination's tile.")),
)
_PAGE_OF_GROUPS = page_model(
    "Groups",
    _GROUP,
    zoom=(int, Field(description="Zoom of the tiles.")),
    hours=(int, Field(description="Hours of a part of the day.")),
    trips=(int, Field(description="Trips in all groups, on whichever page.")),
    all_groups=(int, Field(description="How many groups these are.")),
    share_in_groups=(
        float | None,
        Field(description="Share of the trips that are in groups of two or more; null if none."),
    ),
)
_OF_AVERAGE = in_both_formats(
    "week_start,trips\r\n2018-05-21,4\r\n2018-05-28,1\r\n",
    "The average; as CSV the series that it is made of.",
)
_NAMES = column_names(TRIP_GROUPS)
_COLUMNS = (
    *_NAMES,
    *("origin_lon", "origin_lat", "destination_lon", "destination_lat", "groups_joined"),
)
_OF_GROUPS = in_both_formats(
    ",".join(_COLUMNS) + "\r\n",
    "A page; the header `Link` leads to the next one, too.",
)


class _InBox(AsOf, Ranged, OfRegion):
    """What may be said behind the `?` of trips in a region, a range of days or a box."""

    min_lon: float | None = Field(None, description="West side, degrees.", examples=[14.40])
    min_lat: float | None = Field(None, description="South side, degrees.", examples=[50.05])
    max_lon: float | None = Field(None, description="East side, degrees.", examples=[14.45])
    max_lat: float | None = Field(None, description="North side, degrees.", examples=[50.10])
    match: Match | None = Field(
        None, description="Which end of a trip is in the box; without it that is the origin."
    )

    def box(self) -> Box | None:
        """The box; None if none of its sides is given.

        Raises:
            Refusal: half a box is given, or one that is none.
        """
        sides = (self.min_lon, self.min_lat, self.max_lon, self.max_lat)
        given = [side for side in sides if side is not None]
        if not given:
            if self.match is not None:
                reason = "It says which end of a trip is in the box, and there is none."
                raise Refusal(422, reason, "match")
            return None
        if len(given) < len(sides):
            reason = "Say all four sides of a box: min_lon, min_lat, max_lon and max_lat."
            raise Refusal(422, reason, "min_lon")
        try:
            return Box(*given)
        except ValueError as error:
            raise Refusal(422, f"The box cannot be used: {error}.", "min_lon") from None


class _Area(Formatted, _InBox):
    """What may be said behind the `?` of the average: a region, or all four sides of a box."""

    def area(self) -> Box | str:
        """The box or the region.

        Raises:
            Refusal: neither or both are given, or what is no box.
        """
        box = self.box()
        if self.region is not None and box is None:
            return self.region
        if self.region is not None or box is None:
            reason = "Say either region, or min_lon, min_lat, max_lon and max_lat."
            raise Refusal(422, reason, "region")
        return box


@router.get("/weekly-average", response_model=WeeklyAverage, responses=_OF_AVERAGE)
async def weekly_average(request: Request, said: Annotated[_Area, Query()]) -> Response:
    """How many trips per week a region has, or a box of degrees, edges included.

    Say either `region` or all four sides of the box.
    """
    days, format_, area = said.days, said.wanted(request), said.area()
    if isinstance(area, Box):
        service, match = service_of(request), said.match or "origin"

        def found(box: Box) -> WeeklyTrips:
            return weekly_trips_of_box(service.lake, box, match, days, _trips_at(service, said))

        return _average(request, await run_sync(found, area), format_)

    def make(reading: Reading | PastReading) -> Response:
        weekly = weekly_trips_of_region(reading.connection, area, days)
        if weekly is None:
            raise Refusal(404, "There are no trips of this region.")
        return _average(request, weekly, format_)

    return await answer_as_of(request, [DAILY_TRIPS, WEEKLY_TRIPS], said.as_of, make)


def _trips_at(service: Service, said: AsOf) -> DeltaTable | None:
    """The version of the trips that is asked for; None if that of now."""
    if said.as_of is None:
        return None
    return tables_at(service.lake, service.warehouse, said.as_of, [TRIPS])[str(TRIPS.name)]


def _average(request: Request, weekly: WeeklyTrips, format_: Format) -> Response:
    told = {  # a `WeeklyAverage`; models of as many weeks as may be asked for would take seconds
        "average_trips_per_week": weekly.average,
        "trips": weekly.trips,
        "weeks": len(weekly.weeks),
        "series": [{"week_start": week, "trips": number} for week, number in weekly.weeks],
    }
    return formatted(request, format_, told, ("week_start", "trips"), weekly.weeks)


class _Groups(Formatted, _InBox):
    """What may be said behind the `?` of groups."""

    zoom: Zoom | None = Field(
        None,
        description="Zoom of the tiles, 0 to 24; without it TRIP_GROUPS_ZOOM.",
        examples=[12],
    )
    hours: PartOfDay | None = Field(
        None,
        description="Hours of a part of the day; without it TRIP_GROUPS_HOURS.",
        json_schema_extra={"enum": [*HOURS]},
    )
    merge: Literal["neighbours"] | None = Field(
        None, description="Whether groups whose tiles and parts of the day touch are one."
    )
    hour_of_day: int | None = Field(
        None,
        ge=0,
        le=23,
        description="Groups of the part of the day with this hour.",
        examples=[8],
    )
    min_trips: int = Field(1, ge=1, lt=1 << 62, description="Least trips of a group.")
    limit: int = Field(100, ge=1, le=1000, description="Groups on a page.")
    after: str | None = Field(None, description="`next` of the page before.")


@router.get("/groups", response_model=_PAGE_OF_GROUPS, responses=_OF_GROUPS)
async def groups(request: Request, said: Annotated[_Groups, Query()]) -> Response:
    """Groups of similar trips, those with the most trips first; say how similar they are."""
    format_, place, service = said.wanted(request), None, service_of(request)
    likeness = Likeness(
        service.settings.trip_groups_zoom if said.zoom is None else said.zoom,
        said.hours or service.settings.trip_groups_hours,
        said.merge is not None,
    )
    filter_ = Filter(
        said.region, said.hour_of_day, said.days, said.box(), said.match or "origin", said.min_trips
    )
    if said.after is not None:
        place = read_cursor(said.after, map(kind_of, ORDER))

    def make(at: DeltaTable | None) -> Response:
        try:
            found = groups_of(
                service.lake, service.settings, likeness, filter_, said.limit + 1, place, at
            )
        except TooManyGroupsError as error:
            raise Refusal(422, f"{str(error).capitalize()}.", "merge") from None
        page = [_group(group, likeness.zoom) for group in found.rows[: said.limit]]
        following = None
        if len(found.rows) > said.limit:
            following = cursor_of([page[-1][column.name] for column in ORDER])
        told = {
            "zoom": likeness.zoom,
            "hours": likeness.hours,
            "trips": found.trips,
            "all_groups": found.groups,
            "share_in_groups": found.share_in_groups,
            "items": page,
            "next": following,
        }
        return formatted(request, format_, told, _COLUMNS, map(_row, page), following)

    return await _of_groups(request, said, make)


async def _of_groups(
    request: Request, said: AsOf, make: Callable[[DeltaTable | None], Response]
) -> Response:
    """What `make` makes of the groups of now, or of those of a former version of the trips."""
    if said.as_of is not None:
        return await run_sync(lambda: make(_trips_at(service_of(request), said)))
    return await answer(request, [TRIP_GROUPS], lambda _: make(None))


def _group(group: Mapping[str, Any], zoom: int) -> dict[str, Any]:
    """A `Group`."""
    told = dict(group)
    for end in ("origin", "destination"):
        lon, lat = tile_centre(told[f"{end}_tile_x"], told[f"{end}_tile_y"], zoom)
        told[end] = {"lon": lon, "lat": lat}
    return told


def _row(group: Mapping[str, Any]) -> list[Any]:
    """A group as CSV has it: both centres as two columns each."""
    ends = (*group["origin"].values(), *group["destination"].values())
    return [*(group[name] for name in _NAMES), *ends, group["groups_joined"]]


class _Weeks(AsOf, OfRegion, Styled):
    """What may be said behind the `?` of the weeks."""


class _Map(_Weeks):
    """What may be said behind the `?` of the map."""

    zoom: Zoom = Field(14, description="Zoom of the tiles, 0 to 24.")
    hours: PartOfDay = Field(
        24, description="Hours of a part of the day.", json_schema_extra={"enum": [*HOURS]}
    )


@router.get("/map.{kind}", response_class=Response, responses=OF_CHART)
async def trips_map(request: Request, kind: KIND, said: Annotated[_Map, Query()]) -> Response:
    """A map of the most travelled groups, for each of the regions with the most trips."""
    service, likeness = service_of(request), Likeness(said.zoom, said.hours)
    wanted = kind_called(kind)

    def make(at: DeltaTable | None) -> Response:
        some, of_region = _GROUPS_ON_THE_MAP, Filter(said.region)
        found = groups_of(service.lake, service.settings, likeness, of_region, some, at=at)
        rows = [_row(_group(group, said.zoom)) for group in found.rows]
        values = values_of(_COLUMNS, rows)
        note = "There are no rows." if not rows else ""
        if found.groups > len(rows):
            note = f"The first {len(rows):,} of {found.groups:,} groups."
        title = "The most travelled groups of similar trips"
        spec = specification(MAP, title, lambda _: values, said.style, note)
        return specification_sent(request, pydantic_core.to_json(spec))

    return await drawn(request, await _of_groups(request, said, make), wanted)


@router.get("/weeks.svg", response_class=Response, responses=OF_CHART)
async def trips_by_week(request: Request, said: Annotated[_Weeks, Query()]) -> Response:
    """The chart of `/answers/weekly_trips`, of all regions or of one."""
    rows = sa.select(WEEKLY_TRIPS)
    if said.region is not None:
        rows = rows.where(WEEKLY_TRIPS.c.region == said.region)
    settings = service_of(request).settings

    def make(reading: Reading | PastReading) -> Response:
        spec = specified(reading.connection, WEEKLY_TRIPS, settings, said.style, rows=rows)
        return specification_sent(request, spec)

    made = await answer_as_of(request, [WEEKLY_TRIPS], said.as_of, make)
    return await drawn(request, made, "svg")
