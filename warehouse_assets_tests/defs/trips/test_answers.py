"""The trips of regions and boxes by week: by hand and beside plain Python."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date

import pytest
import sqlalchemy as sa

from warehouse_assets.defs.trips.answers import (
    Box,
    Match,
    WeeklyTrips,
    regions,
    weekly_trips_of_box,
    weekly_trips_of_region,
)
from warehouse_assets.defs.trips.tables import DAILY_TRIPS, TRIPS, WEEKLY_TRIPS
from warehouse_assets.lake import Lake, rearrange
from warehouse_assets.times import Days
from warehouse_assets_tests.defs.trips import journeys
from warehouse_assets_tests.defs.trips.journeys import Trip, random_trips, weekly_average
from warehouse_assets_tests.folders import folder_of
from warehouse_assets_tests.house import House

# Wednesday of the 1st week, Sunday and twice Saturday of the 2nd, none in the 3rd and 4th, Monday
# of the 5th.
FIVE = [
    Trip(at=at)
    for at in (
        "2019-01-02 10:00:00",
        "2019-01-13 23:59:59.999999",
        "2019-01-12 10:00:00",
        "2019-01-12 11:00:00",
        "2019-01-28 00:00:00",
    )
]
FIVE[3] = Trip(at=FIVE[3].at, datasource="cheap_mobile")

# from, to: trips, weeks, average
RANGES: list[tuple[str | None, str | None, int, int, float | None]] = [
    (None, None, 5, 5, 1.0),
    ("2019-01-12", None, 4, 4, 1.0),  # the week of Saturday the 12th counts whole, its trips not
    ("2019-01-13", None, 2, 4, 0.5),
    ("2019-01-14", None, 1, 3, 1 / 3),  # from a week without trips
    ("2018-12-24", None, 5, 6, 5 / 6),  # from before the first trip
    (None, "2019-01-12", 3, 2, 1.5),
    (None, "2019-01-27", 4, 4, 1.0),
    (None, "2019-02-10", 5, 6, 5 / 6),
    ("2019-01-13", "2019-01-13", 1, 1, 1.0),
    ("2019-01-13", "2019-01-14", 1, 2, 0.5),  # two days that touch two weeks
    ("2019-01-14", "2019-01-27", 0, 2, 0.0),
    ("2020-01-01", "2020-01-31", 0, 5, 0.0),
    ("2020-01-01", None, 0, 0, None),  # nothing to end with
    (None, "2018-01-01", 0, 0, None),
    ("0001-01-01", "0001-01-08", 0, 2, 0.0),
    ("9999-12-20", "9999-12-31", 0, 2, 0.0),
]

MATCHES: list[Match] = ["origin", "destination", "both"]
INSIDE, OUTSIDE = (14.4, 50.0), (14.6, 50.0)
BOX = Box(14.4, 50.0, 14.5, 50.1)


@contextmanager
def warehouse(trips: Sequence[Trip]) -> Iterator[sa.Connection]:
    """A connection to a warehouse in which what follows from `trips` is published."""
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        for table, rows in (
            (DAILY_TRIPS, journeys.by_day(trips)),
            (WEEKLY_TRIPS, journeys.by_week(trips)),
        ):
            table.create(connection)
            connection.execute(
                table.insert(), [dict(zip(table.c.keys(), row, strict=True)) for row in rows]
            )
        yield connection
    engine.dispose()


def lake_of(house: House, trips: Sequence[Trip]) -> Lake:
    """The lake of `house`, which has taken `trips`."""
    house.deliver("trips.csv", journeys.content(trips))
    journeys.take(house)
    return house.lake


def days(first: str | None, last: str | None) -> Days:
    return Days(*(None if day is None else date.fromisoformat(day) for day in (first, last)))


def figures(weekly: WeeklyTrips | None) -> tuple[int, int, float | None]:
    assert weekly is not None
    return weekly.trips, len(weekly.weeks), weekly.average


def test_weeks_without_trips_count() -> None:
    with warehouse(FIVE) as connection:
        weekly = weekly_trips_of_region(connection, "Prague")

    assert weekly == WeeklyTrips(
        [
            (date(2018, 12, 31), 1),
            (date(2019, 1, 7), 3),
            (date(2019, 1, 14), 0),
            (date(2019, 1, 21), 0),
            (date(2019, 1, 28), 1),
        ]
    )
    assert weekly.average == 1.0


def test_ranges_of_days_by_hand() -> None:
    with warehouse([*FIVE, Trip("Turin", at="2017-01-01 00:00:00")]) as connection:
        for first, last, trips, weeks, average in RANGES:
            weekly = weekly_trips_of_region(connection, "Prague", days(first, last))
            assert figures(weekly) == (trips, weeks, average), (first, last)


def test_a_region_may_be_called_anything_and_without_trips_it_is_none() -> None:
    names = ["x'; DROP TABLE trips", "Zürich 🚲", "[bold]", "r" * 5000, "Prague"]
    others = ("", "prague", "Prague ", "Prag", "Nowhere", "P%", "Prague\0", "\0", "\udcff")
    with warehouse([Trip(name) for name in names]) as connection:
        for within in (Days(), days("2018-01-01", "2019-01-01")):
            for name in names:
                weekly = weekly_trips_of_region(connection, name, within)
                assert weekly is not None
                assert weekly.trips == 1
            for name in others:
                assert weekly_trips_of_region(connection, name, within) is None, name


def test_regions_are_told_in_alphabetical_order() -> None:
    with warehouse([Trip("Turin"), Trip("Berlin"), Trip("Vienna"), Trip("Vienna")]) as connection:
        assert regions(connection) == ["Berlin", "Turin", "Vienna"]


def test_days_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ValueError, match="from 2019-01-02 is after to 2019-01-01"):
        days("2019-01-02", "2019-01-01")


def ends(trip: Trip, match: Match) -> list[tuple[float, float]]:
    return {
        "origin": [trip.origin],
        "destination": [trip.destination],
        "both": [trip.origin, trip.destination],
    }[match]


def holds(box: Box, place: tuple[float, float]) -> bool:
    return box.min_lon <= place[0] <= box.max_lon and box.min_lat <= place[1] <= box.max_lat


def test_edges_and_corners_are_inside_and_what_is_outside_by_the_least_is_not(house: House) -> None:
    corners = [(14.4, 50.0), (14.4, 50.1), (14.5, 50.0), (14.5, 50.1)]
    just_outside = [(14.399999999999999, 50.05), (14.500000000000002, 50.05)]
    poles = [(-180.0, 90.0), (180.0, -90.0)]
    places = [*corners, (14.45, 50.0), OUTSIDE, *just_outside, (14.45, 49.99999999999999), *poles]
    lake = lake_of(house, [Trip(origin=place) for place in places])

    assert figures(weekly_trips_of_box(lake, BOX)) == (5, 1, 5.0)
    assert weekly_trips_of_box(lake, Box(*INSIDE, *INSIDE)).trips == 1
    assert weekly_trips_of_box(lake, Box(-180, -90, 180, 90)).trips == len(places)
    assert weekly_trips_of_box(lake, Box(180, -90, 180, -90)).trips == 1


def test_either_end_or_both_can_be_asked_for_and_every_region_counts(house: House) -> None:
    lake = lake_of(
        house,
        [
            Trip(origin=INSIDE, destination=INSIDE),
            Trip("Turin", origin=INSIDE, destination=OUTSIDE),
            Trip(origin=OUTSIDE, destination=INSIDE),
            Trip(origin=OUTSIDE, destination=INSIDE),
            Trip(origin=OUTSIDE, destination=OUTSIDE),
        ],
    )

    found = {match: weekly_trips_of_box(lake, BOX, match).trips for match in MATCHES}
    assert found == {"origin": 2, "destination": 3, "both": 1}


def test_the_days_are_limits_to_the_moment_up_to_the_last_day_there_is(house: House) -> None:
    times = ["2019-01-06 23:59:59.999999", "2019-01-07 00:00:00", "2019-01-13 23:59:59.999999"]
    times += ["2019-01-14 00:00:00", "9999-12-31 23:59:59"]
    lake = lake_of(house, [Trip(origin=INSIDE, at=at) for at in times])

    for first, last, week, trips in (
        ("2019-01-07", "2019-01-13", date(2019, 1, 7), 2),
        ("9999-12-31", "9999-12-31", date(9999, 12, 27), 1),
    ):
        weekly = weekly_trips_of_box(lake, BOX, days=days(first, last))
        assert weekly.weeks == [(week, trips)]


def test_without_a_lake_there_are_no_trips(house: House) -> None:
    assert figures(weekly_trips_of_box(house.lake, BOX)) == (0, 0, None)
    assert not folder_of(house.settings.lake).exists()


def test_boxes_are_what_plain_python_makes_of_them_clustered_or_not(house: House) -> None:
    trips = random_trips(seed=7, count=300)
    for part in range(3):
        house.deliver(f"trips-{part}.csv", journeys.content(trips[part::3]))
        journeys.take(house)
    chance = random.Random(7)
    boxes = [Box(-180, -90, 180, 90)]
    for trip in chance.sample(trips, 3):
        longitude, latitude = trip.origin  # so that trips are on its edges
        wide, high = round(chance.uniform(0, 0.1), 4), round(chance.uniform(0, 0.1), 4)
        boxes.append(Box(longitude, latitude, longitude + wide, latitude + high))
    within = Days(date(2018, 12, 27), date(2019, 1, 8))
    for is_clustered in (False, True):
        if is_clustered:
            assert rearrange(house.lake, house.lake.table(TRIPS)) == 300
        for box in boxes:
            for match in MATCHES:
                inside = [t for t in trips if all(holds(box, end) for end in ends(t, match))]
                assert figures(weekly_trips_of_box(house.lake, box, match)) == weekly_average(
                    inside
                )
                of_days = weekly_trips_of_box(house.lake, box, match, within)
                expected = weekly_average(inside, within.first, within.last)
                assert figures(of_days) == expected


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("sides", "reason"),
    [
        ((14.5, 50, 14.4, 51), "min_lon 14.5 and max_lon 14.4 must be"),
        ((14.5, 51, 14.6, 50), "min_lat 51 and max_lat 50 must be"),
        ((170, 0, -170, 1), "the two parts of a box across the antimeridian"),
        ((-180.0001, 0, 0, 1), "from -180 to 180"),
        ((0, 0, 180.0001, 1), "from -180 to 180"),
        ((0, -90.0001, 1, 0), "from -90 to 90"),
        ((0, 0, 1, 90.0001), "from -90 to 90"),
        ((NAN, 0, 1, 1), "from -180 to 180"),
        ((0, 0, 1, NAN), "from -90 to 90"),
        ((-INF, 0, INF, 1), "from -180 to 180"),
    ],
)
def test_what_is_no_box_is_refused(sides: tuple[float, float, float, float], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Box(*sides)
