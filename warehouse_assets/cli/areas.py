"""The options of `warehouse answers trips`, and its answer: how many trips an area has per week."""

from dataclasses import dataclass
from datetime import date, datetime

import click
import sqlalchemy as sa

from warehouse_assets.cli.terminal import Answer
from warehouse_assets.days import Days
from warehouse_assets.defs.trips.areas import (
    Box,
    Match,
    WeeklyTrips,
    regions,
    weekly_trips_of_box,
    weekly_trips_of_region,
)
from warehouse_assets.defs.trips.tables import DAILY_TRIPS
from warehouse_assets.errors import WarehouseError
from warehouse_assets.lake import Lake
from warehouse_assets.settings import Settings
from warehouse_assets.warehouse import Warehouse

_SIDES_OF_A_BOX = 4


@dataclass(frozen=True)
class Area:
    """What was asked for, as it was typed."""

    region: str | None = None
    box: str | None = None
    match: Match = "origin"
    first: datetime | None = None
    last: datetime | None = None

    @property
    def is_given(self) -> bool:
        """Whether anything was asked for."""
        return bool(self.region is not None or self.box is not None or self.first or self.last)


def answer(settings: Settings, area: Area, limit: int) -> tuple[str, Answer]:
    """The weekly average in words, and the trips by week.

    Raises:
        click.UsageError: there is no such region, or the box or the days are none.
    """
    if (area.region is None) == (area.box is None):
        raise click.UsageError("Say either --region NAME or --box MIN_LON,MIN_LAT,MAX_LON,MAX_LAT.")
    days = _days(area)
    if area.box is not None:
        weekly = weekly_trips_of_box(
            Lake(settings.lake, settings.scratch, settings.memory_limit),
            _box(area.box),
            area.match,
            days,
        )
        where = f"the box {area.box} ({area.match})"
    else:
        weekly = _of_region(settings, str(area.region), days)
        where = f"the region {area.region}"
    title = f"How many trips did {where} have per week?"
    more = max(len(weekly.weeks) - limit, 0)
    return _in_words(weekly), Answer(title, ["week start", "trips"], weekly.weeks[:limit], more)


def _of_region(settings: Settings, region: str, days: Days) -> WeeklyTrips:
    with Warehouse(settings.warehouse_url).read() as connection:
        if not sa.inspect(connection).has_table(str(DAILY_TRIPS.name)):
            raise WarehouseError(
                "The trips have not been published yet. Take files of trips (`warehouse ingest "
                "FILE`), or materialise the assets of the group trips."
            )
        weekly = weekly_trips_of_region(connection, region, days)
        if weekly is None:
            known = ", ".join(regions(connection)) or "none yet"
            raise click.UsageError(f"There is no region {region!r}. The regions are: {known}.")
    return weekly


def _in_words(weekly: WeeklyTrips) -> str:
    if weekly.average is None:
        return "No trips."
    return (
        f"{weekly.average:,.4f} trips per week: {weekly.trips:,} trips in {len(weekly.weeks):,} "
        f"weeks from {weekly.weeks[0][0]} to {weekly.weeks[-1][0]}."
    )


def _days(area: Area) -> Days:
    try:
        return Days(_day(area.first), _day(area.last))
    except ValueError as error:
        raise click.UsageError(f"{error}.") from None


def _day(moment: datetime | None) -> date | None:
    return moment.date() if moment else None


def _box(text: str) -> Box:
    sides = text.split(",")
    if len(sides) != _SIDES_OF_A_BOX:
        raise click.UsageError(f"The box {text!r} is not four numbers with commas between them.")
    try:
        return Box(*(float(side) for side in sides))
    except ValueError as error:
        raise click.UsageError(f"The box {text!r} cannot be used: {error}.") from None
