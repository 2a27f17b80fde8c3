"""The sample trips, which are like people's."""

import csv
import gzip
import math
import re
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest

from warehouse_assets.defs.trips.family import TRIPS_FILES
from warehouse_assets.ingest.files import load_files
from warehouse_assets.samples.trips import (
    CITIES,
    COLUMNS,
    write_trips,
    write_trips_samples,
)
from warehouse_assets_tests.house import House

POINT = re.compile(r"POINT \((-?[\d.]+(?:e-\d+)?) (-?[\d.]+(?:e-\d+)?)\)")
TIME = re.compile(r"201[89]-\d\d-\d\d \d\d:\d\d:\d\d")


def lines_of(path: Path) -> list[str]:
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode().splitlines()


def made(folder: Path, rows: int, number: int = 0, damaged_every: int | None = None) -> list[str]:
    """The lines of a file of trips, its header left out."""
    folder.mkdir(exist_ok=True)
    write_trips(folder / "trips.csv", rows, 3, number=number, damaged_every=damaged_every)
    return lines_of(folder / "trips.csv")[1:]


def kilometres(a: tuple[float, float], b: tuple[float, float]) -> float:
    east = (a[0] - b[0]) * math.cos(math.radians(a[1]))
    return 111.32 * math.hypot(east, a[1] - b[1])


def point(text: str) -> tuple[float, float]:
    match = POINT.fullmatch(text)
    assert match, text
    return float(match[1]), float(match[2])


def districts_of_regions() -> dict[str, list[tuple[float, float]]]:
    """The middles of the districts of each city, its centre first."""
    found: dict[str, list[tuple[float, float]]] = {}
    for row in csv.DictReader(CITIES.read_text().splitlines()):
        found.setdefault(row["region"], []).append((float(row["lon"]), float(row["lat"])))
    return found


@pytest.fixture(scope="module")
def trips(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """20,000 trips without damage."""
    path = tmp_path_factory.mktemp("trips") / "trips.csv"
    write_trips(path, 20_000, 1)
    return list(csv.DictReader(lines_of(path)))


def test_rows_follow_from_their_numbers(tmp_path: Path) -> None:
    at_once = made(tmp_path, 1000)

    assert made(tmp_path, 400, number=300) == at_once[300:700]
    assert len(set(at_once)) == 1000


@pytest.mark.parametrize("trips", [0, 19, 1000])
def test_both_samples_together_have_as_many_rows_as_asked_for(tmp_path: Path, trips: int) -> None:
    first, second = map(lines_of, write_trips_samples(tmp_path, trips, seed=1))

    assert first[0] == "region,origin_coord,destination_coord,datetime,datasource"
    assert second[0] == "datasource,date_time,region,origin_coord,destination_coord"
    assert second[-1] == "funny_car,2019-12-29 22:15:"
    assert len(first) - 1 + len(second) - 2 == trips


def test_rows_are_damaged_in_each_way_in_turn(tmp_path: Path) -> None:
    whole = list(csv.reader(made(tmp_path, 100)))
    damaged = list(csv.reader(made(tmp_path, 100, damaged_every=10)))

    found = [(n, one, other) for n, (one, other) in enumerate(zip(whole, damaged, strict=True))]
    changed = [
        (number, COLUMNS[place], other[place])
        for number, one, other in found
        for place in range(5)
        if one[place] != other[place]
    ]
    ways = [
        ("datetime", "2018-02-30 09:03:40"),
        ("origin_coord", "POINT (14.42)"),
        ("region", ""),
        ("destination_coord", ""),
        ("datetime", "yesterday"),
        ("destination_coord", "POINT (14.42 95.5)"),
        ("datasource", ""),
        ("origin_coord", "LINESTRING (14.42 50.08, 14.43 50.09)"),
    ]
    expected = [(10 * n + 9, *ways[n % len(ways)]) for n in range(10)]
    assert changed == expected


def test_samples_are_taken_but_for_the_damaged_rows(house: House) -> None:
    write_trips_samples(house.settings.inbox, 8000, seed=1)

    load_files(house.lake, house.inbox, TRIPS_FILES)

    # One of a thousand, and the row that is cut short.
    place = "destination_coord is not a longitude (-180 to 180) and a latitude (-90 to 90)"
    assert house.stored("trips", "count(*)") == [(8000 - 8,)]
    assert sorted(reason for _, _, _, reason, _ in house.rejected()) == [
        "datasource is missing",
        "datetime is not a date and time: 2018-02-30 09:03:40",
        "datetime is not a date and time: yesterday",
        "destination_coord is missing",
        f"{place}: POINT (14.42 95.5)",
        "not as many fields as the header has: 2 where the header has 5",
        "origin_coord is not POINT (longitude latitude): LINESTRING (14.42 50.08, 14.43 50.09)",
        "origin_coord is not POINT (longitude latitude): POINT (14.42)",
        "region is missing",
    ]


def test_trips_begin_and_end_in_their_region(trips: list[dict[str, str]]) -> None:
    districts = districts_of_regions()

    def distance(region: str, end: tuple[float, float]) -> float:
        return min(kilometres(end, district) for district in districts[region])

    assert {trip["region"] for trip in trips} == set(districts)
    for trip in trips:
        # Three standard deviations each way, twice where the trip goes round the corner.
        assert distance(trip["region"], point(trip["origin_coord"])) < 2.4 * 3 * math.sqrt(2)
        assert distance(trip["region"], point(trip["destination_coord"])) < 2.4 * 6 * math.sqrt(2)
        assert TIME.fullmatch(trip["datetime"])


def test_cheap_mobile_is_not_in_use_everywhere(trips: list[dict[str, str]]) -> None:
    everywhere = {trip["region"] for trip in trips}
    with_it = {trip["region"] for trip in trips if trip["datasource"] == "cheap_mobile"}

    assert everywhere - with_it == {"Vienna", "Copenhagen", "Lisbon"}
    assert {trip["datasource"] for trip in trips} == {
        *("funny_car", "baba_car", "cheap_mobile", "bad_diesel_vehicles", "pt_search_app")
    }


def test_there_are_rush_hours_and_quiet_months(trips: list[dict[str, str]]) -> None:
    times = [datetime.fromisoformat(trip["datetime"]) for trip in trips]
    hours = Counter(time.hour for time in times if time.weekday() < 5)
    months = Counter(trip["datetime"][:7] for trip in trips)

    assert hours[8] > 2 * hours[11] > 10 * hours[3]
    assert (len(months), min(months), max(months)) == (24, "2018-01", "2019-12")
    assert months["2018-08"] < months["2018-05"] < months["2019-05"]
