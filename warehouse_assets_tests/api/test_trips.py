"""The answers about trips over HTTP."""

import base64
import json
from collections import Counter
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import dagster as dg
import pytest
import requests

from warehouse_assets_tests.api.serving import Served, assert_is_problem, pages, serving
from warehouse_assets_tests.defs.trips import journeys
from warehouse_assets_tests.defs.trips.journeys import PRAGUE, TURIN, Trip, random_trips
from warehouse_assets_tests.house import House

NORTH = (14.5, 50.1)
BY_HAND = [
    Trip("Brno", at="2017-05-02 10:00:00", origin=NORTH, destination=NORTH),  # a Tuesday
    Trip("Brno", at="2017-05-07 23:59:59", origin=NORTH, destination=NORTH),
    Trip("Brno", at="2017-05-16 00:00:00", origin=NORTH, destination=TURIN),
    Trip("A&B / 'Ü'", at="2017-05-02 10:00:00", origin=(0.0, 0.0), destination=(0.0, 0.0)),
]
# Some groups have many trips, most have one, and several have as many as others.
TRIPS = [
    *BY_HAND,
    *random_trips(seed=3, count=80),
    *([Trip()] * 25),
    *([Trip("Turin", origin=TURIN, destination=PRAGUE)] * 20),
    *([Trip("Turin", origin=PRAGUE, destination=TURIN)] * 20),
]
BOX_OF_BRNO = {"min_lon": 14.5, "min_lat": 50.1, "max_lon": 14.5, "max_lat": 50.1}

NOTHING: dict[str, Any] = {"average_trips_per_week": None, "trips": 0, "weeks": 0, "series": []}


@pytest.fixture(scope="module")
def trips(
    tmp_path_factory: pytest.TempPathFactory, shared_instance: dg.DagsterInstance
) -> Iterator[Served]:
    """A service over a warehouse with these trips."""
    house = House(tmp_path_factory.mktemp("trips") / "home", shared_instance)
    house.deliver("trips.csv", journeys.content(TRIPS))
    journeys.take(house)
    journeys.add_up(house)
    journeys.publish_all(house)
    with serving(house.settings) as served:
        yield served


def get(served: Served, path: str, **values: Any) -> requests.Response:
    return served.client.get(f"{served.address}/trips/{path}", params=values, timeout=30)


def average(served: Served, **values: Any) -> dict[str, Any]:
    response = get(served, "weekly-average", **values)
    assert response.status_code == 200, response.text
    answer = response.json()
    assert isinstance(answer, dict)
    return answer


def test_a_region_has_its_average_and_every_week(trips: Served) -> None:
    assert average(trips, region="Brno") == {
        "average_trips_per_week": 1.0,
        "trips": 3,
        "weeks": 3,
        "series": [
            {"week_start": "2017-05-01", "trips": 2},
            {"week_start": "2017-05-08", "trips": 0},
            {"week_start": "2017-05-15", "trips": 1},
        ],
    }
    assert average(trips, region="A&B / 'Ü'")["trips"] == 1


def test_a_region_or_a_box_is_asked_for_with_days_and_ends_of_trips(trips: Served) -> None:
    for area in ({"region": "Brno"}, BOX_OF_BRNO):
        answer = average(trips, **area, **{"from": "2017-05-07", "to": "2017-05-15"})
        assert (answer["trips"], answer["weeks"], answer["average_trips_per_week"]) == (1, 3, 1 / 3)
        assert average(trips, **area, to="2017-05-07")["trips"] == 2
        assert average(trips, **area, **{"from": "2030-01-01"}) == NOTHING
    for match, count in (("origin", 3), ("destination", 2), ("both", 2), (None, 3)):
        # Other trips end at this very place, but later.
        assert average(trips, **BOX_OF_BRNO, match=match, to="2017-05-21")["trips"] == count


def test_trips_are_answered_as_they_were(trips: Served) -> None:
    box, region = {**BOX_OF_BRNO, "match": "both"}, {"region": "Brno"}
    asked: list[tuple[str, dict[str, Any]]] = [
        ("weekly-average", box),
        ("weekly-average", region),
        ("weekly-average", {**region, "from": "2017-05-07"}),
        ("groups", {"zoom": 9, "hours": 24}),
        ("groups", {"zoom": 14, "hours": 1, "region": "Turin"}),
        ("groups", {"zoom": 5, "hours": 6, "merge": "neighbours"}),
        ("map.json", {"region": "Brno"}),
    ]
    for path, values in asked:
        now = get(trips, path, **values)
        assert now.status_code == 200, now.text
        assert get(trips, path, **values, as_of="now").json() == now.json(), (path, values)
        assert_is_problem(get(trips, path, **values, as_of="2001-01-01"), 422, "yet at 2001-01-01")
    assert average(trips, **box, as_of="0")["trips"] == 0  # the table was made, and empty
    assert get(trips, "groups", as_of="0").json()["groups"] == []


