"""Tables that add up rows which are never changed: what is read, and when all is read again."""

import shutil
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest

from warehouse_assets.defs.trips.tables import DAILY_TRIPS, TRIP_GROUPS_FINE, TRIPS
from warehouse_assets.lake import Written, maintain, rearrange
from warehouse_assets.orchestration.computation import compute_added
from warehouse_assets_tests.crashes import killed_at
from warehouse_assets_tests.defs.trips import journeys
from warehouse_assets_tests.defs.trips.journeys import PRAGUE, Trip, version
from warehouse_assets_tests.folders import folder_of
from warehouse_assets_tests.house import House
from warehouse_assets_tests.orchestration.lake_rows import add_rows

DAY = date(2018, 5, 28)


def add(house: House, *trips: Trip) -> None:
    """Add trips to the lake, in a file of their own."""
    add_rows(
        house,
        "trips",
        *(
            {
                "region": trip.region,
                "origin_lon": trip.origin[0],
                "origin_lat": trip.origin[1],
                "destination_lon": trip.destination[0],
                "destination_lat": trip.destination[1],
                "started_at": trip.time,
                "datasource": trip.datasource,
                "arrival": 1,
            }
            for trip in trips
        ),
    )


def add_up(house: House, query: str | None = None) -> Written:
    """Bring `daily_trips` up to date."""
    table = house.lake.table(DAILY_TRIPS)
    return compute_added(house.lake, table, TRIPS, query or journeys.sql("daily_trips"), {})


def group(house: House, zoom: int) -> Written:
    """Bring `trip_groups_fine` up to date."""
    table, constants = house.lake.table(TRIP_GROUPS_FINE), {"tiles": 2.0**zoom}
    return compute_added(house.lake, table, TRIPS, journeys.sql("trip_groups_fine"), constants)


def daily(house: House) -> list[tuple[Any, ...]]:
    """Region, day, datasource, trips and time of the last one."""
    return house.stored("daily_trips")


def partial_rows(house: House) -> int:
    """How many rows the table has that are added up when it is read."""
    table = house.lake.table(DAILY_TRIPS)
    with house.lake.connect() as connection:
        (count,) = connection.execute(
            "SELECT count(*) FROM read_parquet($1)", [table.files(table.open())]
        ).fetchall()
    return int(count[0])


def make_unreadable(house: House) -> Callable[[], None]:
    """Let no file of trips be readable; returns what puts that right."""
    folder = folder_of(house.settings.lake) / "trips"
    files = {path: path.read_bytes() for path in folder.glob("*.parquet")}
    for path in files:
        path.write_bytes(b"not to be read")

    def put_back() -> None:
        for path, content in files.items():
            path.write_bytes(content)

    return put_back


def test_only_rows_that_were_added_are_read(house: House) -> None:
    add_up(house)
    assert daily(house) == []
    add(house, Trip(), Trip())
    add_up(house)
    make_unreadable(house)
    add(house, Trip(at="2018-05-28 23:00:00"), Trip("Turin"))

    add_up(house)

    assert daily(house) == [
        ("Prague", DAY, "funny_car", 3, datetime.fromisoformat("2018-05-28 23:00:00")),
        ("Turin", DAY, "funny_car", 1, datetime.fromisoformat("2018-05-28 09:03:40")),
    ]
    assert partial_rows(house) == 3
    before = version(house, "daily_trips")
    assert add_up(house) == Written()
    assert version(house, "daily_trips") == before


def test_another_query_is_computed_from_all_rows(house: House) -> None:
    add(house, Trip(), Trip("Turin"))
    add_up(house)
    add(house, Trip())

    add_up(house, f"SELECT * FROM ({journeys.sql('daily_trips')}) WHERE region = 'Prague'")

    assert [(row[0], row[3]) for row in daily(house)] == [("Prague", 2)]


def test_another_constant_is_computed_from_all_rows_and_the_same_one_is_not(house: House) -> None:
    trips = [Trip(), Trip(origin=(14.3, 50.0)), Trip()]
    add(house, *trips[:2])
    group(house, 14)
    add(house, trips[2])

    group(house, 5)

    assert house.stored("trip_groups_fine") == journeys.groups(trips, 5)
    make_unreadable(house)
    add(house, Trip())
    group(house, 5)
    assert house.stored("trip_groups_fine") == journeys.groups([*trips, Trip()], 5)


def test_rows_that_were_changed_are_not_counted_as_they_were(house: House) -> None:
    add(house, Trip(), Trip(), Trip("Turin"), Trip("Oslo"))
    add_up(house)
    changes: list[tuple[Callable[[Any], Any], list[tuple[str, int]]]] = [
        (lambda trips: trips.delete("region = 'Oslo'"), [("Prague", 2), ("Turin", 1)]),
        (
            lambda trips: trips.update({"region": "'Prague'"}, predicate="region = 'Turin'"),
            [("Prague", 3)],
        ),
        (lambda trips: trips.delete(), []),
    ]
    for change, counts in changes:
        change(house.lake.table(TRIPS).open())
        add_up(house)
        assert [(row[0], row[3]) for row in daily(house)] == counts


@pytest.mark.parametrize("is_added", [False, True])
def test_rows_that_were_rearranged_are_not_added_again(house: House, is_added: bool) -> None:
    for _ in range(3):
        add(house, Trip(), Trip(origin=PRAGUE, at="2018-06-01 10:00:00"))
        add_up(house)
    if is_added:  # before the rearrangement, and not added up yet
        add(house, Trip("Turin"))
    table = house.lake.table(TRIPS)
    rearrange(house.lake, table)
    maintain(house.lake, table, 0)
    add(house, Trip())

    add_up(house)

    counts = [(row[0], row[1], row[3]) for row in daily(house)]
    turin = [("Turin", DAY, 1)] if is_added else []
    assert counts == [("Prague", DAY, 4), ("Prague", date(2018, 6, 1), 3), *turin]


@pytest.mark.parametrize("point", ["commit to be written", "commit written"])
def test_a_process_that_died_in_it_is_made_up_for(house: House, point: str) -> None:
    for times in (1, 2):
        add(house, Trip("Turin"), Trip())
        with killed_at(point):
            add_up(house)
        add_up(house)
        assert [(row[0], row[3]) for row in daily(house)] == [("Prague", times), ("Turin", times)]


def test_a_table_that_began_anew_with_as_many_versions_is_another_one(house: House) -> None:
    add(house, Trip())
    add_up(house)
    shutil.rmtree(folder_of(house.settings.lake) / "trips")
    add(house, Trip("Turin"))

    add_up(house)

    assert [(row[0], row[3]) for row in daily(house)] == [("Turin", 1)]
