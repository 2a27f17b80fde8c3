"""Trips for tests, and what follows from them as plain Python tells it."""

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from deltalake import DeltaTable

from warehouse_assets.defs import trips as trips_family
from warehouse_assets.defs.trips.family import TRIPS_FILES
from warehouse_assets.defs.trips.tables import (
    DAILY_TRIPS,
    TABLES,
    TRIP_GROUPS_FINE,
    TRIPS,
    constants_of,
)
from warehouse_assets.ingest.files import load_files
from warehouse_assets.ingest.loaded import Loaded
from warehouse_assets.orchestration.computation import compute, compute_added
from warehouse_assets.warehouse import publish
from warehouse_assets_tests.folders import folder_of
from warehouse_assets_tests.house import House

HEADER = "region,origin_coord,destination_coord,datetime,datasource"
PRAGUE, TURIN = (14.42076, 50.08804), (7.67, 45.06)


@dataclass(frozen=True)
class Trip:
    """A trip as a file tells it."""

    region: str = "Prague"
    origin: tuple[float, float] = PRAGUE
    destination: tuple[float, float] = (14.5, 50.1)
    at: str = "2018-05-28 09:03:40"
    datasource: str = "funny_car"

    @property
    def time(self) -> datetime:
        """When it was."""
        # Python 3.10 reads three decimals or six.
        seconds, _, decimals = self.at.partition(".")
        return datetime.fromisoformat(f"{seconds}.{decimals:0<6}")

    @property
    def line(self) -> str:
        """The line of a file that says so."""
        (west, south), (east, north) = self.origin, self.destination
        return (
            f"{self.region},POINT ({west!r} {south!r}),POINT ({east!r} {north!r}),"
            f"{self.at},{self.datasource}"
        )


def content(trips: Iterable[Trip]) -> str:
    """A file of trips."""
    return "\n".join([HEADER, *(trip.line for trip in trips), ""])


def random_trips(seed: int, count: int) -> list[Trip]:
    """Trips around two cities, over New Year."""
    chance = random.Random(seed)

    def near(city: tuple[float, float]) -> tuple[float, float]:
        return (
            round(city[0] + chance.uniform(-0.05, 0.05), 4),
            round(city[1] + chance.uniform(-0.05, 0.05), 4),
        )

    trips = []
    for _ in range(count):
        region, city = chance.choice([("Prague", PRAGUE), ("Turin", TURIN)])
        at = datetime.fromisoformat("2018-12-20 00:00:00") + timedelta(
            seconds=chance.randrange(30 * 86400)
        )
        source = chance.choice(["funny_car", "cheap_mobile"])
        trips.append(Trip(region, near(city), near(city), str(at), source))
    return trips


def tile(place: tuple[float, float], zoom: int) -> tuple[int, int]:
    """The Web-Mercator tile of a place, by the textbook's ln(tan + sec)."""
    longitude, latitude = place[0], math.radians(place[1])
    tiles = 2**zoom
    column = math.floor((longitude + 180) / 360 * tiles)
    row = math.floor(
        (1 - math.log(math.tan(latitude) + 1 / math.cos(latitude)) / math.pi) / 2 * tiles
    )
    return min(max(column, 0), tiles - 1), min(max(row, 0), tiles - 1)


def groups(trips: Iterable[Trip], zoom: int = 14, hours: int = 1) -> list[tuple[Any, ...]]:
    """The rows of `trip_groups`, or by default of `trip_groups_fine`, sorted."""
    times: dict[tuple[Any, ...], list[datetime]] = {}
    for trip in trips:
        ends = (*tile(trip.origin, zoom), *tile(trip.destination, zoom))
        part = trip.time.hour - trip.time.hour % hours
        times.setdefault((trip.region, *ends, part), []).append(trip.time)
    return sorted((*key, len(found), min(found), max(found)) for key, found in times.items())


def by_day(trips: Iterable[Trip]) -> list[tuple[Any, ...]]:
    """The rows of `daily_trips`, sorted."""
    return _counted((trip.region, trip.time.date(), trip.datasource, trip.time) for trip in trips)


