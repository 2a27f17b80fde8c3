import csv
import io
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from warehouse_assets.catalogue import ANSWER_TABLES, QUESTIONS
from warehouse_assets.defs.forum.tables import OUTLIER_WEEKS
from warehouse_assets.defs.school.tables import BATCH_COMPLETIONS
from warehouse_assets.defs.trips.tables import (
    DAILY_TRIPS,
    TRIP_GROUPS,
    TRIP_GROUPS_FINE,
    WEEKLY_TRIPS,
)
from warehouse_assets.lake import Lake, append
from warehouse_assets.warehouse import publish, warehouse_at
from warehouse_assets_tests.api.reviewing import KINDS
from warehouse_assets_tests.api.serving import (
    Served,
    assert_is_problem,
    pages,
    serving,
    settings_of,
)
from warehouse_assets_tests.lake.tables import Stored
from warehouse_assets_tests.postgres import postgres_url

_MONDAY = date(2018, 5, 28)
_AT = datetime.fromisoformat("2018-06-01T09:03:40.500")
_BATCHES = [
    (1, "b,1", 4, 2, 0.5, 1, 3, 2, 0.5),
    (2, 'b"2"', 0, 0, None, 3, 3, 0, None),
    (3, None, 5, 2, 0.4, 1, 3, 2, 0.4),
]
_OUTLIERS = [(2021, 52, 9, None), (2022, 0, 1, None), (2022, 1, 12, None)]
_WEEKS = [
    (f"r{n % 50:02}", _MONDAY + timedelta(weeks=n // 50), "cheap_mobile", n + 1, _AT)
    for n in range(3000)
]


# The same as `_WEEKS`: row by row they would take seconds.
_WEEKS_IN_SQL = f"""INSERT INTO staged
SELECT format('r{{:02d}}', n % 50), DATE '{_MONDAY}' + 7 * (n // 50)::INTEGER, 'cheap_mobile',
    n + 1, TIMESTAMP '{_AT}'
FROM range(3000) AS numbers(n)"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A house whose lake has answers of the forum, the school and trips."""
    folder = tmp_path_factory.mktemp("answers")
    settings = settings_of(folder)
    lake = Lake(settings.lake, settings.scratch, 10**9)
    Stored(lake, BATCH_COMPLETIONS).append(_BATCHES)
    Stored(lake, OUTLIER_WEEKS).append(_OUTLIERS)
    Stored(lake, DAILY_TRIPS).append([("r00", _MONDAY, "cheap_mobile", 1, _AT)])
    for table in (TRIP_GROUPS, TRIP_GROUPS_FINE):
        Stored(lake, table).append([("r00", 8847, 5550, 8851, 5546, 9, 3, _AT, _AT)])
    weekly = Stored(lake, WEEKLY_TRIPS)
    with weekly.staged([]) as connection:
        connection.execute(_WEEKS_IN_SQL)
        append(connection, weekly.table, weekly.table.open(), "FROM staged", {})
    assert weekly.rows() == sorted(_WEEKS)
    return folder


@pytest.fixture(scope="module", params=KINDS)
def served(request: Any, folder: Path) -> Iterator[Served]:
    """A service over a warehouse with these answers."""
    environment = {"WAREHOUSE_URL": postgres_url()} if request.param == "postgresql" else {}
    settings = settings_of(folder, **environment)
    lake = Lake(settings.lake, settings.scratch, 10**9)
    warehouse = warehouse_at(settings.warehouse_url)
    for table in (BATCH_COMPLETIONS, OUTLIER_WEEKS, WEEKLY_TRIPS, DAILY_TRIPS, TRIP_GROUPS):
        publish(lake, warehouse, lake.table(table))
    with serving(settings) as found:
        yield found


def get(served: Served, path: str, **options: Any) -> Any:
    return served.client.get(served.address + path, **options)


def rows_of(response: Any) -> list[list[str]]:
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.reader(io.StringIO(response.text, newline="")))


def test_the_list_has_every_table_and_question_with_what_it_answers(served: Served) -> None:
    found = get(served, "/answers").json()["answers"]
    names = [*(str(table.name) for table in ANSWER_TABLES), *(q.name for q in QUESTIONS)]
    assert [answer["name"] for answer in found] == names
    for answer in found:
        assert answer["question"].endswith("?")
        assert get(served, answer["address"]).status_code in {200, 503}
    listed = rows_of(get(served, "/answers?format=csv"))
    assert [row[0] for row in listed[1:]] == names


def test_batches_come_in_the_order_of_their_ranks(served: Served) -> None:
    told = get(served, "/answers/batch_completions").json()
    columns = [column["name"] for column in told["columns"]]
    expected = [_BATCHES[0], _BATCHES[2], _BATCHES[1]]
    assert [tuple(row.values()) for row in told["rows"]] == expected
    assert list(told["rows"][0]) == columns
    assert all(column["description"] for column in told["columns"])
    header, *rows = rows_of(get(served, "/answers/batch_completions?format=csv"))
    assert header == columns
    assert rows == [["" if v is None else str(v) for v in row] for row in expected]


def test_pages_of_json_hold_every_row_once_in_order(served: Served) -> None:
    found = [
        tuple(row.values())
        for page in pages(served, "/answers/weekly_trips", limit=700)
        for row in page["rows"]
    ]
    expected = sorted(_WEEKS, key=lambda row: row[:3])
    assert found == [
        (region, week.isoformat(), source, trips, at.isoformat())
        for region, week, source, trips, at in expected
    ]
    assert len(get(served, "/answers/weekly_trips").json()["rows"]) == 100


def test_csv_is_whole_or_as_long_as_is_wanted(served: Served) -> None:
    for options in ({"params": {"format": "csv"}}, {"headers": {"Accept": "text/csv"}}):
        assert len(rows_of(get(served, "/answers/weekly_trips", **options))) == 1 + 3000
    assert len(rows_of(get(served, "/answers/weekly_trips?format=csv&limit=5"))) == 1 + 5


def test_questions_are_answered_whole(served: Served) -> None:
    told = get(served, "/answers/regions_with_cheap_mobile").json()
    assert len(told["rows"]) == 50
    assert told["rows"][0]["region"] == "r00"
    assert told["rows"][0]["trips"] == sum(trips for r, _, _, trips, _ in _WEEKS if r == "r00")
    assert len(rows_of(get(served, "/answers/regions_with_cheap_mobile?format=csv"))) == 51
    # SQLite keeps times as text; here they are as PostgreSQL's times are.
    told = get(served, "/answers/latest_datasource_of_the_two_most_common_regions").json()
    assert all("T" in row["last_trip_at"] for row in told["rows"])
    for question in QUESTIONS:
        is_there = {table.name for table in question.reads} <= {"weekly_trips", "trip_groups"}
        told = get(served, f"/answers/{question.name}").status_code
        assert told == (200 if is_there else 503), question.name


def test_what_cannot_be_answered_is_a_problem(served: Served) -> None:
    for path, status in [
        ("nothing", 404),
        ("trips", 404),
        ("_published", 404),
        ("mean_votes_per_post_per_week", 503),
        ("outlier_weeks?limit=0", 422),
        ("outlier_weeks?limit=1001", 422),
        ("outlier_weeks?after=x", 422),
        ("outlier_weeks?after=WzFd", 422),
        ("outlier_weeks?after=WyJhIiwiYiJd", 422),
        ("regions_with_cheap_mobile?after=x", 422),
        ("outlier_weeks?format=xml", 422),
    ]:
        assert_is_problem(get(served, f"/answers/{path}"), status)


def test_an_answer_that_is_known_is_not_sent_again(served: Served) -> None:
    for path in [
        "/answers/outlier_weeks",
        "/answers/outlier_weeks?format=csv",
        "/trips/groups",
        "/trips/groups?format=csv",
        "/trips/weekly-average?region=r00",
        "/trips/weekly-average?min_lon=1&min_lat=1&max_lon=2&max_lat=2",
        "/trips/map.svg",
        "/trips/weeks.svg",
    ]:
        first = get(served, path)
        assert first.status_code == 200, first.text
        assert first.headers["Cache-Control"] == "no-cache"
        tag = first.headers["ETag"]
        for known in (tag, f'"other", {tag}', "*"):
            again = get(served, path, headers={"If-None-Match": known})
            assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
        other = get(served, path, headers={"If-None-Match": '"x"'})
        assert (other.status_code, other.content) == (200, first.content)
    assert get(served, "/answers/nothing", headers={"If-None-Match": "*"}).status_code == 404


def test_trips_are_told_as_csv_too(served: Served) -> None:
    header, *series = rows_of(get(served, "/trips/weekly-average?region=r00&format=csv"))
    told = get(served, "/trips/weekly-average?region=r00").json()
    assert header == ["week_start", "trips"]
    assert series == [[week["week_start"], str(week["trips"])] for week in told["series"]]
    header, row = rows_of(get(served, "/trips/groups", headers={"Accept": "text/csv"}))
    (group,) = get(served, "/trips/groups").json()["groups"]
    assert row[: header.index("origin_lon")] == [
        str(group[name]) for name in header[: header.index("origin_lon")]
    ]
    assert (group["origin_tile_x"], group["hour_of_day"], group["trips"]) == (552, 8, 3)
    assert float(row[header.index("destination_lat")]) == group["destination"]["lat"]
