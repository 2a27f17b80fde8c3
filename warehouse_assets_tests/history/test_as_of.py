"""What was published at a moment: the same that a warehouse would say that had ended there."""

import os
import random
import shutil
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa

from warehouse_assets.catalogue import QUESTIONS
from warehouse_assets.defs.forum.tables import (
    MEAN_VOTES_PER_POST_PER_WEEK,
    OUTLIER_WEEKS,
    POSTS,
    VOTES,
    VOTES_PER_POST_PER_WEEK,
)
from warehouse_assets.errors import GoneError, UsageError
from warehouse_assets.history.as_of import check_label, fetch, handles_of, read_moment, view
from warehouse_assets.lake import give_label, maintain, remove_label
from warehouse_assets.orchestration.maintenance import maintain_all
from warehouse_assets.times import utc_now
from warehouse_assets.warehouse import publish
from warehouse_assets.warehouse.warehouse import PUBLICATIONS
from warehouse_assets_tests.folders import folder_of
from warehouse_assets_tests.history.rounds import deliver, files_of_a_round, moment
from warehouse_assets_tests.house import House, vote
from warehouse_assets_tests.ingest.deliveries import take

_TABLES = (POSTS, VOTES, VOTES_PER_POST_PER_WEEK, MEAN_VOTES_PER_POST_PER_WEEK, OUTLIER_WEEKS)


def rows_at(house: House, when: str, table: sa.Table = VOTES) -> list[tuple[Any, ...]]:
    """The rows of a table at a moment, sorted."""
    handles = handles_of(house.lake, house.warehouse, read_moment(house.lake, when), [table])
    with house.lake.connect() as connection:
        view(house.lake, connection, [table], handles)
        return sorted(fetch(connection, sa.select(table))[1], key=repr)


def _commit_many(house: House, *rounds: int) -> list[str]:
    """Take a vote in each round; returns the moments after them."""
    found = []
    for number in rounds:
        house.deliver(f"votes-{number}.jsonl", [vote(number, 1)])
        take(house)
        found.append(moment())
    return found


def _make_old(house: House, days: int) -> None:
    """Have all files of the lake be that old, as far as maintenance sees."""
    then = time.time() - days * 86400
    for path in folder_of(house.settings.lake).rglob("*"):
        os.utime(path, (then, then))


@pytest.mark.parametrize("seed", [1, 2])
def test_it_equals_a_warehouse_made_of_the_archive_up_to_then(
    house: House, tmp_path: Path, instance: dg.DagsterInstance, seed: int
) -> None:
    chance, moments = random.Random(seed), []
    rounds = [files_of_a_round(chance, number) for number in range(3)]
    for files in rounds:
        deliver(house, files)
        assert house.run(checks=False).success
        moments.append(moment())
        if chance.random() < 0.5:  # files are put together, but none is removed
            for table in _TABLES:
                maintain(house.lake, house.lake.table(table), 7)

    for number, when in enumerate(moments[:-1]):  # the last is what is now
        other = House(tmp_path / f"until {number}", instance)
        for files in rounds[: number + 1]:
            deliver(other, files)
            take(other)  # of each round by itself, so that numbers of arrivals are the same
        assert other.run(checks=False).success
        for table in _TABLES[1:]:
            assert rows_at(house, when, table) == rows_at(other, "now", table), table.name
    told = [(*row[:3], str(row[3])) for row in rows_at(house, "now", OUTLIER_WEEKS)]
    assert told == sorted(house.published("outlier_weeks"))


def test_what_is_not_published_yet_is_not_in_it(house: House) -> None:
    table = house.lake.table(VOTES)
    _commit_many(house, 1)
    publish(house.lake, house.warehouse, table)
    published = moment()
    (taken,) = _commit_many(house, 2)
    publish(house.lake, house.warehouse, table)

    assert [row[0] for row in rows_at(house, published)] == [1]
    assert [row[0] for row in rows_at(house, taken)] == [1]
    assert [row[0] for row in rows_at(house, "now")] == [1, 2]
    # Without the database that knows of it, what counts is what the lake had.
    house.warehouse.path.unlink()
    assert [row[0] for row in rows_at(house, taken)] == [1, 2]