def groups(served: Served, **values: Any) -> list[dict[str, Any]]:
    """The groups of all pages, of the finest likeness."""
    found = pages(served, "/trips/groups", zoom=14, hours=1, **values)
    assert all(len(page["groups"]) <= values.get("limit", 100) for page in found)
    return [group for page in found for group in page["groups"]]


def rows(found: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Region, tiles, hour and trips of groups."""
    return [tuple(group.values())[:7] for group in found]


def expected_rows(wanted: list[Trip]) -> list[tuple[Any, ...]]:
    """The same in plain Python, those with the most trips first, then by their key."""
    counted = [row[:7] for row in journeys.groups(wanted)]
    return sorted(counted, key=lambda row: (-row[6], row[:6]))


def test_all_pages_have_each_group_once_and_in_order(trips: Served) -> None:
    for limit in (7, 1000, len(journeys.groups(TRIPS))):  # the last page is full, or not
        assert rows(groups(trips, limit=limit)) == expected_rows(TRIPS)


def test_groups_can_be_filtered_and_paged_through(trips: Served) -> None:
    prague = [trip for trip in TRIPS if trip.region == "Prague"]
    nine = [trip for trip in TRIPS if trip.time.hour == 9]

    assert rows(groups(trips, region="Prague", limit=5)) == expected_rows(prague)
    assert rows(groups(trips, hour_of_day=9, limit=5)) == expected_rows(nine)
    many = [row for row in expected_rows(TRIPS) if row[6] >= 20]
    assert [row[6] for row in many] == [25, 20, 20]
    assert rows(groups(trips, min_trips=20, limit=2)) == many
    assert rows(groups(trips, min_trips=2, limit=1)) == [
        r for r in expected_rows(TRIPS) if r[6] > 1
    ]
    nothing: dict[str, Any] = {
        "trips": 0,
        "all_groups": 0,
        "share_in_groups": None,
        "groups": [],
        "next": None,
    }
    assert get(trips, "groups", region="Atlantis").json() == {"zoom": 10, "hours": 4, **nothing}


def test_how_similar_trips_are_is_chosen_when_asking(trips: Served) -> None:
    in_2018 = [trip for trip in TRIPS if trip.time.year == 2018 and trip.time.month == 12]
    for values, wanted, (zoom, hours) in (
        ({}, TRIPS, (10, 4)),
        ({"zoom": 0, "hours": 24}, TRIPS, (0, 24)),
        ({"zoom": 12, "from": "2018-12-01", "to": "2018-12-31"}, in_2018, (12, 4)),
        ({"hours": 8, **BOX_OF_BRNO, "region": "Brno"}, BY_HAND[:3], (10, 8)),
    ):
        expected = journeys.groups(wanted, zoom, hours)
        found = get(trips, "groups", limit=1000, **values).json()

        assert sorted(rows(found["groups"])) == [row[:7] for row in expected]
        together = sum(row[6] for row in expected if row[6] > 1)
        assert found["share_in_groups"] == together / len(wanted)
        told = {"trips": len(wanted), "all_groups": len(expected), "zoom": zoom, "hours": hours}
        assert found == {**found, **told}


def test_neighbours_are_one_if_that_is_asked_for(trips: Served) -> None:
    values = {"zoom": 5, "hours": 24, "region": "Turin"}
    found = get(trips, "groups", merge="neighbours", **values).json()

    (group,) = found["groups"]
    assert group["groups_joined"] == get(trips, "groups", **values).json()["all_groups"] > 1
    assert (group["trips"], found["share_in_groups"]) == (found["trips"], 1.0)
    as_csv = get(trips, "groups", merge="neighbours", format="csv", **values).text.splitlines()
    assert as_csv[0].endswith("destination_lon,destination_lat,groups_joined")
    assert as_csv[1].endswith(f",{group['groups_joined']}")


def test_a_group_tells_where_and_when_it_was(trips: Served) -> None:
    (group,) = groups(trips, region="A&B / 'Ü'")

    # The tile south-east of the point at which four tiles meet.
    assert (group["origin_tile_x"], group["origin_tile_y"]) == (8192, 8192)
    # Half of the 360 / 2^14 degrees of a tile.
    assert group["origin"] == {
        "lon": pytest.approx(0.010986328),
        "lat": pytest.approx(-0.010986328),
    }
    assert group["first_trip_at"] == group["last_trip_at"] == "2017-05-02T10:00:00"
    assert group["hour_of_day"] == 10


def cursor(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


_NO_REGION = "There are no trips of this region."
_NO_PLACE = "It is not the `next` of a page."
_WRONG_CURSORS: list[Any] = [
    *([], {}, [1], [1, "Prague", 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1]),
    *([1, "Prague", 1, 1, 1, 1, wrong] for wrong in ("x", 2**70)),
    [None, "Prague", 1, 1, 1, 1, 1],
]


_REFUSED: list[Any] = [
    *(
        ("weekly-average", 404, {"region": region}, _NO_REGION)
        for region in ("Atlantis", "brno", "", "Brno' OR 1=1 --", "\0", "x" * 5000)
    ),
    *(
        ("weekly-average", 422, values, words)
        for values, words in [
            ({}, "Say either region, or min_lon"),
            ({"region": "Brno", **BOX_OF_BRNO}, "Say either region, or min_lon"),
            ({"region": "Brno", "match": "both"}, "there is none"),
            ({"min_lon": 1, "max_lon": 2, "max_lat": 3}, "Say all four sides of a box"),
            ({"min_lon": 1, "min_lat": 2, "max_lat": 3}, "Say all four sides of a box"),
            ({**BOX_OF_BRNO, "min_lon": 14.6}, "from -180 to 180, the minimum first"),
            ({**BOX_OF_BRNO, "min_lat": "nan"}, "min_lat"),
            ({**BOX_OF_BRNO, "max_lon": "east"}, "max_lon"),
            ({**BOX_OF_BRNO, "match": "sideways"}, "match"),
            ({"region": "Brno", "from": "2017-05-02", "to": "2017-05-01"}, "is after to"),
            ({"region": "Brno", "from": "2017-02-30"}, "from"),
            ({"region": "Brno", "to": "May"}, "to"),
        ]
    ),
    *(("groups", 422, {"after": after}, _NO_PLACE) for after in ("", "x", "äöü")),
    *(("groups", 422, {"after": cursor(wrong)}, _NO_PLACE) for wrong in _WRONG_CURSORS),
    *(
        ("groups", 422, {name: value}, name)
        for name, values in [
            ("limit", (0, 1001, "many")),
            ("hour_of_day", (24, -1)),
            ("min_trips", (0, 2**63)),
            ("zoom", (-1, 25, 9.5)),
            ("hours", (0, 5, 25, "all")),
            ("merge", ("", "all")),
            ("match", ("origin",)),
            ("min_lon", (14.4,)),
            ("from", ("May",)),
        ]
        for value in values
    ),
]


def test_what_cannot_be_answered_is_told(trips: Served) -> None:
    for path, status, values, words in _REFUSED:
        response = get(trips, path, **values)
        assert_is_problem(response, status)
        assert words in response.text


def test_pictures_are_svg_of_all_regions_or_of_one(trips: Served) -> None:
    regions = {"Prague", "Turin", "A&B / 'Ü'"}
    for name in ("map.svg", "weeks.svg"):
        for region, shown in ((None, regions), ("Turin", {"Turin"})):
            response = get(trips, name, region=region)
            assert response.headers["Content-Type"].startswith("image/svg+xml")
            assert regions & set(ElementTree.fromstring(response.content).itertext()) == shown
        assert "There are no rows." in get(trips, name, region="Atlantis").text


def test_the_map_has_a_point_for_each_group_at_the_centre_of_its_tile(trips: Served) -> None:
    for hours in (1, 24):
        expected: Counter[tuple[Any, ...]] = Counter()
        for _, *tiles, hour, trips_of_group in expected_rows(
            [trip for trip in TRIPS if trip.region == "Turin"]
        ):
            expected[(*tiles, hour if hours == 1 else 0)] += trips_of_group
        told = get(trips, "map.svg", region="Turin", zoom=14, hours=hours)
        points = [
            found.attrib["aria-label"]
            for found in ElementTree.fromstring(told.content).iter()
            if found.get("aria-roledescription") == "circle"
        ]
        assert sorted(points) == sorted(
            f"Turin: {number} trips from {x}/{y} to {to_x}/{to_y}"
            for (x, y, to_x, to_y, _), number in expected.items()
        )
    shown = get(trips, "map.json", region="Turin", zoom=14).json()["data"]["values"]
    (longest,) = [row for row in shown if row["trips"] == 20 and row["origin_lon"] < 10]
    assert (longest["origin_lon"], longest["origin_lat"]) == pytest.approx(TURIN, abs=0.02)
    assert_is_problem(get(trips, "map.pdf"), 404, "svg, png, json")


def test_before_there_are_trips_it_says_what_to_do_and_when_to_come_again(served: Served) -> None:
    paths = ["weekly-average?region=Prague", "groups", "map.svg", "weeks.svg"]
    for path in paths:
        assert_is_problem(get(served, path), 503, "There is no warehouse")
    assert average(served, **BOX_OF_BRNO)["trips"] == 0
    with served.service.warehouse.write() as connection:
        connection.exec_driver_sql("CREATE TABLE another (id INTEGER)")
    for path in paths:
        assert_is_problem(get(served, path), 503, "published")
