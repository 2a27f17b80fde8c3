"""What `warehouse answers` shows of trips: the weekly average of an area, and similar trips."""

import click
import sqlalchemy as sa

from warehouse_assets.cli.terminal import Answer
from warehouse_assets.defs.trips.answers import (
    Box,
    Match,
    WeeklyTrips,
    regions,
    weekly_trips_of_box,
    weekly_trips_of_region,
)
from warehouse_assets.defs.trips.groups import (
    Filter,
    Likeness,
    TooManyGroupsError,
    groups_of,
    tile_centre,
)
from warehouse_assets.defs.trips.tables import DAILY_TRIPS
from warehouse_assets.errors import WarehouseError
from warehouse_assets.lake import Lake
from warehouse_assets.settings import Settings
from warehouse_assets.times import Days
from warehouse_assets.warehouse import warehouse_at

_SIDES_OF_A_BOX = 4


def answer_of_area(
    settings: Settings, region: str | None, box: str | None, match: Match, days: Days, limit: int
) -> tuple[str, Answer]:
    """The weekly average of a region or a box in words, and the trips by week.

    Raises:
        click.UsageError: there is no such region, or the box is none, or there are both.
    """
    if (region is None) == (box is None):
        raise click.UsageError("Say either --region NAME or --box MIN_LON,MIN_LAT,MAX_LON,MAX_LAT.")
    if box is not None:
        lake = Lake.of(settings)
        weekly = weekly_trips_of_box(lake, read_box(box), match, days)
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


def answer_of_groups(
    settings: Settings, likeness: Likeness, wanted: Filter, limit: int
) -> tuple[str, Answer]:
    """Groups of similar trips, and in words how many trips are in one with others.

    Raises:
        click.UsageError: there are too many to join neighbours among.
    """
    try:
        found = groups_of(Lake.of(settings), settings, likeness, wanted, limit)
    except TooManyGroupsError as error:
        raise click.UsageError(f"{str(error).capitalize()}.") from None
    words = "No trips."
    if found.share_in_groups is not None:
        words = (
            f"{found.share_in_groups:.1%} of {found.trips:,} trips are in groups of two or more, "
            f"of {found.groups:,} in all (zoom {likeness.zoom}, {likeness.hours} hours"
            f"{', neighbours are one' if likeness.joins_neighbours else ''})."
        )
    rows = [
        (
            group["region"],
            *(
                "{1:.4f} {0:.4f}".format(
                    *tile_centre(group[f"{end}_tile_x"], group[f"{end}_tile_y"], likeness.zoom)
                )
                for end in ("origin", "destination")
            ),
            f"{group['hour_of_day']:02}-{group['hour_of_day'] + likeness.hours:02}",
            group["trips"],
            group["groups_joined"],
        )
        for group in found.rows
    ]
    names = ["region", "from about (lat lon)", "to about", "hours", "trips", "groups joined"]
    keep = len(names) if likeness.joins_neighbours else -1
    return words, Answer(
        "Which similar trips are the most?",
        names[:keep],
        [row[:keep] for row in rows],
        found.groups - len(rows),
    )


def _of_region(settings: Settings, region: str, days: Days) -> WeeklyTrips:
    with warehouse_at(settings.warehouse_url).read() as connection:
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


def read_box(text: str) -> Box:
    """The box of four numbers with commas between them.

    Raises:
        click.UsageError: it is none.
    """
    sides = text.split(",")
    if len(sides) != _SIDES_OF_A_BOX:
        raise click.UsageError(f"The box {text!r} is not four numbers with commas between them.")
    try:
        return Box(*map(float, sides))
    except ValueError as error:
        raise click.UsageError(f"The box {text!r} cannot be used: {error}.") from None
