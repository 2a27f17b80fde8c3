"""Tables that are loaded: a log or a table of SQL is a declaration, and unknown fields are named.

A field that no column is for is named in the run, in a table and by a check.
"""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import URL, BigInteger, Column, Date, DateTime, Double, MetaData, Table, Text

from warehouse_assets.definitions import build_defs
from warehouse_assets.defs.forum.tables import VOTES
from warehouse_assets.ingest.log import json_log
from warehouse_assets.ingest.log_files import LogSource
from warehouse_assets.ingest.sql_source import SqlSource
from warehouse_assets.ingest.validate import Rule, Validator, text
from warehouse_assets.orchestration.assets import log_asset, sql_source_asset
from warehouse_assets.settings import Settings
from warehouse_assets_tests.house import House, post, vote
from warehouse_assets_tests.ingest.csv_files import HEADER, trip
from warehouse_assets_tests.ingest.deliveries import take
from warehouse_assets_tests.ingest.stored import rejected, stored
from warehouse_assets_tests.orchestration.runs import results_of

CHECK = "has_no_unknown_fields"


def unknown(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """The names in the metadata of each asset that has any."""
    events = [event.materialization for event in result.get_asset_materialization_events()]
    return {
        event.asset_key.to_user_string(): event.metadata["unknown_fields"].value
        for event in events
        if "unknown_fields" in event.metadata
    }


def fill_sources(home: Path) -> None:
    """All sources at their default places; each has what nobody knows in the last record."""
    sources = home / "sources"
    sources.mkdir(parents=True)
    with closing(sqlite3.connect(sources / "school.db")) as database:
        database.execute("CREATE TABLE students (id, name, batch_id, created_at, Grade)")
        database.execute("INSERT INTO students VALUES (1, 'Ann', 1, '2026-11-20 10:00:00', 'A')")
        database.commit()
    batch = {"id": 1, "name": "b", "created_at": "2026-11-20 10:00:00"}
    (sources / "batches.json").write_text(json.dumps([batch, {**batch, "id": 2, "teacher": None}]))
    run = {"result": "1/2", "student_id": 1, "lesson_id": 1, "lesson_title": None}
    runs = (run, {**run, "seconds": {"result": 1}})
    (sources / "runs.log").write_text("".join(json.dumps(r) + "\n" for r in runs))
    with closing(sqlite3.connect(sources / "reviews.db")) as database:
        database.execute(
            "CREATE TABLE reviews (OVERALL, reviewerID, productID, unixReviewTime, image)"
        )
        database.execute("INSERT INTO reviews VALUES (5, 'u', 'p', 1400000000, 'x.png')")
        database.commit()
    step = {"Delivery Step": 1, "Customer": 1, "Timestamp": "2020-01-01T12:00:00"}
    steps = (step, {**step, "Customer": 2, "courier": 7})
    (sources / "steps.jsonl").write_text("".join(json.dumps(s) + "\n" for s in steps))


@pytest.fixture
def full(tmp_path: Path, house: House) -> House:
    """A house with sources of all families and files in its inbox."""
    fill_sources(tmp_path)
    sources = tmp_path / "sources"
    other = House(
        Path(house.environment["WAREHOUSE_HOME"]),
        house.instance,
        STUDENTS_DB=str(sources / "school.db"),
        BATCHES_URL=str(sources / "batches.json"),
        TEST_RUNS_LOG=str(sources / "runs.log"),
        REVIEWS_URL=f"sqlite:///{sources / 'reviews.db'}",
        DELIVERIES_FEED=str(sources / "steps.jsonl"),
    )
    other.deliver("posts.json", json.dumps([post(1), post(2, Upvoters=[{"Id": 5}])]))
    other.deliver("votes.jsonl", [vote(1, 1, UserId=None), vote(2, 1, Weight=1)])
    other.deliver("trips.csv", HEADER.replace("\n", ",Fare\n") + trip("Prague") + ",7\n")
    return other


SOURCES = ("posts", "votes", "trips", "students", "batches", "test_runs", "reviews", "deliveries")
FIELDS = {
    "posts": ["Upvoters"],
    "votes": ["Weight"],
    "trips": ["fare"],
    "students": ["Grade"],
    "batches": ["teacher"],
    "test_runs": ["seconds"],
    "reviews": ["image"],
    "deliveries": ["courier"],
}


def test_every_family_names_the_fields_that_it_does_not_know(full: House) -> None:
    result = full.run(*SOURCES, "unknown_fields", checks=False)
    assert result.success
    assert unknown(result) == FIELDS
    warned = {name: results_of(full, name)[CHECK] for name in SOURCES}
    for name, check in warned.items():
        assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
        assert FIELDS[name][0] in str(check.description)
    rows = {name: len(full.stored(name)) for name in SOURCES}
    expected = dict.fromkeys(SOURCES, 2) | {"trips": 1, "students": 1, "reviews": 1}
    assert (rows, full.rejected()) == (expected, [])
    remembered = {(source, field) for source, field, *_ in full.published("unknown_fields")}
    assert remembered == {(name, field) for name, (field,) in FIELDS.items()}
    units = dict(full.stored("unknown_fields", "source, unit"))
    assert (units["votes"], units["test_runs"]) == ("00000001-votes.jsonl", "runs.log")


def test_fields_are_told_of_again_only_when_they_are_read_again(house: House) -> None:
    house.deliver("votes.jsonl", [vote(1, 1, Weight=1)])
    assert take(house).unknown_fields == ("Weight",)
    shutil.rmtree(house.settings.lake)
    assert take(house).unknown_fields == ("Weight",)  # from the archive
    assert take(house).unknown_fields == ()
    assert not results_of(house, "votes")[CHECK].passed


def test_fields_that_are_known_are_not_named(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.deliver("votes.json", [vote(1, 1, UserId=None, BountyAmount="5")])
    assert take(house).unknown_fields == ()
    assert results_of(house, "votes")[CHECK].passed
    assert "unknown_fields" not in house.versions()

    house.deliver("votes-2.json", [vote(2, 1, Weight=1, Note="x")])
    assert take(house).unknown_fields == ("Note", "Weight")
    monkeypatch.setitem(VOTES.info, "ignored_fields", ("Note", "Weight"))
    house.deliver("votes-3.json", [vote(3, 1, Weight=1), vote(4, 1, Note=2)])
    house.deliver("votes-4.json", json.dumps([vote(5, 1, Weight=1, Other=1)]))
    assert take(house).unknown_fields == ("Other",)
    assert "Weight" not in str(results_of(house, "votes")[CHECK].description)
    assert house.stored("votes", "id") == [(number,) for number in range(1, 6)]


def test_unknown_fields_are_found_among_lines_that_cannot_be_used(house: House) -> None:
    lines = [json.dumps(vote(1, 1)), "x", '{"Odd": 1}', "", json.dumps(vote(2, 1, Weight=1))]
    not_utf8 = b'\n{"Odd\xff": 1}'
    house.deliver("votes.json", "\n".join(lines).encode() + not_utf8)
    assert take(house).unknown_fields == ("Odd", "Weight")
    assert [position for *_, position, _, _ in house.rejected()] == [2, 3, 6]


def test_hostile_names_are_bounded_and_shown(house: House) -> None:
    names = {f"n{number:04}": 1 for number in range(500)}
    house.deliver("votes.json", [{**vote(1, 1), "\x1b[31m\0": 1, "A" * 10**6: 1, **names}])
    found = take(house).unknown_fields
    assert len(found) == 100
    assert found[:2] == ("\\u001b[31m\\u0000", "A" * 199 + "…")
    house.deliver("votes-2.json", [vote(2, 1, later=1)])
    take(house)
    assert len(house.stored("unknown_fields")) == 100
    assert house.stored("votes", "id") == [(1,), (2,)]


def _field(name: str, kind: Any, **options: Any) -> Column[Any]:
    return Column(name, kind, info={"field": name}, comment=f"The {name}.", **options)


VISITS = Table(
    "visits",
    MetaData(),
    Column(
        "position",
        BigInteger,
        primary_key=True,
        autoincrement=False,
        info={"is_position": True},
        comment="Where the line begins.",
    ),
    _field("page", Text, nullable=False),
    _field("seconds", Double),
    _field("day", Date),
    _field("began_at", DateTime),
    comment="Visits of pages.",
)
LINES = json_log(
    Validator(VISITS, rules=[Rule("seconds < 0", "seconds are negative", text("seconds"))])
)
VISITS_ASSET = log_asset(
    LINES,
    VISITS,
    dg.AssetSpec("visits_log"),
    lambda settings: LogSource(settings.home / "visits.log", True, "VISITS_LOG"),
)


def test_a_declared_log_is_loaded_as_it_grows(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    settings = Settings.from_environment({"WAREHOUSE_HOME": str(tmp_path)})
    resources = build_defs({"settings": settings}).resources or {}
    log = tmp_path / "visits.log"
    lines = [
        '{"page": "/a", "seconds": 1.5, "day": "2026-11-30", "colour": "red"}',
        '{"page": "/b"}',
        '{"page": " ", "seconds": -1}',
        "no JSON",
    ]
    log.write_text("\n".join(lines) + '\n{"page": "/cut', encoding="utf-8")
    result = dg.materialize([VISITS_ASSET.definition], instance=instance, resources=resources)

    (event,) = result.asset_materializations_for_node("visits")
    figures = {name: value.value for name, value in event.metadata.items()}
    assert figures["records_taken"] == 2
    assert figures["records_rejected"] == 2
    assert figures["unknown_fields"] == ["colour"]
    assert figures["bytes_of_unfinished_line"] == len('{"page": "/cut')
    second, third, fourth = (sum(len(line) + 1 for line in lines[:n]) for n in (1, 2, 3))
    lake = resources["lake"]
    assert stored(lake, VISITS, "position, page, seconds, CAST(day AS TEXT)") == [
        (0, "/a", 1.5, "2026-11-30"),
        (second, "/b", None, None),
    ]
    assert sorted(rejected(lake, "position, reason, raw")) == [
        (third, "page is missing; seconds are negative: -1", lines[2]),
        (fourth, "not valid JSON", lines[3]),
    ]

    with log.open("a", encoding="utf-8") as stream:
        stream.write('", "began_at": "2026-11-30T12:00:00+01:00"}\n')
    assert dg.materialize([VISITS_ASSET.definition], instance=instance, resources=resources).success
    assert stored(lake, VISITS, "page, CAST(began_at AS TEXT)") == [
        ("/a", None),
        ("/b", None),
        ("/cut", "2026-11-30 11:00:00"),
    ]


ORDERS = Table(
    "orders",
    MetaData(),
    _field("id", BigInteger, primary_key=True, autoincrement=False),
    _field("customer", Text, nullable=False),
    _field("amount", Double),
    _field("due", Date),
    _field("ordered_at", DateTime),
    comment="Orders of customers.",
)
ORDERS_SOURCE = SqlSource(
    Validator(ORDERS, rules=[Rule("amount < 0", "amount is negative", text("amount"))]),
    "ORDERS_URL",
    lambda settings: URL.create("sqlite", database=str(settings.home / "orders.db")),
)
ORDERS_ASSET = sql_source_asset(ORDERS_SOURCE)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.from_environment({"WAREHOUSE_HOME": str(tmp_path)})


def write(settings: Settings, columns: str, *rows: tuple[object, ...]) -> None:
    path = settings.home / "orders.db"
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"CREATE TABLE Orders ({columns})")
        marks = ", ".join("?" for _ in rows[0])
        database.executemany(f"INSERT INTO orders VALUES ({marks})", rows)


def test_a_declared_table_is_loaded_checked_and_published(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    write(
        settings,
        "id, Customer, amount, due, colour",
        (1, " Ann ", 2.5, "2026-11-30", "red"),
        (2, "Bob", None, None, "red"),
        (3, "Cid", "much", "soon", "red"),
        (4, " ", -1, None, "red"),
    )
    resources = build_defs({"settings": settings}).resources or {}
    result = dg.materialize([ORDERS_ASSET.definition], instance=instance, resources=resources)

    (event,) = result.asset_materializations_for_node("orders")
    assert event.metadata["records_taken"].value == 2
    assert event.metadata["records_rejected"].value == 2
    assert event.metadata["unknown_fields"].value == ["colour"]
    lake = resources["lake"]
    assert stored(lake, ORDERS, "id, customer, amount, CAST(due AS TEXT), ordered_at") == [
        (1, "Ann", 2.5, "2026-11-30", None),
        (2, "Bob", None, None, None),
    ]
    assert rejected(lake, "position, reason, raw") == [
        (
            3,
            "amount is not a number; due is not a date: much; soon",
            '{"id":3,"customer":"Cid","amount":"much","due":"soon"}',
        ),
        (
            4,
            "customer is missing; amount is negative: -1",
            '{"id":4,"customer":" ","amount":-1,"due":null}',
        ),
    ]
    with closing(sqlite3.connect(settings.home / "warehouse.db")) as warehouse:
        assert warehouse.execute("SELECT id, amount FROM orders ORDER BY id").fetchall() == [
            (1, 2.5),
            (2, None),
        ]

    write(settings, "id, customer, ordered_at", (2, "Bea", "2026-11-30T12:00:00+01:00"))
    assert dg.materialize([ORDERS_ASSET.definition], instance=instance, resources=resources).success
    assert stored(lake, ORDERS, "id, customer, CAST(ordered_at AS TEXT)") == [
        (1, "Ann", None),
        (2, "Bea", "2026-11-30 11:00:00"),
    ]
