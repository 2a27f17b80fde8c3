"""Maintenance as a job: nothing that people see changes."""

import time
from types import SimpleNamespace

import pytest

from warehouse_assets.definitions import build_defs
from warehouse_assets.graph import standard_checks
from warehouse_assets.graph.maintenance import maintain_all
from warehouse_assets_tests.graph.runs import checks_of
from warehouse_assets_tests.house import House, post, vote


def _deliver_ten_files(house: House) -> None:
    house.deliver("posts.json", [post(1)])
    for number in range(10):
        house.deliver("votes.json", [vote(number, 1), vote(0, 1, VoteTypeId=str(number))])
        assert house.run().success


def test_the_job_keeps_every_row_and_the_next_run_finds_nothing_new(house: House) -> None:
    _deliver_ten_files(house)
    stored, published = house.stored("votes"), house.published("votes")
    assert len(stored) == 10

    defs = build_defs({"settings": house.settings})
    result = defs.resolve_job_def("maintenance").execute_in_process(instance=house.instance)

    assert result.success
    assert house.stored("votes") == stored
    versions = house.versions()
    assert house.run().success
    assert house.versions() == versions
    assert house.published("votes") == published


def test_a_file_delivered_again_after_maintenance_is_known(house: House) -> None:
    _deliver_ten_files(house)
    list(maintain_all(house.lake, house.warehouse, keep_days=0))
    versions = house.versions()

    house.deliver("votes-again.json", [vote(3, 1), vote(0, 1, VoteTypeId="3")])
    assert house.run().success

    assert house.versions() == versions
    assert house.waiting() == []


def test_what_was_not_published_before_its_feed_was_vacuumed_is_published(house: House) -> None:
    _deliver_ten_files(house)
    house.deliver("votes.json", [vote(77, 1), vote(3, 1, VoteTypeId="9")])
    house.warehouse.path.rename(house.warehouse.path.with_name("older.db"))
    assert house.run("votes").success
    house.warehouse.path.with_name("older.db").rename(house.warehouse.path)
    list(maintain_all(house.lake, house.warehouse, keep_days=0))

    assert house.run().success

    published = {row[0]: row[2] for row in house.published("votes")}
    assert published == {**dict.fromkeys(range(10), 2), 0: 9, 3: 9, 77: 2}


def test_maintenance_does_not_make_a_source_fresh(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    _deliver_ten_files(house)
    list(maintain_all(house.lake, house.warehouse, keep_days=0))
    later = time.time() + 200 * 3600  # the default is 192 hours
    monkeypatch.setattr(standard_checks, "time", SimpleNamespace(time=lambda: later))

    assert not checks_of(house, "votes")["source_is_fresh"].passed
    assert checks_of(house, "outlier_weeks")["is_fresh"].passed


def test_the_warehouse_has_statistics_and_no_write_ahead_log_left(house: House) -> None:
    _deliver_ten_files(house)

    house.warehouse.maintain()

    with house.warehouse.read() as connection:
        tables = connection.exec_driver_sql("SELECT DISTINCT tbl FROM sqlite_stat1").scalars()
        assert "votes" in set(tables)
    log = house.warehouse.path.with_name("warehouse.db-wal")
    assert not log.exists() or log.stat().st_size == 0
