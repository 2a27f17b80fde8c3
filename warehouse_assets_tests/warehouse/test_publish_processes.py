"""Publishing that is killed, and readers in other processes meanwhile."""

import signal
from pathlib import Path

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


def test_after_a_kill_the_old_rows_are_seen_and_the_next_publishing_completes(
    pets: Stored, warehouse: Warehouse, tmp_path: Path
) -> None:
    pets.replace(rows_of(1))
    publish_to(warehouse, pets)
    before = contents(warehouse)
    pets.replace(rows_of(2))
    for how in ("changes", "whole"):
        with started(publish_and_die, tmp_path, url_of(warehouse), how) as (process, _):
            process.join(60)
        assert process.exitcode == -signal.SIGKILL
        assert contents(warehouse) == before
        assert query(warehouse, "SELECT version FROM _published") == [(1,)]
    assert publish_to(warehouse, pets).rows_written == 302
    assert contents(warehouse) == in_a_new_database(warehouse, pets, tmp_path)


def test_readers_see_one_version_or_the_next_and_never_an_error(
    pets: Stored, warehouse: Warehouse
) -> None:
    pets.replace(rows_of(1))
    publish_to(warehouse, pets)
    count = "SELECT count(*) FROM pets"
    with (
        started(read_until_told, url_of(warehouse)) as (process, other),
        warehouse.read() as connection,
    ):
        assert connection.exec_driver_sql(count).scalar_one() == 301
        assert other.recv() == "ready"
        # It has read the first version before there is another.
        for version in range(2, 4):
            pets.replace(rows_of(version))
            publish(pets.lake, warehouse, pets.table, whole=version % 2 == 0)
        assert connection.exec_driver_sql(count).scalar_one() == 301
        other.send("enough")
        assert other.recv() >= 2
        process.join(30)
        assert process.exitcode == 0
    assert query(warehouse, count) == [(303,)]
