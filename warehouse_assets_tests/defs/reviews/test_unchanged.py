"""A source is read again when it has changed, and only then; the sensor sees a change."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from warehouse_assets.defs.reviews.family import REVIEWS_SOURCE
from warehouse_assets.errors import SourceError
from warehouse_assets.ingest.sql import glance
from warehouse_assets.ingest.sql_source import Limits
from warehouse_assets.lake import Lake
from warehouse_assets.orchestration.sources import sql_watch
from warehouse_assets.settings import Settings
from warehouse_assets_tests.defs.reviews.conftest import CatchUp
from warehouse_assets_tests.defs.reviews.databases import Database, review
from warehouse_assets_tests.defs.reviews.stored import stored
from warehouse_assets_tests.postgres import execute

SOURCE = replace(REVIEWS_SOURCE, limits=Limits(settled_seconds=-1))
WATCH = sql_watch(SOURCE)


@pytest.fixture
def postgres(tmp_path: Path) -> Database:
    return Database("postgresql", tmp_path)


def test_a_source_is_read_when_it_has_changed_and_only_then(
    database: Database, catch_up: CatchUp
) -> None:
    for change in (
        'INSERT INTO reviews (level_0, overall, "unixReviewTime") VALUES (1, 5, 1), (2, 5, 2)',
        "UPDATE reviews SET summary = 'Bad' WHERE level_0 = 1",
        "DELETE FROM reviews WHERE level_0 = 1",
        "INSERT INTO reviews SELECT * FROM reviews",
    ):
        database.execute(change)
        assert not catch_up(database).is_unchanged_source
        again = catch_up(database)
        assert (again.is_unchanged_source, again.records) == (True, 0)


def test_another_database_of_the_server_may_change(postgres: Database, catch_up: CatchUp) -> None:
    postgres.insert([review(1)])
    catch_up(postgres)
    execute(postgres.url, "CREATE TABLE something_else (x bigint)")

    assert catch_up(postgres).is_unchanged_source


def test_a_transaction_under_way_is_noticed_when_it_ends(
    lake: Lake, postgres: Database, catch_up: CatchUp
) -> None:
    postgres.insert([review(1)])
    with postgres.under_way("UPDATE reviews SET overall = 1") as commit:
        assert not catch_up(postgres).is_unchanged_source
        assert stored(lake, "overall") == [(5.0,)]
        commit()

    assert not catch_up(postgres).is_unchanged_source
    assert stored(lake, "overall") == [(1.0,)]


def test_a_large_source_that_only_looks_different_is_remembered(
    database: Database, catch_up: CatchUp
) -> None:
    database.insert([review(1), review(2)])
    catch_up(database)
    database.execute("UPDATE reviews SET overall = 1.0")
    database.execute("UPDATE reviews SET overall = 5.0")

    catch_up(database, worth_remembering=2)

    assert catch_up(database).is_unchanged_source


def test_a_glance_tells_of_a_change(database: Database) -> None:
    database.insert([review(1)])
    before = glance(SOURCE, database.url)
    assert before is not None
    assert glance(SOURCE, database.url) == before
    database.insert([review(n) for n in range(2, 9)])

    # A server counts what a connection did shortly after it has ended.
    deadline = time.monotonic() + 120
    while glance(SOURCE, database.url) == before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert glance(SOURCE, database.url) != before


def test_where_there_is_no_file_there_is_nothing_to_see(tmp_path: Path) -> None:
    assert glance(SOURCE, f"sqlite:///{tmp_path / 'none.db'}") is None


def test_the_sensor_sees_each_change(database: Database, tmp_path: Path) -> None:
    environment = {"WAREHOUSE_HOME": str(tmp_path), "REVIEWS_URL": database.url}
    resources = {"settings": Settings.from_environment(environment)}
    database.insert([review(1)])

    first = WATCH.look(resources, []).signs
    assert len(first) == 1
    assert WATCH.look(resources, []).signs == first

    database.execute("DROP TABLE reviews")
    if database.kind == "sqlite":
        assert set(WATCH.look(resources, []).signs) - set(first)
    else:  # the sensor tells it
        with pytest.raises(SourceError, match="has no table reviews"):
            WATCH.look(resources, [])


def test_where_nothing_is_the_sensor_forgets_nothing(tmp_path: Path) -> None:
    resources = {"settings": Settings.from_environment({"WAREHOUSE_HOME": str(tmp_path)})}

    assert WATCH.look(resources, ["before"]).signs == ["before"]
