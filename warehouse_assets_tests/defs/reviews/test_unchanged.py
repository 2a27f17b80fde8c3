"""A source that has not changed is not read again; one that has always is."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from warehouse_assets.defs.reviews.family import REVIEWS_SOURCE
from warehouse_assets.ingest.sql import glance
from warehouse_assets.ingest.sql_reader import Limits
from warehouse_assets.lake import Lake
from warehouse_assets_tests.defs.reviews.conftest import CatchUp
from warehouse_assets_tests.defs.reviews.databases import Database, review
from warehouse_assets_tests.defs.reviews.stored import stored
from warehouse_assets_tests.postgres import execute

SOURCE = replace(REVIEWS_SOURCE, limits=Limits(settled_seconds=-1))


@pytest.fixture
def postgres(tmp_path: Path) -> Database:
    return Database("postgresql", tmp_path)


def test_an_unchanged_source_is_not_read(database: Database, catch_up: CatchUp) -> None:
    database.insert([review(1)])

    assert not catch_up(database).is_unchanged_source
    again = catch_up(database)

    assert (again.is_unchanged_source, again.records) == (True, 0)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE reviews SET summary = 'Bad' WHERE level_0 = 1",
        "DELETE FROM reviews WHERE level_0 = 1",
        "INSERT INTO reviews SELECT * FROM reviews",
    ],
)
def test_a_changed_source_is_read(database: Database, catch_up: CatchUp, change: str) -> None:
    database.insert([review(1), review(2)])
    catch_up(database)
    database.execute(change)

    assert not catch_up(database).is_unchanged_source
    assert catch_up(database).is_unchanged_source


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
