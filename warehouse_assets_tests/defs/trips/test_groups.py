"""Groups of trips as alike as one asks for, beside plain Python."""

import random
from collections.abc import Sequence
from datetime import date
from itertools import product
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from warehouse_assets.defs.trips.answers import Box, Match
from warehouse_assets.defs.trips.groups import (
    HOURS,
    MOST_TO_JOIN,
    ORDER,
    Filter,
    Groups,
    Likeness,
    TooManyGroupsError,
    groups_of,
)
from warehouse_assets.defs.trips.tables import TRIP_GROUPS_FINE, TRIPS
from warehouse_assets.lake import rearrange
from warehouse_assets.times import Days
from warehouse_assets_tests.defs.trips import journeys
from warehouse_assets_tests.defs.trips.journeys import PRAGUE, TURIN, Trip, random_trips
from warehouse_assets_tests.house import House

EDGES = [(180.0, 89.9), (-180.0, -89.9), (0.0, 0.0), (179.999, 85.06)]
TRIPS_OF_ALL = [
    *random_trips(seed=5, count=150),
    *([Trip()] * 3),
    *(Trip("Edge", one, other) for one, other in product(EDGES, repeat=2)),
]
ZOOMS = range(17)

_EVERY_TRIP = Filter()


def house_of(folder: Path, instance: dg.DagsterInstance, trips: Sequence[Trip]) -> House:
    """A house that has taken `trips`, in two files."""
    house = House(folder / "home", instance)
    for part in range(2):
        house.deliver(f"trips-{part}.csv", journeys.content(trips[part::2]))
        journeys.take(house)
    return house


@pytest.fixture(scope="module", params=["trips alone", "partial groups", "folded groups"])
def house(
    request: Any, tmp_path_factory: pytest.TempPathFactory, shared_instance: dg.DagsterInstance
) -> House:
    """A house with all trips; there may be fine groups to add up, too."""
    made = House(tmp_path_factory.mktemp("groups") / "home", shared_instance)
    for part in range(2):
        made.deliver(f"trips-{part}.csv", journeys.content(TRIPS_OF_ALL[part::2]))
        journeys.take(made)
        if request.param != "trips alone":
            journeys.add_up(made, "trip_groups_fine")
    if request.param == "folded groups":
        rearrange(made.lake, made.lake.table(TRIP_GROUPS_FINE))
        rearrange(made.lake, made.lake.table(TRIPS))
    return made


def ask(
    house: House,
    likeness: Likeness,
    wanted: Filter = _EVERY_TRIP,
    limit: int = 10_000,
    after: Sequence[Any] | None = None,
) -> Groups:
    return groups_of(house.lake, house.settings, likeness, wanted, limit, after)


def rows(found: Groups) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in found.rows]


