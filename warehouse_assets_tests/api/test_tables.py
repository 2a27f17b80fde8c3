"""Every table by URL: conditions, order, pages and formats, wherever its rows are."""

import csv
import io
import json
import operator
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import arro3.io
import duckdb
import pytest
import requests
from sqlalchemy import Table

from warehouse_assets.catalogue import TABLES
from warehouse_assets.defs.school.tables import BATCH_COMPLETIONS, STUDENTS, TEST_RUNS
from warehouse_assets.defs.trips.tables import TRIPS, WEEKLY_TRIPS
from warehouse_assets.lake import Lake
from warehouse_assets.tables import REJECTED_RECORDS
from warehouse_assets.warehouse import publish, warehouse_at
from warehouse_assets_tests.api.reviewing import KINDS
from warehouse_assets_tests.api.serving import (
    Served,
    assert_is_problem,
    file_of,
    pages,
    serving,
    settings_of,
)
from warehouse_assets_tests.lake.tables import Stored
from warehouse_assets_tests.postgres import postgres_url

_AT = datetime.fromisoformat("2018-06-01T09:03:40.500")
_MONDAY = date(2018, 5, 28)
_STUDENTS: list[tuple[Any, ...]] = [
    (1, "Ann", 10, _AT),
    (2, "ann", 10, _AT + timedelta(days=1)),
    (3, "A[n]n%_?", 20, None),
    (4, None, None, _AT),
    (5, "Änn, the \\ other", 20, _AT - timedelta(days=1)),
    (6, "", None, None),
    (7, "Bob", 30, _AT),
]
_BATCHES = [
    (1, "b,1", 4, 2, 0.5, 1, 3, 2, 0.5),
    (2, 'b"2"', 0, 0, None, 3, 3, 0, None),
    (3, None, 5, 2, 0.4, 1, 3, 2, 0.4),
]
_WEEKS = [
    (region, _MONDAY + timedelta(weeks=week), source, week * 3 % 7, _AT)
    for region in ("Brno", "Prague", "Turin")
    for week in range(20)
    for source in ("baba_car", "cheap_mobile")
]
_TRIP = ("Prague", 14.5, 50.0, 14.25, 50.5, _AT, "funny_car", 1)
_TRIPS = [
    *[_TRIP] * 5,
    ("Brno", *_TRIP[1:]),
    *[("Turin", 7.5, 45.0, 7.25, 45.5, _AT, f"car_{n}", 2) for n in range(4)],
    *[("Turin", 7.5, 45.0, 7.25, 45.5, _AT, "car_9", 2)] * 3,
]
_RUNS = [(0, 1, 2, None, 1, 2, False), (50, 1, 3, "SQL", 2, 2, True), (99, 2, 3, None, 0, 1, False)]
_REJECTED = [
    ("trips", "00000001-a.csv", 7, "no datetime", None, "Prague,,,,x", _AT),
    ("trips", "00000001-a.csv", 12, "no region", None, ",,,,y", _AT),
    ("votes", "00000002-votes.json", 0, "not JSON", "[", "[", _AT),
]
_STORED: dict[Table, list[Any]] = {
    STUDENTS: _STUDENTS,
    BATCH_COMPLETIONS: _BATCHES,
    WEEKLY_TRIPS: _WEEKS,
    REJECTED_RECORDS: _REJECTED,
    TRIPS: _TRIPS,
    TEST_RUNS: _RUNS,
}
_IN_THE_LAKE_ONLY = {TRIPS, TEST_RUNS}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A house with rows in its lake."""
    folder = tmp_path_factory.mktemp("tables")
    settings = settings_of(folder)
    lake = Lake(settings.lake, settings.scratch, 10**9)
    for table, rows in _STORED.items():
        Stored(lake, table).append(rows)
    return folder


@pytest.fixture(scope="module", params=KINDS)
def served(request: Any, folder: Path) -> Iterator[Served]:
    """A service over a warehouse of these rows."""
    environment = {"WAREHOUSE_URL": postgres_url()} if request.param == "postgresql" else {}
    settings = settings_of(folder, **environment)
    lake = Lake(settings.lake, settings.scratch, 10**9)
    for table in _STORED.keys() - _IN_THE_LAKE_ONLY:
        publish(lake, warehouse_at(settings.warehouse_url), lake.table(table))
    with serving(settings) as found:
        yield found


def get(served: Served, path: str, **options: Any) -> requests.Response:
    return served.client.get(f"{served.address}/tables{path}", timeout=30, **options)


def items(served: Served, path: str) -> list[dict[str, Any]]:
    response = get(served, path)
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()["items"]
    return found


def ids(served: Served, query: str) -> list[int]:
    return [item["id"] for item in items(served, f"/students?{query}")]


def test_the_list_has_every_table_and_where_its_rows_are(served: Served) -> None:
    found = {table["name"]: table for table in get(served, "").json()["items"]}
    assert found.keys() == {table.name for table in TABLES}
    assert found["trips"]["place"] == found["test_runs"]["place"] == "lake"
    assert found["students"]["place"] == "warehouse"
    assert (found["trips"]["key"], found["students"]["key"]) == ([], ["id"])
    for table in _STORED:
        response = served.client.get(served.address + found[str(table.name)]["address"])
        assert response.status_code == 200
        assert list(response.json()["items"][0]) == [
            column["name"] for column in found[str(table.name)]["columns"]
        ]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("batch_id=20", [3, 5]),
        ("batch_id.eq=10&name=ann", [2]),
        ("batch_id.neq=20", [1, 2, 7]),  # null is neither equal nor not
        ("batch_id.lt=20", [1, 2]),
        ("batch_id.lte=20", [1, 2, 3, 5]),
        ("batch_id.gt=10&batch_id.lt=30", [3, 5]),
        ("batch_id.gte=30", [7]),
        ("batch_id.in=10,30", [1, 2, 7]),
        ('name.in=Ann,"Änn, the \\ other"', [1, 5]),
        ("name.is=null", [4]),
        ("batch_id.is=not_null&name.is=not_null", [1, 2, 3, 5, 7]),
        ("name=", [6]),
        ("name.like=A*", [1, 3]),
        ("name.like=*nn", [1, 2]),
        ("name.ilike=a*", [1, 2, 3]),
        ("name.ilike=*NN*", [1, 2, 5]),
        ("name.like=*%25*", [3]),  # % _ ? [ and \ stand for themselves
        ("name.like=*_*", [3]),
        ("name.ilike=*_?", [3]),
        ("name.like=?nn", []),
        ("name.like=*[n]*", [3]),
        ("name.like=*\\*", [5]),
        ("name.gt=B", [2, 5, 7]),  # in the order of bytes
        ("created_at=2018-06-01T09:03:40.5", [1, 4, 7]),
        ("created_at=2018-06-01T11:03:40.5%2B02:00", [1, 4, 7]),
        ("created_at.lt=2018-06-01", [5]),
        ("created_at.gte=2018-06-02", [2]),
        ("id=9223372036854775807", []),
        ("order=name.desc", [5, 2, 7, 1, 3, 6, 4]),  # null comes last
        ("order=name", [6, 3, 1, 7, 2, 5, 4]),
        ("order=batch_id.desc,name.asc", [7, 3, 5, 1, 2, 6, 4]),
        ("order=batch_id.desc", [7, 5, 3, 2, 1, 6, 4]),  # the key in the same direction
        ("order=id.desc&limit=2", [7, 6]),
    ],
)
def test_conditions_and_orders_mean_what_they_say(
    served: Served, query: str, expected: list[int]
) -> None:
    found = ids(served, query)
    assert (found if "order" in query else sorted(found)) == expected


def test_numbers_booleans_and_days_are_compared_as_such(served: Served) -> None:
    def keys(path: str) -> list[Any]:
        return [next(iter(item.values())) for item in items(served, path)]

    assert keys("/batch_completions?share_with_3_lessons.gt=0.4") == [1]
    assert keys("/batch_completions?share_with_3_lessons.lte=5e-1") == [1, 3]
    assert keys("/test_runs?is_completed=true") == [50]
    assert keys("/test_runs?is_completed.neq=true&lesson_title.is=null") == [0, 99]
    assert (
        keys("/trips?origin_lon.gte=7.5&origin_lon.lt=14.5&datasource.like=car_*") == ["Turin"] * 7
    )
    weeks = items(served, "/weekly_trips?region=Brno&week_start.gte=2018-09-24&select=week_start")
    assert [week["week_start"] for week in weeks] == ["2018-09-24"] * 2 + ["2018-10-01"] * 2 + [
        "2018-10-08"
    ] * 2


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
@pytest.mark.parametrize(
    ("path", "order"),
    [
        ("students", "batch_id.desc,name"),
        ("students", "name,batch_id.desc"),
        ("students", "created_at.desc"),
        ("students", "created_at,batch_id"),
        ("students", ""),
        ("batch_completions", ""),
        ("batch_completions", "share_with_3_lessons"),
        ("trips", ""),
        ("trips", "region.desc"),
        ("trips", "arrival.desc,region"),
        ("test_runs", "is_completed.desc"),
    ],
)
def test_pages_have_every_row_once_in_order(
    served: Served, path: str, order: str, limit: int
) -> None:
    query = {"order": order} if order else {}
    whole = get(served, f"/{path}", params=query).json()["items"]
    found = [
        item
        for page in pages(served, f"/tables/{path}", limit=limit, **query)
        for item in page["items"]
    ]
    assert found == whole
    assert len(whole) == next(len(rows) for table, rows in _STORED.items() if table.name == path)


def test_a_page_goes_on_where_the_one_before_ended_whatever_came_meanwhile(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    lake = Lake(settings.lake, settings.scratch, 10**9)
    stored, warehouse = Stored(lake, STUDENTS), warehouse_at(settings.warehouse_url)
    stored.append([(number, f"s{number}", None, None) for number in range(10, 20)])
    publish(lake, warehouse, lake.table(STUDENTS))
    with serving(settings) as served:
        first = get(served, "/students?limit=4").json()
        stored.append([(1, "new", None, None), (15, "changed", None, None), (99, "x", None, None)])
        publish(lake, warehouse, lake.table(STUDENTS))
        rest = items(served, f"/students?after={first['next']}")
        assert [item["id"] for item in first["items"]] == [10, 11, 12, 13]
        assert {item["id"] for item in rest} == {*range(14, 20), 99}
        assert_is_problem(get(served, f"/students?order=name&after={first['next']}"), 422, "next")


def _typed(format_: str, content: bytes, folder: Path) -> list[tuple[Any, ...]]:
    path = folder / "file"
    path.write_bytes(content)
    with duckdb.connect() as engine:
        engine.execute("SET TimeZone = 'UTC'")
        if format_ == "parquet":
            return engine.execute("FROM read_parquet(?)", [str(path)]).fetchall()
        with path.open("rb") as stream:
            rows: Any = arro3.io.read_ipc_stream(stream)
            engine.register("rows", rows)
            return engine.execute("FROM rows").fetchall()


@pytest.mark.parametrize("table", _STORED, ids=str)
def test_files_have_all_rows(served: Served, table: Table, tmp_path: Path) -> None:
    order = sorted if table is TRIPS else list
    expected = [
        tuple(item.values()) for item in get(served, f"/{table.name}?limit=1000").json()["items"]
    ]

    def plain(row: Any) -> tuple[Any, ...]:
        return tuple(v.isoformat() if isinstance(v, date) else v for v in row)

    for format_ in ("parquet", "arrow"):
        response = get(served, f"/{table.name}?format={format_}")
        assert response.status_code == 200, response.text
        assert f'filename="{table.name}.{format_}"' in response.headers["Content-Disposition"]
        found = [plain(row) for row in _typed(format_, response.content, tmp_path)]
        assert order(found) == order(expected)
    lines = get(served, f"/{table.name}", headers={"Accept": "application/x-ndjson"}).text
    found = [tuple(json.loads(line).values()) for line in lines.splitlines()]
    assert order(found) == order(expected)
    response = get(served, f"/{table.name}", headers={"Accept": "text/csv"})
    header, *rows = csv.reader(io.StringIO(response.text, newline=""))
    assert header == [column.name for column in table.columns]
    shown = [["" if v is None else str(v) for v in row] for row in expected]
    assert order(rows) == order(shown)


@pytest.mark.parametrize("kind", KINDS)
def test_text_is_the_same_from_the_lake_and_from_the_warehouse(tmp_path: Path, kind: str) -> None:
    environment = {"WAREHOUSE_URL": postgres_url()} if kind == "postgresql" else {}
    settings = settings_of(tmp_path, **environment)
    lake = Lake(settings.lake, settings.scratch, 10**9)
    raw = ['"\r\n,', "a\0b\x1f", "\\", ""]
    rows = [("trips", "a.csv", n, "no region", None, text, _AT) for n, text in enumerate(raw)]
    told: dict[Table, list[Any]] = {REJECTED_RECORDS: rows, BATCH_COMPLETIONS: _BATCHES}
    for table, stored in told.items():
        Stored(lake, table).append(stored)
        publish(lake, warehouse_at(settings.warehouse_url), lake.table(table))
    urls = [
        f"/{table.name}?format={format_}"
        for table in told
        for format_ in ("csv", "ndjson", "parquet")
    ]
    with serving(settings) as served:
        found = {url: get(served, url).content for url in urls}
    Path(settings.lake).rename(tmp_path / "elsewhere")
    with serving(settings) as served:
        for url in urls:
            response = get(served, url)
            if "parquet" in url:
                assert_is_problem(response, 503, "lake", "CSV")
            else:
                assert (response.status_code, response.content) == (200, found[url])


@pytest.mark.parametrize("format_", ["csv", "ndjson", "parquet", "arrow"])
def test_files_may_be_parts_that_lead_on(served: Served, format_: str, tmp_path: Path) -> None:
    def typed(content: bytes) -> list[int]:
        return [id_ for (id_,) in _typed(format_, content, tmp_path)]

    readers: dict[str, Callable[[bytes], list[int]]] = {
        "csv": lambda content: [int(line) for line in content.split()[1:]],
        "ndjson": lambda content: [json.loads(line)["id"] for line in content.splitlines()],
    }
    found, url = [], "/students?select=id&limit=3&order=name.desc&id.lt=7&format=" + format_
    while True:
        response = get(served, url)
        found.append(readers.get(format_, typed)(response.content))
        if "next" not in response.links:
            break
        url = "/students" + response.links["next"]["url"]
    assert found == [[5, 2, 1], [3, 6, 4]]


def test_columns_are_chosen_and_come_in_that_order(served: Served) -> None:
    found = get(served, "/students?select=name,id&limit=1").json()
    assert found["items"] == [{"name": "Ann", "id": 1}]
    assert list(found["items"][0]) == ["name", "id"]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("nam=x", ["'nam'", "batch_id", "select"]),
        ("name.equals=x", ["'equals'", "ilike"]),
        ("batch_id=x", ["batch_id", "'x'", "whole number"]),
        ("batch_id=9223372036854775808", ["whole number"]),
        ("batch_id.in=1,x", ["'1,x'", "whole number"]),
        ("batch_id.like=1*", ["text"]),
        ("created_at.gt=yesterday", ["created_at.gt", "time"]),
        ("name.is=nothing", ["not_null"]),
        ("select=name,nothing", ["'nothing'", "batch_id"]),
        ("select=", ["''"]),
        ("order=nothing", ["'nothing'", "batch_id"]),
        ("order=name.down", ["'down'", "desc"]),
        ("limit=0", ["limit"]),
        ("limit=1001", ["limit"]),
        ("after=x", ["next"]),
        ("format=xml", ["format"]),
        ("name=a&name=b", ["'name'", "2 times"]),
        ("limit=1&limit=2", ["'limit'", "2 times"]),
    ],
)
def test_what_cannot_be_used_is_named_with_what_there_is(
    served: Served, query: str, words: list[str]
) -> None:
    assert_is_problem(get(served, f"/students?{query}"), 422, *words)


def test_values_are_bound_and_tables_that_are_not_there_are_said(served: Served) -> None:
    assert ids(served, "name=x' OR '1'='1") == []
    assert ids(served, "name.in=x') OR ('1'='1") == []
    assert ids(served, "name=%00") == []
    assert_is_problem(get(served, "/nothing"), 404, "/tables")
    assert_is_problem(get(served, "/_published"), 404)
    assert_is_problem(get(served, "/posts"), 503, "posts", "published")
    assert_is_problem(get(served, "/posts?format=parquet"), 503, "posts", "published")
    assert_is_problem(get(served, "/deliveries"), 503, "deliveries")


def test_a_table_is_read_as_of_a_version(served: Served) -> None:
    now = items(served, "/students?name.like=A*")
    assert items(served, "/students?name.like=A*&as_of=now") == now
    assert items(served, "/students?as_of=0") == []  # made, and nothing in it
    assert_is_problem(get(served, "/students?as_of=99"), 422, "99")


def test_what_is_known_is_not_sent_again(served: Served) -> None:
    for path in ("/students", "/trips?limit=2", "/students?format=csv", "", "?format=html"):
        first = get(served, path)
        again = get(served, path, headers={"If-None-Match": first.headers["ETag"]})
        assert (first.status_code, again.status_code, again.content) == (200, 304, b"")


def test_an_answer_is_filtered_and_leads_to_its_table(served: Served) -> None:
    answer = served.client.get(
        f"{served.address}/answers/weekly_trips?region=Prague&trips.gt=5&select=week_start,trips"
    ).json()
    expected = [
        (week.isoformat(), trips)
        for region, week, _, trips, _ in _WEEKS
        if region == "Prague" and operator.gt(trips, 5)
    ]
    assert [tuple(row.values()) for row in answer["rows"]] == expected
    assert [column["name"] for column in answer["columns"]] == ["week_start", "trips"]
    listed = served.client.get(f"{served.address}/answers").json()["answers"]
    by_name = {found["name"]: found["tables"] for found in listed}
    assert by_name["weekly_trips"] == ["/tables/weekly_trips"]
    assert by_name["regions_with_cheap_mobile"] == ["/tables/weekly_trips"]


def test_a_count_of_rejected_lines_leads_to_them(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    lake = Lake(settings.lake, settings.scratch, 10**9)
    with serving(settings) as served:
        ingestion, other = served.create("a.csv"), served.create("b.csv")
        Stored(lake, REJECTED_RECORDS).append(
            [
                ("trips", f"00000001-{file_of(ingestion)}", 7, "no region", None, ",", _AT),
                ("trips", f"00000001-{file_of(ingestion)}", 9, "no datetime", None, ",,", _AT),
                ("trips", f"00000002-{file_of(other)}", 1, "no region", None, ",,,", _AT),
            ]
        )
        publish(lake, warehouse_at(settings.warehouse_url), lake.table(REJECTED_RECORDS))
        ingestion.tell("succeeded", rows=5, rejected=2)
        status = served.client.get(f"{served.address}/trips/ingestions/{ingestion.id}").json()
        lines = served.client.get(status["rejected_url"]).json()["items"]
        found = [(line["position"], line["reason"]) for line in lines]
        assert (status["rejected"], found) == (2, [(7, "no region"), (9, "no datetime")])
