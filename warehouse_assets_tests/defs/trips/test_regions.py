"""The weekly average of a region, by hand: from the warehouse and by the SQL functions."""

from datetime import date
from typing import Any

import pytest

from warehouse_assets.defs.trips.answers import (
    WeeklyTrips,
    regions,
    weekly_trips_by_region,
    weekly_trips_of_region,
)
from warehouse_assets.times import Days
from warehouse_assets_tests.defs.trips.answers import tables
from warehouse_assets_tests.defs.trips.conftest import Filled
from warehouse_assets_tests.defs.trips.journeys import Trip, random_trips, weekly_average
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


ALL = Days()


def days(first: str | None, last: str | None) -> Days:
    return Days(*(None if day is None else date.fromisoformat(day) for day in (first, last)))


def of_region(house: House, region: str, within: Days = ALL) -> WeeklyTrips | None:
    with house.warehouse.read() as connection:
        return weekly_trips_of_region(connection, region, within)


def figures(weekly: WeeklyTrips | None) -> tuple[int, int, float | None]:
    assert weekly is not None
    return weekly.trips, len(weekly.weeks), weekly.average


def test_weeks_without_trips_count(filled: Filled) -> None:
    weekly = of_region(filled(FIVE), "Prague")

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


def test_ranges_of_days_by_hand(filled: Filled) -> None:
    house = filled([*FIVE, Trip("Turin", at="2017-01-01 00:00:00")])
    for first, last, trips, weeks, average in RANGES:
        weekly = of_region(house, "Prague", days(first, last))
        assert figures(weekly) == (trips, weeks, average), (first, last)


def test_the_sql_functions_agree_with_the_ranges_by_hand() -> None:
    with tables(FIVE) as connection:
        for first, last, trips, weeks, average in RANGES:
            limits = {"first": first, "last": last}
            for function, area in (
                ("weekly_average_in_region", "'Prague'"),
                ("weekly_average_in_box", "-180, -90, 180, 90"),
            ):
                (row,) = connection.execute(
                    f"FROM {function}({area}, first_day := $first, last_day := $last)", limits
                ).fetchall()
                assert row[:3] == (pytest.approx(average), weeks or None, trips), (function, limits)


def test_the_sql_functions_can_be_called_with_names_and_dates() -> None:
    with tables(FIVE) as connection:
        (row,) = connection.execute(
            "FROM weekly_average_in_region('Prague', last_day := DATE '2019-01-12')"
        ).fetchall()
        assert row == (1.5, 2, 3, date(2018, 12, 31), date(2019, 1, 7))
        assert connection.execute("FROM weekly_trips_in_region('Prague')").fetchall() == [
            (date(2018, 12, 31), 1),
            (date(2019, 1, 7), 3),
            (date(2019, 1, 28), 1),
        ]
        assert connection.execute("FROM weekly_average_in_region('Nowhere')").fetchall() == [
            (None, None, 0, None, None)
        ]


def test_a_region_without_trips_is_none(filled: Filled) -> None:
    house = filled([Trip()])

    for region in ("", "prague", "Prague ", "Prag", "Nowhere", "P%", "Prague\0", "\0", "\udcff"):
        assert of_region(house, region) is None, region


def test_a_region_may_be_called_anything(filled: Filled) -> None:
    names = ["x'; DROP TABLE trips", "Zürich 🚲", "[bold]", "r" * 5000]
    house = filled([Trip(name) for name in names])

    for name in names:
        assert figures(of_region(house, name)) == (1, 1, 1.0)


def test_regions_are_in_alphabetical_order(filled: Filled) -> None:
    house = filled([Trip("Turin"), Trip("Prague"), Trip("Turin", datasource="x")])

    with house.warehouse.read() as connection:
        assert regions(connection) == ["Prague", "Turin"]


def test_regions_with_the_most_trips_come_first(filled: Filled) -> None:
    house = filled([*FIVE[:2], Trip("Turin"), Trip("Berlin"), Trip("Vienna"), Trip("Vienna")])

    with house.warehouse.read() as connection:
        weekly = weekly_trips_by_region(connection)
        assert weekly_trips_by_region(connection, "Turin") == {"Turin": weekly["Turin"]}
        assert weekly_trips_by_region(connection, "Nowhere") == {}
    assert list(weekly) == ["Prague", "Vienna", "Berlin", "Turin"]
    assert weekly["Prague"].weeks == [(date(2018, 12, 31), 1), (date(2019, 1, 7), 1)]


def test_many_trips_are_what_plain_python_makes_of_them(filled: Filled) -> None:
    trips = random_trips(seed=1, count=150)
    house = filled(trips)
    ranges: list[Any] = [
        (None, None),
        ("2018-12-25", "2019-01-09"),
        ("2018-12-27", None),
        (None, "2019-01-01"),
    ]
    for region in ("Prague", "Turin"):
        for first, last in ranges:
            within = days(first, last)
            expected = weekly_average(
                [t for t in trips if t.region == region], within.first, within.last
            )
            assert figures(of_region(house, region, within)) == expected


def test_days_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(ValueError, match="from 2019-01-02 is after to 2019-01-01"):
        days("2019-01-02", "2019-01-01")
