"""Files that are written into the lake as they are read: taken once, wherever a process dies."""

import pytest

from warehouse_assets_tests.crashes import killed_at
from warehouse_assets_tests.defs.trips import journeys
from warehouse_assets_tests.defs.trips.journeys import Trip, content
from warehouse_assets_tests.house import House
from warehouse_assets_tests.ingest.deliveries import deliver

BAD = "Prague,POINT (14.4 91),POINT (14.4 50),2018-05-01 10:00:00,a\n"
TRIPS = [Trip("Prague"), Trip("Turin"), Trip("Turin"), Trip("Berlin")]


def deliver_three_files(house: House) -> None:
    deliver(house, "trips-1.csv", content([TRIPS[0]]) + BAD, at=1)
    deliver(house, "trips-2.csv", content(TRIPS[1:3]), at=2)
    deliver(house, "trips-3.csv", content([TRIPS[3]]) + BAD, at=3)


def assert_taken_exactly_once(house: House) -> None:
    assert house.stored("trips", "region, arrival") == [
        ("Berlin", 3), ("Prague", 1), ("Turin", 2), ("Turin", 2)
    ]  # fmt: skip
    assert [row[:3] for row in house.rejected()] == [
        ("trips", "00000001-trips-1.csv", 3),
        ("trips", "00000003-trips-3.csv", 3),
    ]
    assert house.archived() == [f"trips/0000000{n}-trips-{n}.csv" for n in (1, 2, 3)]
    assert house.waiting() == []


@pytest.mark.parametrize("lost", ["trips", "rejected_records"])
def test_one_lost_table_comes_back_from_the_archive(house: House, lost: str) -> None:
    deliver_three_files(house)
    journeys.take(house)
    for path in sorted((house.settings.lake / lost).rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()

    journeys.take(house)

    assert_taken_exactly_once(house)


def test_a_content_that_was_half_taken_under_another_name_is_taken_once(house: House) -> None:
    deliver(house, "trips-1.csv", content(TRIPS) + BAD, at=1)
    with killed_at("rejects committed"):
        journeys.take(house)
    deliver(house, "trips-0.csv", content(TRIPS) + BAD, at=0)

    journeys.take(house)

    assert len(house.stored("trips")) == len(TRIPS)
    assert len(house.rejected()) == 1
    assert house.waiting() == []


def test_nothing_that_was_written_and_not_registered_is_read(house: House) -> None:
    deliver_three_files(house)
    with killed_at("rejects committed"):
        journeys.take(house)

    assert list((house.settings.lake / "trips").rglob("*.parquet"))
    assert house.stored("trips") == []
