"""The trips in a box of degrees, by hand and beside plain Python, before and after clustering."""

import random
from datetime import date

import pytest

from warehouse_assets.defs.trips.answers import Box, Match, WeeklyTrips, weekly_trips_of_box
from warehouse_assets.defs.trips.tables import TRIPS
from warehouse_assets.lake import rearrange
from warehouse_assets.times import Days
from warehouse_assets_tests.defs.trips import journeys
from warehouse_assets_tests.defs.trips.answers import tables
from warehouse_assets_tests.defs.trips.conftest import Filled
from warehouse_assets_tests.defs.trips.journeys import Trip, random_trips, weekly_average
from warehouse_assets_tests.house import House

MATCHES: list[Match] = ["origin", "destination", "both"]
INSIDE, OUTSIDE = (14.4, 50.0), (14.6, 50.0)
BOX = Box(14.4, 50.0, 14.5, 50.1)


def ends(trip: Trip, match: Match) -> list[tuple[float, float]]:
    return {
        "origin": [trip.origin],
        "destination": [trip.destination],
        "both": [trip.origin, trip.destination],
    }[match]


def holds(box: Box, place: tuple[float, float]) -> bool:
    return box.min_lon <= place[0] <= box.max_lon and box.min_lat <= place[1] <= box.max_lat


def assert_equals(weekly: WeeklyTrips, expected: tuple[int, int, float | None]) -> None:
    assert (weekly.trips, len(weekly.weeks), weekly.average) == expected


def test_edges_and_corners_are_inside(filled: Filled) -> None:
    corners = [(14.4, 50.0), (14.4, 50.1), (14.5, 50.0), (14.5, 50.1)]
    house = filled([Trip(origin=place) for place in [*corners, (14.45, 50.0), OUTSIDE]])

    assert_equals(weekly_trips_of_box(house.lake, BOX), (5, 1, 5.0))


def test_what_is_outside_by_the_least_is_outside(filled: Filled) -> None:
    just_outside = [(14.399999999999999, 50.05), (14.500000000000002, 50.05)]
    house = filled([Trip(origin=place) for place in [*just_outside, (14.45, 49.99999999999999)]])

    assert_equals(weekly_trips_of_box(house.lake, BOX), (0, 0, None))


def test_either_end_or_both_can_be_asked_for(filled: Filled) -> None:
    house = filled(
        [
            Trip(origin=INSIDE, destination=INSIDE),
            Trip(origin=INSIDE, destination=OUTSIDE),
            Trip(origin=OUTSIDE, destination=INSIDE),
            Trip(origin=OUTSIDE, destination=INSIDE),
            Trip(origin=OUTSIDE, destination=OUTSIDE),
        ]
    )

    found = {match: weekly_trips_of_box(house.lake, BOX, match).trips for match in MATCHES}
    assert found == {"origin": 2, "destination": 3, "both": 1}


def test_a_point_and_the_whole_earth_are_boxes(filled: Filled) -> None:
    house = filled([Trip(origin=INSIDE), Trip(origin=(-180.0, 90.0)), Trip(origin=(180.0, -90.0))])

    assert weekly_trips_of_box(house.lake, Box(*INSIDE, *INSIDE)).trips == 1
    assert weekly_trips_of_box(house.lake, Box(-180, -90, 180, 90)).trips == 3
    assert weekly_trips_of_box(house.lake, Box(180, -90, 180, -90)).trips == 1


def test_trips_of_every_region_count(filled: Filled) -> None:
    house = filled([Trip(origin=INSIDE), Trip("Turin", origin=INSIDE)])

    assert weekly_trips_of_box(house.lake, BOX).trips == 2


def test_the_days_are_limits_to_the_moment(filled: Filled) -> None:
    times = ["2019-01-06 23:59:59.999999", "2019-01-07 00:00:00", "2019-01-13 23:59:59.999999"]
    house = filled([Trip(origin=INSIDE, at=at) for at in [*times, "2019-01-14 00:00:00"]])

    weekly = weekly_trips_of_box(house.lake, BOX, days=Days(date(2019, 1, 7), date(2019, 1, 13)))

    assert weekly.weeks == [(date(2019, 1, 7), 2)]


def test_a_range_up_to_the_last_day_there_is_can_be_asked_for(filled: Filled) -> None:
    house = filled([Trip(origin=INSIDE, at="9999-12-31 23:59:59")])

    weekly = weekly_trips_of_box(house.lake, BOX, days=Days(date(9999, 12, 31), date(9999, 12, 31)))

    assert weekly.weeks == [(date(9999, 12, 27), 1)]


def test_without_a_lake_there_are_no_trips(house: House) -> None:
    assert_equals(weekly_trips_of_box(house.lake, BOX), (0, 0, None))
    assert not house.settings.lake.exists()


def test_boxes_are_what_plain_python_makes_of_them_clustered_or_not(house: House) -> None:
    trips = random_trips(seed=7, count=300)
    for part in range(3):
        house.deliver(f"trips-{part}.csv", journeys.content(trips[part::3]))
        journeys.take(house)
    chance = random.Random(7)
    boxes = [Box(-180, -90, 180, 90)]
    for trip in chance.sample(trips, 6):
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
                assert_equals(weekly_trips_of_box(house.lake, box, match), weekly_average(inside))
                assert_equals(
                    weekly_trips_of_box(house.lake, box, match, within),
                    weekly_average(inside, within.first, within.last),
                )


def test_the_sql_function_agrees_with_plain_python() -> None:
    trips = random_trips(seed=8, count=60)
    box = Box(14.40, 50.06, 14.46, 50.12)
    with tables(trips) as connection:
        for match in MATCHES:
            inside = [t for t in trips if all(holds(box, end) for end in ends(t, match))]
            (row,) = connection.execute(
                "FROM weekly_average_in_box(14.40, 50.06, 14.46, 50.12, match := $match)",
                {"match": match},
            ).fetchall()
            count, weeks, average = weekly_average(inside)
            assert row[:3] == (pytest.approx(average), weeks or None, count)
            assert count > 0


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
