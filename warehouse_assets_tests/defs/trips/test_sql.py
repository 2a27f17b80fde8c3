"""Tiles, hours, days and weeks, by hand and beside plain Python."""

from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse_assets.defs.trips.groups import tile_centre
from warehouse_assets_tests.defs.trips import journeys
from warehouse_assets_tests.defs.trips.answers import answer
from warehouse_assets_tests.defs.trips.journeys import PRAGUE, Trip, random_trips

LAST = 2**14 - 1


def tiles(place: tuple[float, float], zoom: int = 14) -> tuple[int, int]:
    """The tile of a place, which has to be the same for an origin and for a destination."""
    (group,) = answer("trip_groups", [Trip(origin=place, destination=place)], zoom)
    assert group[1:3] == group[3:5]
    return group[1], group[2]


# zoom: each place and its tile
TILES: dict[int, list[tuple[tuple[float, float], tuple[int, int]]]] = {
    0: [(PRAGUE, (0, 0)), ((180.0, -90.0), (0, 0))],
    1: [(PRAGUE, (1, 0))],
    14: [
        # x = floor(194.42076 / 360 * 2^zoom); y = floor((1 - 0.32247) / 2 * 2^zoom), in which
        # 0.32247 is ln(tan 50.08804 + sec 50.08804) / pi.
        (PRAGUE, (8848, 5550)),
        ((7.67, 45.06), (8541, 5889)),
        ((0.0, 0.0), (8192, 8192)),
        ((-0.0001, 0.0001), (8191, 8191)),
        ((-180.0, 0.0), (0, 8192)),
        ((180.0, 0.0), (LAST, 8192)),
        ((179.9999, 0.0), (LAST, 8192)),
        ((0.0, 90.0), (8192, 0)),
        ((0.0, -90.0), (8192, LAST)),
        ((0.0, 85.06), (8192, 0)),
        ((0.0, -85.06), (8192, LAST)),
    ],
    24: [
        (PRAGUE, (9060664, 5683516)),
        ((180.0, -90.0), (2**24 - 1, 2**24 - 1)),
        ((-180.0, 90.0), (0, 0)),
    ],
}


@pytest.mark.parametrize("zoom", TILES)
def test_a_place_is_in_its_tile(zoom: int) -> None:
    trips = [
        Trip(f"{number:02}", origin=place, destination=place)
        for number, (place, _) in enumerate(TILES[zoom])
    ]

    assert [row[1:5] for row in answer("trip_groups", trips, zoom)] == [
        tile * 2 for _, tile in TILES[zoom]
    ]


@given(
    place=st.tuples(st.floats(-180, 180), st.floats(-89.9, 89.9)), zoom=st.sampled_from([1, 9, 14])
)
@settings(max_examples=8, deadline=None)
def test_the_centre_of_a_tile_is_near_every_place_in_it(
    place: tuple[float, float], zoom: int
) -> None:
    column, row = tiles(place, zoom)
    longitude, latitude = tile_centre(column, row, zoom)

    assert abs(longitude - place[0]) <= 180 / 2**zoom + 1e-9
    if abs(place[1]) < 85:
        assert abs(latitude - place[1]) <= 180 / 2**zoom + 1e-9
    assert tiles((longitude, latitude), zoom) == (column, row)


@pytest.mark.parametrize("tile", [(0, 0), (LAST, LAST), (8848, 5550)])
def test_the_centre_can_be_told_even_if_the_zoom_is_another_one_meanwhile(
    tile: tuple[int, int],
) -> None:
    assert all(-90 <= tile_centre(*tile, zoom)[1] <= 90 for zoom in range(25))


def test_the_centre_of_the_one_tile_at_zoom_0_is_where_the_equator_meets_greenwich() -> None:
    assert tile_centre(0, 0, 0) == pytest.approx((0.0, 0.0))


def test_trips_of_the_same_tiles_and_hour_are_a_group_on_whatever_days() -> None:
    times = ["2018-05-28 09:59:59.999999", "2018-05-27 09:00:00", "2019-01-01 09:30:00"]

    assert answer("trip_groups", [Trip(at=at) for at in times]) == [
        (
            "Prague", 8848, 5550, 8851, 5549, 9, 3,
            datetime.fromisoformat("2018-05-27 09:00:00"),
            datetime.fromisoformat("2019-01-01 09:30:00"),
        )
    ]  # fmt: skip


def test_trips_that_differ_in_any_of_these_are_groups_of_their_own() -> None:
    others: list[dict[str, Any]] = [
        {"region": "Turin"},
        {"region": "prague"},
        {"origin": (14.5, 50.08804)},
        {"origin": (14.42076, 50.1)},
        {"destination": (14.6, 50.1)},
        {"destination": (14.5, 50.2)},
        {"at": "2018-05-28 10:00:00"},
        {"at": "2018-05-28 08:59:59.999999"},
    ]
    trips = [Trip(), *(Trip(**other) for other in others)]
    assert [row[6] for row in answer("trip_groups", trips)] == [1] * 9


def test_the_datasource_makes_no_group() -> None:
    assert [row[6] for row in answer("trip_groups", [Trip(), Trip(datasource="x")])] == [2]


def test_days_end_at_midnight() -> None:
    times = ["2018-12-31 23:59:59.999999", "2019-01-01 00:00:00", "2018-12-31 00:00:00"]
    old, new = date(2018, 12, 31), date(2019, 1, 1)

    assert answer("daily_trips", [Trip(at=at) for at in times]) == [
        ("Prague", old, "funny_car", 2, datetime.fromisoformat(times[0])),
        ("Prague", new, "funny_car", 1, datetime.fromisoformat(times[1])),
    ]


def test_weeks_begin_on_mondays_over_new_year_too() -> None:
    weeks = {
        "0001-01-01": "0001-01-01",
        "2018-12-30": "2018-12-24",  # a Sunday
        "2018-12-31": "2018-12-31",  # a Monday
        "2019-01-01": "2018-12-31",
        "2019-01-06": "2018-12-31",
        "2019-01-07": "2019-01-07",
        "2020-02-29": "2020-02-24",
        "2021-01-03": "2020-12-28",  # in the 53rd week
        "9999-12-31": "9999-12-27",
    }
    trips = [Trip(day, at=f"{day} 23:59:59") for day in weeks]

    assert {row[0]: str(row[1]) for row in answer("weekly_trips", trips)} == weeks


def test_weeks_are_by_region_and_datasource() -> None:
    trips = [
        Trip(at="2019-01-01 10:00:00"),
        Trip(at="2019-01-06 10:00:00"),
        Trip(at="2019-01-02 10:00:00", datasource="cheap_mobile"),
        Trip("Turin", at="2019-01-02 11:00:00"),
    ]
    week = date(2018, 12, 31)

    assert [row[:4] for row in answer("weekly_trips", trips)] == [
        ("Prague", week, "cheap_mobile", 1),
        ("Prague", week, "funny_car", 2),
        ("Turin", week, "funny_car", 1),
    ]


def test_without_trips_nothing_follows() -> None:
    assert [answer(t, []) for t in ("trip_groups", "daily_trips", "weekly_trips")] == [[], [], []]


@pytest.mark.parametrize("zoom", [0, 10, 14, 16])
def test_many_trips_are_what_plain_python_makes_of_them(zoom: int) -> None:
    trips = random_trips(seed=zoom, count=60)

    assert answer("trip_groups", trips, zoom) == journeys.groups(trips, zoom)
    assert answer("daily_trips", trips) == journeys.by_day(trips)
    assert answer("weekly_trips", trips) == journeys.by_week(trips)
