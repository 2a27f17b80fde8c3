"""Publishing that is killed, and readers in other processes meanwhile."""

import signal
from pathlib import Path

import pytest

from warehouse_assets.warehouse import Warehouse, publish
from warehouse_assets_tests.lake.tables import Stored
from warehouse_assets_tests.warehouse.copies import (
    contents,
    in_a_new_database,
    publish_to,
    query,
    url_of,
)
from warehouse_assets_tests.warehouse.processes import publish_and_die, read_until_told, started


def rows_of(version: int) -> list[tuple[int, str, float, int]]:
    return [(number, "x", 1.0, version) for number in range(300 + version)]


def kill_publishing(warehouse: Warehouse, folder: Path, how: str) -> None:
    with started(publish_and_die, folder, url_of(warehouse), how) as (process, _):
        process.join(60)
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize("how", ["changes", "whole"])
def test_after_a_kill_the_old_rows_are_seen_and_the_next_publishing_completes(
    pets: Stored, warehouse: Warehouse, tmp_path: Path, how: str
) -> None:
    pets.replace(rows_of(1))
    publish_to(warehouse, pets)
    before = contents(warehouse)
    pets.replace(rows_of(2))
    kill_publishing(warehouse, tmp_path, how)
    assert contents(warehouse) == before
    assert query(warehouse, "SELECT version FROM _published") == [(1,)]
    assert publish_to(warehouse, pets).rows_written == 302
    assert contents(warehouse) == in_a_new_database(warehouse, pets, tmp_path)


def test_readers_see_one_version_or_the_next_and_never_an_error(
    pets: Stored, warehouse: Warehouse
) -> None:
    pets.replace(rows_of(1))
    publish_to(warehouse, pets)
    url = url_of(warehouse)
    with started(read_until_told, url) as one, started(read_until_told, url) as other:
        for _, connection in (one, other):
            assert connection.recv() == "ready"
        # Each has read the first version before there is another.
        for version in range(2, 4):
            pets.replace(rows_of(version))
            publish(pets.lake, warehouse, pets.table, whole=version % 2 == 0)
        for process, connection in (one, other):
            connection.send("enough")
            assert connection.recv() >= 2
            process.join(30)
            assert process.exitcode == 0


def test_a_reader_goes_on_seeing_what_it_began_with(pets: Stored, warehouse: Warehouse) -> None:
    pets.replace(rows_of(1))
    publish_to(warehouse, pets)
    with warehouse.read() as connection:
        count = "SELECT count(*) FROM pets"
        assert connection.exec_driver_sql(count).scalar_one() == 301
        pets.replace(rows_of(2))
        publish(pets.lake, warehouse, pets.table, whole=True)
        assert connection.exec_driver_sql(count).scalar_one() == 301
    assert query(warehouse, count) == [(302,)]
