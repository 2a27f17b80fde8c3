"""The answer of `warehouse answers trips`: how many trips an area has per week."""

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


def answer(
    settings: Settings, region: str | None, box: str | None, match: Match, days: Days, limit: int
) -> tuple[str, Answer]:
    """The weekly average of a region or a box in words, and the trips by week.

    Raises:
        click.UsageError: there is no such region, or the box is none, or there are both.
    """
    if (region is None) == (box is None):
        raise click.UsageError("Say either --region NAME or --box MIN_LON,MIN_LAT,MAX_LON,MAX_LAT.")
    if box is not None:
        lake = Lake(settings.lake, settings.scratch, settings.memory_limit)
        weekly = weekly_trips_of_box(lake, _box(box), match, days)
        where = f"the box {box} ({match})"
    else:
        weekly, where = _of_region(settings, str(region), days), f"the region {region}"
    words = "No trips."
    if weekly.average is not None:
        words = (
            f"{weekly.average:,.4f} trips per week: {weekly.trips:,} trips in "
            f"{len(weekly.weeks):,} weeks from {weekly.weeks[0][0]} to {weekly.weeks[-1][0]}."
        )
    title = f"How many trips did {where} have per week?"
    more = max(len(weekly.weeks) - limit, 0)
    return words, Answer(title, ["week start", "trips"], weekly.weeks[:limit], more)


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


def _box(text: str) -> Box:
    sides = text.split(",")
    if len(sides) != _SIDES_OF_A_BOX:
        raise click.UsageError(f"The box {text!r} is not four numbers with commas between them.")
    try:
        return Box(*map(float, sides))
    except ValueError as error:
        raise click.UsageError(f"The box {text!r} cannot be used: {error}.") from None