def in_order(groups: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Rows of groups, those with the most trips first, then by their key, each of one."""
    return [(*row, 1) for row in sorted(groups, key=lambda row: (-row[6], row[:6]))]


def test_every_zoom_and_every_part_of_the_day_is_as_if_counted_from_the_trips(
    house: House,
) -> None:
    for zoom, hours in product(ZOOMS, HOURS):
        expected = journeys.groups(TRIPS_OF_ALL, zoom, hours)

        found = ask(house, Likeness(zoom, hours))

        assert rows(found) == in_order(expected), (zoom, hours)
        together = sum(row[6] for row in expected if row[6] > 1)
        assert (found.groups, found.trips) == (len(expected), len(TRIPS_OF_ALL))
        assert found.share_in_groups == together / len(TRIPS_OF_ALL)


def test_trips_are_filtered_before_they_are_grouped(house: House) -> None:
    some = Days(date(2018, 12, 25), date(2018, 12, 31))
    box = Box(14.40, 50.06, 14.46, 50.10)

    def is_in(place: tuple[float, float]) -> bool:
        return box.min_lon <= place[0] <= box.max_lon and box.min_lat <= place[1] <= box.max_lat

    matches: list[Match] = ["origin", "destination", "both"]
    for region, days, match, hour in product(
        (None, "Prague", "Nowhere"), (Days(), some), (None, *matches), (None, 17)
    ):
        expected = [
            trip
            for trip in TRIPS_OF_ALL
            if region in (None, trip.region)
            and (days.first or date.min) <= trip.time.date() <= (days.last or date.max)
            and (match in (None, "destination") or is_in(trip.origin))
            and (match in (None, "origin") or is_in(trip.destination))
            and (hour is None or 16 <= trip.time.hour < 20)
        ]
        wanted = Filter(region, hour, days, box if match else None, match or "origin")

        found = ask(house, Likeness(11, 4), wanted)

        assert rows(found) == in_order(journeys.groups(expected, 11, 4))
        assert (found.share_in_groups is None) == (not expected)


def test_pages_have_each_group_once_and_the_share_is_of_all(house: House) -> None:
    whole = ask(house, Likeness(9, 12))
    found: list[tuple[Any, ...]] = []
    after = None
    while page := ask(house, Likeness(9, 12), limit=7, after=after).rows:
        found += [tuple(row.values()) for row in page]
        after = [page[-1][column.name] for column in ORDER]
    assert found == rows(whole)
    many = ask(house, Likeness(9, 12), Filter(min_trips=5))
    assert rows(many) == [row for row in found if row[6] >= 5] != []
    assert many.share_in_groups == whole.share_in_groups


def are_neighbours(one: tuple[Any, ...], other: tuple[Any, ...], zoom: int, hours: int) -> bool:
    """As the definition has it."""
    tiles = 2**zoom
    for column in (1, 3):
        apart = abs(one[column] - other[column])
        if min(apart, tiles - apart) > 1 or abs(one[column + 1] - other[column + 1]) > 1:
            return False
    apart = abs(one[5] - other[5])
    return one[0] == other[0] and min(apart, 24 - apart) in (0, hours)


def joined(trips: Sequence[Trip], zoom: int, hours: int) -> list[tuple[Any, ...]]:
    """Groups of which no two are neighbours, by looking at all pairs again and again."""
    parts = [[row] for row in in_order(journeys.groups(trips, zoom, hours))]
    while True:
        for one, other in product(parts, repeat=2):
            if one is not other and any(
                are_neighbours(a, b, zoom, hours) for a, b in product(one, other)
            ):
                one.extend(other)
                parts.remove(other)
                break
        else:
            break
    found = []
    for part in parts:
        most = min(part, key=lambda row: (-row[6], row[:6]))
        number, first, last = zip(*(row[6:9] for row in part), strict=True)
        found.append((*most[:6], sum(number), min(first), max(last), len(part)))
    return sorted(found, key=lambda row: (-row[6], row[:6]))


@pytest.mark.parametrize("seed", range(3))
def test_neighbours_and_their_neighbours_are_one(
    tmp_path: Path, shared_instance: dg.DagsterInstance, seed: int
) -> None:
    chance = random.Random(seed)
    trips = [Trip("Edge", one, other) for one, other in product(EDGES, repeat=2)]
    for region, east in product(("Prague", "Pacific"), (14.4, 179.9)):
        for _ in range(25):
            at = f"2018-05-0{chance.randint(1, 9)} {chance.randrange(24):02}:30:00"
            ends = [
                ((east + chance.uniform(0, 0.4) + 180) % 360 - 180, 50 + chance.uniform(0, 0.2))
                for _ in range(2)
            ]
            trips.append(Trip(region, ends[0], ends[1], at))
    house = house_of(tmp_path, shared_instance, trips)

    for zoom, hours in ((0, 24), (1, 12), (9, 6), (10, 4), (11, 4), (12, 1)):
        found = ask(house, Likeness(zoom, hours, joins_neighbours=True))
        assert rows(found) == joined(trips, zoom, hours), (zoom, hours)
        assert found.trips == len(trips)


def test_trips_across_borders_are_one_group_if_neighbours_are_joined(
    tmp_path: Path, shared_instance: dg.DagsterInstance
) -> None:
    # Some metres apart, across a border of tiles, and across nine o'clock.
    trips = [
        Trip("Border", (14.435935, 50.05), (14.486035, 50.06), "2024-03-04 08:30:00"),
        Trip("Border", (14.436135, 50.05), (14.486035, 50.06), "2024-03-04 08:31:00"),
        Trip("Border", (14.436235, 50.05), (14.486035, 50.06), "2024-03-04 09:00:00"),
        Trip("Border", (14.436235, 50.05), (14.486035, 50.06), "2024-03-04 08:59:59"),
    ]
    house = house_of(tmp_path, shared_instance, trips)

    assert ask(house, Likeness(14, 1)).groups == 3
    (group,) = ask(house, Likeness(14, 1, joins_neighbours=True)).rows

    assert (group["trips"], group["groups_joined"], group["hour_of_day"]) == (4, 3, 8)
    # That of the trips is not: from noon to three in the afternoon there is nobody.
    later = [*trips, Trip("Border", (14.436235, 50.05), (14.486035, 50.06), "2024-03-04 11:00:00")]
    house = house_of(tmp_path / "later", shared_instance, later)
    assert ask(house, Likeness(14, 1, joins_neighbours=True)).groups == 2


def test_too_many_to_join_are_refused(tmp_path: Path, shared_instance: dg.DagsterInstance) -> None:
    east = (Trip(origin=(-180 + 0.01 * n, 0.0), destination=TURIN) for n in range(MOST_TO_JOIN + 1))
    house = house_of(tmp_path, shared_instance, [*east, Trip("Turin", PRAGUE, TURIN)])

    with pytest.raises(TooManyGroupsError, match="20,002 groups"):
        ask(house, Likeness(16, 1, joins_neighbours=True))
    assert ask(house, Likeness(16, 1, joins_neighbours=True), Filter("Turin")).groups == 1


def test_without_a_lake_there_are_no_groups(
    tmp_path: Path, shared_instance: dg.DagsterInstance
) -> None:
    found = ask(House(tmp_path / "home", shared_instance), Likeness(10, 4, joins_neighbours=True))
    assert (found.rows, found.trips, found.share_in_groups) == ([], 0, None)
