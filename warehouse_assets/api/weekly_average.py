"""The route of the weekly average: how many trips per week a region has, or a box."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from warehouse_assets.api.deps import TheLake, TheRegion, TheWarehouse
from warehouse_assets.api.problems import Refusal, problems
from warehouse_assets.api.shapes import Shape, TheShape, described, response, to_csv, to_json
from warehouse_assets.api.validators import (
    UNCHANGED,
    etag,
    headers_of,
    reading,
    refuse_unchanged,
)
from warehouse_assets.days import Days
from warehouse_assets.lake import Lake
from warehouse_assets.trips.areas import (
    Box,
    Match,
    WeeklyTrips,
    weekly_trips_of_box,
    weekly_trips_of_region,
)
from warehouse_assets.trips.tables import DAILY_TRIPS, TRIPS, WEEKLY_TRIPS

router = APIRouter(prefix="/trips", tags=["trips"])


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


_OF_AVERAGE: Any = {
    200: described(
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


@router.get("/weekly-average", response_model=WeeklyAverage, responses=_OF_AVERAGE)
def weekly_average(
    request: Request,
    shape: TheShape,
    warehouse: TheWarehouse,
    lake: TheLake,
    region: TheRegion = None,
    min_lon: Annotated[float | None, Query(examples=[14.40])] = None,
    min_lat: Annotated[float | None, Query(examples=[50.05])] = None,
    max_lon: Annotated[float | None, Query(examples=[14.45])] = None,
    max_lat: Annotated[float | None, Query(examples=[50.10])] = None,
    match: Annotated[
        Match | None,
        Query(description="Which end of a trip is in the box; without it that is the origin."),
    ] = None,
    first: Annotated[date | None, Query(alias="from", description="First day.")] = None,
    last: Annotated[date | None, Query(alias="to", description="Last day, included.")] = None,
) -> Response:
    """How many trips per week a region has, or a box of degrees, edges included.

    Say either `region` or all four sides of the box.
    """
    sides = (min_lon, min_lat, max_lon, max_lat)
    days = _days(first, last)
    if region is not None and all(side is None for side in sides):
        if match is not None:
            raise Refusal(
                422, "It says which end of a trip is in the box, and there is none.", "match"
            )
        with reading(request, warehouse, [DAILY_TRIPS, WEEKLY_TRIPS], shape) as found:
            weekly = weekly_trips_of_region(found.connection, region, days)
        if weekly is None:
            raise Refusal(404, "There are no trips of this region.")
        return _average(weekly, shape, found.headers)
    if region is not None or min_lon is None or min_lat is None:
        raise Refusal(422, "Say either region, or min_lon, min_lat, max_lon and max_lat.", "region")
    if max_lon is None or max_lat is None:
        raise Refusal(422, "The box needs max_lon and max_lat, too.", "max_lon")
    try:
        box = Box(min_lon, min_lat, max_lon, max_lat)
    except ValueError as error:
        raise Refusal(422, f"The box cannot be used: {error}.", "min_lon") from None
    headers = _headers_of_trips(request, lake, shape)
    return _average(weekly_trips_of_box(lake, box, match or "origin", days), shape, headers)


def _average(weekly: WeeklyTrips, shape: Shape, headers: Mapping[str, str]) -> Response:
    if shape == "csv":
        return response(to_csv(("week_start", "trips"), weekly.weeks), shape, headers)
    told = {  # a `WeeklyAverage`; models of as many weeks as may be asked for would take seconds
        "average_trips_per_week": weekly.average,
        "trips": weekly.trips,
        "weeks": len(weekly.weeks),
        "series": [{"week_start": week.isoformat(), "trips": n} for week, n in weekly.weeks],
    }
    return response(to_json(told), shape, headers)


def _headers_of_trips(request: Request, lake: Lake, shape: Shape) -> dict[str, str]:
    """The headers of an answer that is made of the lake's trips, unless it is known."""
    handle = lake.table(TRIPS).open_existing()
    versions: list[tuple[str, str, int]] = []
    if handle is not None:
        versions = [(str(TRIPS.name), str(handle.metadata().id), handle.version())]
    tag = etag(versions, request.scope, shape)
    refuse_unchanged(request, tag)
    return headers_of(tag)


def _days(first: date | None, last: date | None) -> Days:
    try:
        return Days(first, last)
    except ValueError as error:
        raise Refusal(422, f"The days cannot be used: {error}.", "from") from None