def test_a_publication_is_remembered_while_one_may_travel_back(house: House) -> None:
    table = house.lake.table(VOTES)
    for number in range(3):
        _commit_many(house, number)
        publish(house.lake, house.warehouse, table)
    with house.warehouse.write() as connection:
        long_ago = utc_now() - timedelta(days=30)
        for version in (1, 2):
            connection.execute(
                PUBLICATIONS.update()
                .where(PUBLICATIONS.c.version == version)
                .values(published_at=long_ago + timedelta(days=version))
            )

    list(maintain_all(house.lake, house.warehouse, house.settings))

    kept = house.published("_publications", "version")
    assert kept == [(2,), (3,)]  # the second was what there was seven days ago


def test_a_version_that_is_gone_names_the_oldest_that_there_is(house: House) -> None:
    for number in range(4):  # of each version other files
        house.deliver(f"votes-{number}.jsonl", [vote(1, number)])
        take(house)
    table = house.lake.table(VOTES)
    maintain(house.lake, table, 0)

    with pytest.raises(GoneError, match=r"Version 2 of votes is gone. The oldest .* version [4-9]"):
        rows_at(house, "2")
    with pytest.raises(GoneError, match="TIME_TRAVEL_DAYS"):
        rows_at(house, "2001-01-01")
    assert [row[1] for row in rows_at(house, "now")] == [3]
    for wrong, words in (
        ("99", "no version 99 of votes yet"),
        ("2999-01-01", "future"),
        ("last week", "is no moment"),
    ):
        with pytest.raises(UsageError, match=words):
            rows_at(house, wrong)


def test_a_label_keeps_what_maintenance_would_remove_until_it_is_removed(house: House) -> None:
    house.deliver("votes.jsonl", [vote(1, 1)])
    take(house)
    handle = house.lake.table(VOTES).open()
    give_label(house.lake, "2026-Q4", {"votes": handle})
    with pytest.raises(UsageError, match="given already"):
        give_label(house.lake, "2026-Q4", {"votes": handle})
    for number in range(2, 5):
        house.deliver(f"votes-{number}.jsonl", [vote(1, number)])
        take(house)
    table = house.lake.table(VOTES)

    for _ in range(3):
        maintain(house.lake, table, 0)
    assert [row[1] for row in rows_at(house, "2026-Q4")] == [1]
    with pytest.raises(GoneError):
        rows_at(house, "2")

    remove_label(house.lake, "2026-Q4")
    for _ in range(2):
        _make_old(house, 30)
        maintain(house.lake, table, 0)
    with pytest.raises(GoneError):
        rows_at(house, str(handle.version()))
    with pytest.raises(UsageError, match="no label"):
        remove_label(house.lake, "2026-Q4")


@pytest.mark.parametrize("label", ["2026", "2026-11-20", "now", "yesterday", "a b", "-x", "", "'"])
def test_a_label_must_be_told_from_a_time(label: str) -> None:
    with pytest.raises(UsageError, match="cannot be a label"):
        check_label(label)


def test_a_table_made_anew_has_no_past(house: House) -> None:
    _commit_many(house, 1)
    publish(house.lake, house.warehouse, house.lake.table(VOTES))
    before = moment()
    shutil.rmtree(folder_of(house.lake.table(VOTES).path))
    take(house)  # again, from the archive

    with pytest.raises(GoneError, match="made anew"):
        rows_at(house, before)


def test_a_version_is_of_one_table(house: House) -> None:
    with pytest.raises(UsageError, match="version is of one table"):
        handles_of(house.lake, house.warehouse, read_moment(house.lake, "1"), _TABLES)


def test_every_question_is_in_sql_that_the_lake_understands(house: House) -> None:
    with house.lake.connect() as connection, house.warehouse.write() as warehouse:
        for asked in QUESTIONS:
            none = {str(table.name): None for table in asked.reads}
            view(house.lake, connection, asked.reads, none)
            for table in asked.reads:
                table.create(warehouse, checkfirst=True)
            query = asked.path.read_text(encoding="utf-8")
            assert fetch(connection, query) == fetch(warehouse, query), asked.name
