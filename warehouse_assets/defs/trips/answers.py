"""What is asked of the trips: how many an area has per week.

A region is answered by the warehouse, a box of degrees by the lake. The weekly average is the
trips divided by the weeks from that of the first trip to that of the last, both included, weeks
without trips counting; where a range of days is given, by the weeks that the range touches. Weeks
begin on Mondays.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from typing import Literal

import sqlalchemy as sa
from deltalake import DeltaTable

from warehouse_assets.defs.trips.tables import DAILY_TRIPS, TRIPS, WEEKLY_TRIPS
from warehouse_assets.history.as_of import Connection, fetch
from warehouse_assets.lake import Lake
from warehouse_assets.times import ANY_DAY, Days

Match = Literal["origin", "destination", "both"]
"""Which end of a trip has to be in a box."""

IS_WANTED = """($match = 'destination' OR (
        origin_lon BETWEEN $min_lon AND $max_lon AND origin_lat BETWEEN $min_lat AND $max_lat))
    AND ($match = 'origin' OR (
        destination_lon BETWEEN $min_lon AND $max_lon
        AND destination_lat BETWEEN $min_lat AND $max_lat))
    AND ($first IS NULL OR started_at >= CAST($first AS DATE))
    AND ($last IS NULL OR started_at < CAST($last AS DATE) + INTERVAL 1 DAY)"""
"""SQL, for the lake, that a trip is in a box, by either end or both, and in a range of days."""

_WEEK = timedelta(days=7)
_EAST, _NORTH = 180, 90  # the greatest longitude and latitude, in degrees


@dataclass(frozen=True)
class Box:
    """A box of degrees east and north, edges included; it does not cross the antimeridian.

    Raises:
        ValueError: it is not on earth, or a minimum is greater than its maximum.
    """

    min_lon: float
    min_lat: float
    max_lon: float
    max_lat: float

    def __post_init__(self) -> None:
        if not -_EAST <= self.min_lon <= self.max_lon <= _EAST:
            raise ValueError(
                f"min_lon {self.min_lon:g} and max_lon {self.max_lon:g} must be from -180 to 180, "
                "the minimum first; ask for the two parts of a box across the antimeridian"
            )
        if not -_NORTH <= self.min_lat <= self.max_lat <= _NORTH:
            raise ValueError(
                f"min_lat {self.min_lat:g} and max_lat {self.max_lat:g} must be from -90 to 90, "
                "the minimum first"
            )


@dataclass(frozen=True)
class WeeklyTrips:
    """The trips of an area by week: `weeks` has every one of them, by its Monday."""

    weeks: Sequence[tuple[date, int]]

    @property
    def trips(self) -> int:
        """All trips together."""
        return sum(trips for _, trips in self.weeks)

    @property
    def average(self) -> float | None:
        """Trips per week; None if there is no week."""
        return self.trips / len(self.weeks) if self.weeks else None

    @classmethod
    def of(cls, counted: Iterable[tuple[date, int]], days: Days) -> "WeeklyTrips":
        """Weeks with their trips, those without any filled in, within what `days` touches."""
        trips: dict[date, int] = {}
        for day, count in counted:
            week = _monday(day)
            trips[week] = trips.get(week, 0) + count
        first = _monday(days.first) if days.first else min(trips, default=None)
        last = _monday(days.last) if days.last else max(trips, default=None)
        if first is None or last is None:
            return cls([])
        # A number, since the week after the last that there is cannot be told.
        weeks = (first + number * _WEEK for number in range((last - first) // _WEEK + 1))
        return cls([(week, trips.get(week, 0)) for week in weeks])


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def regions(connection: sa.Connection) -> list[str]:
    """The regions there are, in alphabetical order."""
    query = sa.select(WEEKLY_TRIPS.c.region).distinct().order_by(WEEKLY_TRIPS.c.region)
    return list(connection.execute(query).scalars())


def weekly_trips_of_region(
    connection: Connection, region: str, days: Days = ANY_DAY
) -> WeeklyTrips | None:
    """The trips of a region by week, from the warehouse; None if there is no such region."""
    if not _is_unicode(region):
        return None
    known = sa.select(sa.literal(1)).where(WEEKLY_TRIPS.c.region == region).limit(1)
    if not fetch(connection, known)[1]:
        return None
    is_by_week = days == ANY_DAY
    table, day = (WEEKLY_TRIPS, "week_start") if is_by_week else (DAILY_TRIPS, "day")
    query = sa.select(table.c[day], sa.func.sum(table.c.trips)).group_by(table.c[day])
    query = query.where(table.c.region == region)
    if days.first:
        query = query.where(table.c[day] >= days.first)
    if days.last:
        query = query.where(table.c[day] <= days.last)
    return WeeklyTrips.of(((row[0], int(row[1])) for row in fetch(connection, query)[1]), days)


def _is_unicode(text: str) -> bool:
    """Whether a database takes `text`; a shell may pass on bytes that are none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def values_of(box: Box, match: Match, days: Days) -> dict[str, object]:
    """The values of `IS_WANTED`."""
    return {**asdict(box), "match": match, "first": days.first, "last": days.last}


def weekly_trips_of_box(
    lake: Lake,
    box: Box,
    match: Match = "origin",
    days: Days = ANY_DAY,
    at: DeltaTable | None = None,
) -> WeeklyTrips:
    """The trips of a box by week, from the trips themselves.

    Args:
        at: the version of the trips, else the newest of the lake.
    """
    with lake.connect() as connection:
        lake.view(connection, TRIPS, at or lake.table(TRIPS).open_existing())
        rows = connection.execute(
            f"""SELECT CAST(date_trunc('week', started_at) AS DATE), count(*) FROM trips
            WHERE {IS_WANTED} GROUP BY 1""",
            values_of(box, match, days),
        ).fetchall()
    return WeeklyTrips.of(rows, days)