def by_week(trips: Iterable[Trip]) -> list[tuple[Any, ...]]:
    """The rows of `weekly_trips`, sorted."""
    return _counted(
        (trip.region, monday(trip.time.date()), trip.datasource, trip.time) for trip in trips
    )


def _counted(rows: Iterable[tuple[str, date, str, datetime]]) -> list[tuple[Any, ...]]:
    times: dict[tuple[Any, ...], list[datetime]] = {}
    for *key, time in rows:
        times.setdefault(tuple(key), []).append(time)
    return sorted((*key, len(found), max(found)) for key, found in times.items())


def monday(day: date) -> date:
    """The Monday of the week of a day, by the week of ISO 8601."""
    year, week, _ = day.isocalendar()
    return date.fromisocalendar(year, week, 1)


def weekly_average(
    trips: Sequence[Trip], first: date | None = None, last: date | None = None
) -> tuple[int, int, float | None]:
    """Trips, weeks and their quotient, as the definition has it."""
    days = [trip.time.date() for trip in trips]
    days = [day for day in days if (first or day) <= day <= (last or day)]
    start, end = first or min(days, default=None), last or max(days, default=None)
    if start is None or end is None:
        return 0, 0, None
    weeks, week = 0, monday(start)
    while week <= end:
        weeks, week = weeks + 1, week + timedelta(days=7)
    return len(days), weeks, len(days) / weeks


def take(house: House, **more: Any) -> Loaded:
    """Catch up with the files of trips in the inbox."""
    return load_files(house.lake, house.inbox, TRIPS_FILES, **more)


def add_up(house: House, *names: str, zoom: int = 14) -> None:
    """Bring the tables of the lake that follow from trips, or those called `names`, up to date."""
    added = {
        "daily_trips": (TRIPS, {}),
        "trip_groups_fine": (TRIPS, constants_of(14, 14, 1)),
        "trip_groups": (TRIP_GROUPS_FINE, constants_of(zoom, 14, 1)),
    }
    for table in TABLES[1:]:
        name, stored = str(table.name), house.lake.table(table)
        if names and name not in names:
            continue
        with house.lake.lock(name):
            if name in added:
                read, constants = added[name]
                compute_added(house.lake, stored, read, sql(name), constants)
            else:
                compute(house.lake, stored, [DAILY_TRIPS], sql(name))


def publish_all(house: House) -> None:
    """Publish what follows from trips."""
    for table in filter(house.settings.publishes, TABLES):
        publish(house.lake, house.warehouse, house.lake.table(table))


def sql(name: str) -> str:
    """The SELECT that computes a table."""
    return (Path(trips_family.__path__[0]) / "sql" / f"{name}.sql").read_text("utf-8")


def assert_hold(house: House, trips: Sequence[Trip], zoom: int = 14) -> None:
    """The lake has each of `trips` once, and everything follows from them."""
    places = sorted((t.region, *t.origin, *t.destination, t.time, t.datasource) for t in trips)
    assert [row[:-1] for row in house.stored("trips")] == sorted(places, key=repr)
    assert house.stored("trip_groups_fine") == sorted(groups(trips), key=repr)
    assert house.stored("trip_groups") == sorted(groups(trips, zoom), key=repr)
    assert house.stored("daily_trips") == sorted(by_day(trips), key=repr)
    assert house.stored("weekly_trips") == sorted(by_week(trips), key=repr)


def assert_published(house: House, trips: Sequence[Trip], zoom: int = 14) -> None:
    """The warehouse has what follows from `trips`."""
    for table, rows in (
        ("trip_groups", groups(trips, zoom)),
        ("daily_trips", by_day(trips)),
        ("weekly_trips", by_week(trips)),
    ):
        assert house.published(table) == sorted((_as_stored(row) for row in rows), key=repr)


def _as_stored(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A row as SQLite has it: times with their microseconds, days as text."""
    return tuple(
        f"{value:%Y-%m-%d %H:%M:%S.%f}"
        if isinstance(value, datetime)
        else str(value)
        if isinstance(value, date)
        else value
        for value in row
    )


def version(house: House, table: str) -> int:
    """The version of a table of the lake."""
    return int(DeltaTable(str(folder_of(house.settings.lake) / table)).version())
