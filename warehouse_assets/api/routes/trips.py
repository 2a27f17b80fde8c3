"""The routes of the trips of each week: their average in an area, and their chart."""

from datetime import date
from typing import Annotated

import sqlalchemy as sa
from anyio.to_thread import run_sync
from deltalake import DeltaTable
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from warehouse_assets.api.database import PastReading, Reading
from warehouse_assets.api.formats import Format, Formatted
from warehouse_assets.api.pictures import OF_CHART, Styled, drawn, specification_sent
from warehouse_assets.api.problems import Refusal
from warehouse_assets.api.request import AsOf, OfRegion, Ranged, StrictRoute
from warehouse_assets.api.response import answer_as_of, formatted, in_both_formats
from warehouse_assets.api.service import Service, service_of
from warehouse_assets.defs.trips.answers import (
    Box,
    Match,
    WeeklyTrips,
    weekly_trips_of_box,
    weekly_trips_of_region,
)
from warehouse_assets.defs.trips.tables import DAILY_TRIPS, TRIPS, WEEKLY_TRIPS
from warehouse_assets.drawing import specified
from warehouse_assets.history.as_of import tables_at

router = APIRouter(prefix="/trips", tags=["trips"], route_class=StrictRoute)


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


_OF_AVERAGE = in_both_formats(
    "week_start,trips\r\n2018-05-21,4\r\n2018-05-28,1\r\n",
    "The average; as CSV the series that it is made of.",
)


class InBox(AsOf, Ranged, OfRegion):
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


class _Area(Formatted, InBox):
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
            return weekly_trips_of_box(service.lake, box, match, days, trips_at(service, said))

        return _average(request, await run_sync(found, area), format_)

    def make(reading: Reading | PastReading) -> Response:
        weekly = weekly_trips_of_region(reading.connection, area, days)
        if weekly is None:
            raise Refusal(404, "There are no trips of this region.")
        return _average(request, weekly, format_)

    return await answer_as_of(request, [DAILY_TRIPS, WEEKLY_TRIPS], said.as_of, make)


def trips_at(service: Service, said: AsOf) -> DeltaTable | None:
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


class Weeks(AsOf, OfRegion, Styled):
    """What may be said behind the `?` of the weeks."""


@router.get("/weeks.svg", response_class=Response, responses=OF_CHART)
async def trips_by_week(request: Request, said: Annotated[Weeks, Query()]) -> Response:
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
