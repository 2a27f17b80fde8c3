"""Maintenance as a job: nothing that people see changes."""

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from warehouse_assets.definitions import build_defs
from warehouse_assets.orchestration import standard_checks
from warehouse_assets.orchestration.maintenance import maintain_all
from warehouse_assets.settings import Settings
from warehouse_assets_tests.house import House, vote
from warehouse_assets_tests.ingest.deliveries import take
from warehouse_assets_tests.orchestration.prepared import Homes, begin_with
from warehouse_assets_tests.orchestration.runs import results_of

_FILES = 4
_ASSETS = ("votes", "votes_per_post_per_week")


@pytest.fixture(scope="module")
def grown_home(homes: Homes) -> Path:
    """The home of a warehouse that took files with two votes, each by itself."""

    def fill(house: House) -> None:
        for number in range(_FILES):
            house.deliver("votes.json", [vote(number, 1), vote(0, 1, VoteTypeId=str(number))])
            # After the first and the last, what follows is computed: it has two versions.
            if number in (0, _FILES - 1):
                assert house.run(*_ASSETS, checks=False).success
            else:
                take(house)

    return homes.make(fill)


@pytest.fixture
def grown(house: House, grown_home: Path) -> House:
    """A warehouse of its own that took them; the history knows nothing of it."""
    return begin_with(grown_home, house)


def keeping_nothing(house: House) -> Settings:
    """The settings, without travelling back in time."""
    return house.settings.model_copy(update={"time_travel_days": 0})


def test_the_job_keeps_every_row_and_what_was_taken_is_known(grown: House) -> None:
    stored, published = grown.stored("votes"), grown.published("votes")
    assert len(stored) == _FILES

    defs = build_defs({"settings": keeping_nothing(grown)})
    result = defs.resolve_job_def("maintenance").execute_in_process(instance=grown.instance)

    assert result.success
    with grown.warehouse.read() as connection:
        tables = connection.exec_driver_sql("SELECT DISTINCT tbl FROM sqlite_stat1").scalars()
        assert "votes" in set(tables)
    log = grown.warehouse.path.with_name("warehouse.db-wal")
    assert not log.exists() or log.stat().st_size == 0
    assert grown.stored("votes") == stored
    versions = grown.versions()
    grown.deliver("votes-again.json", [vote(3, 1), vote(0, 1, VoteTypeId="3")])
    assert grown.run(*_ASSETS, checks=False).success
    assert grown.versions() == versions
    assert grown.published("votes") == published
    assert grown.waiting() == []


def test_what_was_not_published_before_its_feed_was_vacuumed_is_published(grown: House) -> None:
    grown.deliver("votes.json", [vote(77, 1), vote(3, 1, VoteTypeId="9")])
    grown.warehouse.path.rename(grown.warehouse.path.with_name("older.db"))
    assert grown.run("votes", checks=False).success
    grown.warehouse.path.with_name("older.db").rename(grown.warehouse.path)
    list(maintain_all(grown.lake, grown.warehouse, keeping_nothing(grown)))

    assert grown.run("votes", checks=False).success

    published = {row[0]: row[2] for row in grown.published("votes")}
    assert published == {**dict.fromkeys(range(_FILES), 2), 0: _FILES - 1, 3: 9, 77: 2}


def test_neither_maintenance_nor_a_run_that_takes_nothing_makes_a_source_fresh(
    grown: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    list(maintain_all(grown.lake, grown.warehouse, keeping_nothing(grown)))
    assert grown.run("votes", checks=False).success
    later = time.time() + 200 * 3600  # the default is 192 hours
    monkeypatch.setattr(standard_checks, "time", SimpleNamespace(time=lambda: later))

    assert not results_of(grown, "votes")["source_is_fresh"].passed
