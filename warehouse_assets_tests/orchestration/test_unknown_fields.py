"""A field that no column is for is named in the run, in a table and by a check."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from warehouse_assets.defs.forum.tables import VOTES
from warehouse_assets_tests.house import House, post, vote
from warehouse_assets_tests.ingest.csv_files import HEADER, trip
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


def warnings(result: dg.ExecuteInProcessResult) -> dict[str, str | None]:
    """What the checks for unknown fields say that did not pass."""
    checks = [check for check in result.get_asset_check_evaluations() if check.check_name == CHECK]
    assert all(check.severity == dg.AssetCheckSeverity.WARN for check in checks)
    return {c.asset_key.to_user_string(): c.description for c in checks if not c.passed}


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
    result = full.run(*SOURCES, "rejected_records")
    assert result.success
    assert unknown(result) == FIELDS
    warned = warnings(result)
    assert warned.keys() == FIELDS.keys()
    assert all(FIELDS[name][0] in str(text) for name, text in warned.items())
    rows = {name: len(full.stored(name)) for name in SOURCES}
    expected = dict.fromkeys(SOURCES, 2) | {"trips": 1, "students": 1, "reviews": 1}
    assert (rows, full.rejected()) == (expected, [])
    remembered = {(source, field) for source, field, *_ in full.published("unknown_fields")}
    assert remembered == {(name, field) for name, (field,) in FIELDS.items()}
    units = dict(full.stored("unknown_fields", "source, unit"))
    assert (units["votes"], units["test_runs"]) == ("00000001-votes.jsonl", "runs.log")

    # The lake is lost, and made again from the archive and the sources.
    shutil.rmtree(full.settings.lake)
    assert unknown(full.run(*SOURCES, checks=False)) == FIELDS
    # Nothing new: only sources that are read again tell of it, but the checks still warn.
    assert unknown(full.run(*SOURCES, checks=False)).keys() <= {"batches", "students", "reviews"}
    assert {name: results_of(full, name)[CHECK].description for name in SOURCES} == warned
    assert len(full.stored("unknown_fields")) == len(FIELDS)


def test_fields_that_are_known_are_not_named(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.deliver("votes.json", [vote(1, 1, UserId=None, BountyAmount="5")])
    assert unknown(house.run("votes", checks=False)) == {}
    assert results_of(house, "votes")[CHECK].passed
    assert "unknown_fields" not in house.versions()

    house.deliver("votes-2.json", [vote(2, 1, Weight=1, Note="x")])
    assert unknown(house.run("votes", checks=False)) == {"votes": ["Note", "Weight"]}
    monkeypatch.setitem(VOTES.info, "ignored_fields", ("Note", "Weight"))
    house.deliver("votes-3.json", [vote(3, 1, Weight=1), vote(4, 1, Note=2)])
    house.deliver("votes-4.json", json.dumps([vote(5, 1, Weight=1, Other=1)]))
    assert unknown(house.run("votes", checks=False)) == {"votes": ["Other"]}
    assert "Weight" not in str(results_of(house, "votes")[CHECK].description)
    assert house.stored("votes", "id") == [(number,) for number in range(1, 6)]


def test_unknown_fields_are_found_among_lines_that_cannot_be_used(house: House) -> None:
    lines = [json.dumps(vote(1, 1)), "x", '{"Odd": 1}', "", json.dumps(vote(2, 1, Weight=1))]
    not_utf8 = b'\n{"Odd\xff": 1}'
    house.deliver("votes.json", "\n".join(lines).encode() + not_utf8)
    result = house.run("votes", checks=False)
    assert unknown(result) == {"votes": ["Odd", "Weight"]}
    assert [position for *_, position, _, _ in house.rejected()] == [2, 3, 6]


def test_hostile_names_are_bounded_and_shown(house: House) -> None:
    names = {f"n{number:04}": 1 for number in range(500)}
    house.deliver("votes.json", [{**vote(1, 1), "\x1b[31m\0": 1, "A" * 10**6: 1, **names}])
    (found,) = unknown(house.run("votes", checks=False)).values()
    assert len(found) == 100
    assert found[:2] == ["\\u001b[31m\\u0000", "A" * 199 + "…"]
    house.deliver("votes-2.json", [vote(2, 1, later=1)])
    house.run("votes", checks=False)
    assert len(house.stored("unknown_fields")) == 100
    assert house.stored("votes", "id") == [(1,), (2,)]
