"""When publishing cannot know what changed, it writes the table whole, and only that table."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from warehouse_assets.lake import Lake
from warehouse_assets.warehouse import Published, Warehouse, publish, warehouse_at
from warehouse_assets_tests.folders import folder_of
from warehouse_assets_tests.lake.tables import MAX, PETS, REX, TAGS, TOM, Stored, with_column
from warehouse_assets_tests.warehouse.copies import contents, emptied, indexes, publish_to, query


def published(lake: Lake, *warehouses: Warehouse) -> Stored:
    """A table that is published beside another one, and has changed since."""
    pets, tags = Stored(lake, PETS), Stored(lake, TAGS)
    tags.append([(1, "old")])
    pets.merge([REX, TOM])
    for warehouse in warehouses:
        for stored in (tags, pets):
            publish_to(warehouse, stored)
    pets.merge([MAX])
    return pets


def assert_written_whole(warehouse: Warehouse, pets: Stored) -> None:
    tags = Stored(pets.lake, TAGS)
    assert publish_to(warehouse, pets) == Published(len(pets.rows()), 0, is_whole=True)
    assert publish_to(warehouse, tags) == Published()
    assert query(warehouse, "SELECT * FROM pets ORDER BY id") == pets.rows()
    assert query(warehouse, "SELECT * FROM tags") == tags.rows()
    assert publish_to(warehouse, pets) == Published()


def test_a_deleted_database_comes_again_identical(lake: Lake, warehouses: list[Warehouse]) -> None:
    pets = published(lake, *warehouses)
    for warehouse in warehouses:
        publish_to(warehouse, pets)
        before = contents(warehouse)
        for leaves_log in (False, True) if warehouse.is_sqlite else (False,):
            emptied(warehouse)
            if leaves_log:
                for suffix in ("-wal", "-shm"):
                    left = warehouse.path.with_name(f"{warehouse.path.name}{suffix}")
                    left.write_bytes(b"left by a crash" * 99)
            for stored in (Stored(pets.lake, TAGS), pets):
                assert publish_to(warehouse, stored).is_whole
            assert contents(warehouse) == before


def test_a_database_in_a_folder_that_does_not_exist_is_made(lake: Lake, tmp_path: Path) -> None:
    pets = published(lake)
    warehouse = warehouse_at(f"sqlite:///{tmp_path}/a/b/warehouse.db")
    assert publish_to(warehouse, pets).is_whole
    assert query(warehouse, "SELECT * FROM pets ORDER BY id") == [MAX, TOM]


def test_when_what_is_published_is_not_known(lake: Lake, warehouses: list[Warehouse]) -> None:
    pets = published(lake, *warehouses)
    for by_hand in (
        "DROP TABLE pets",
        "DELETE FROM _published WHERE table_name = 'pets'",
        # The note of another lake, and of one that was set back.
        "UPDATE _published SET lake_table_id = 'x' WHERE table_name = 'pets'",
        "UPDATE _published SET version = 99 WHERE table_name = 'pets'",
    ):
        for warehouse in warehouses:
            with warehouse.write() as connection:
                assert connection.exec_driver_sql(by_hand).rowcount != 0
            assert_written_whole(warehouse, pets)


def _make_anew(pets: Stored) -> None:
    shutil.rmtree(folder_of(pets.table.path))
    for row in (TOM, REX, (7, "new", 1.0, 1)):
        pets.append([row])


def _vacuum(pets: Stored) -> None:
    pets.append([(5, "short", 1.0, 3)])
    pets.merge([(5, "lived", 1.0, 4)])
    assert pets.table.open().vacuum(
        retention_hours=0, dry_run=False, enforce_retention_duration=False, full=True
    )


def _lose_the_feed(pets: Stored) -> None:
    shutil.rmtree(folder_of(pets.table.path) / "_change_data")


def _lose_the_log(pets: Stored) -> None:
    pets.table.open().create_checkpoint()
    for entry in (pets.table.path / "_delta_log").glob("0*.json"):
        entry.unlink()


@pytest.mark.parametrize("act", [_make_anew, _vacuum, _lose_the_feed, _lose_the_log])
def test_when_the_lake_no_longer_tells_what_changed(
    lake: Lake, sqlite_warehouse: Warehouse, act: Callable[[Stored], None]
) -> None:
    pets = published(lake, sqlite_warehouse)
    act(pets)
    assert_written_whole(sqlite_warehouse, pets)


def test_when_a_column_was_added_or_taken_away(lake: Lake, warehouses: list[Warehouse]) -> None:
    pets = published(lake, *warehouses)
    grown = Stored(pets.lake, with_column(PETS, "colour"))
    described = "SELECT description FROM _columns WHERE column_name = 'colour'"
    for warehouse in warehouses:
        assert publish_to(warehouse, grown) == Published(2, 0, is_whole=True)
        assert query(warehouse, "SELECT * FROM pets ORDER BY id") == [(*MAX, None), (*TOM, None)]
        assert query(warehouse, described) == [("Added later.",)]
    grown.merge([(*TOM, "grey")])
    for warehouse in warehouses:
        assert publish_to(warehouse, grown) == Published(1, 0)
        assert query(warehouse, "SELECT * FROM pets ORDER BY id") == [(*MAX, None), (*TOM, "grey")]
        assert_written_whole(warehouse, pets)


def test_compaction_is_not_a_change(lake: Lake, sqlite_warehouse: Warehouse) -> None:
    pets = published(lake, sqlite_warehouse)
    pets.append([(8, "late", 1.0, 3)])
    publish_to(sqlite_warehouse, pets)
    pets.table.open().optimize.compact()
    assert publish_to(sqlite_warehouse, pets) == Published(0, 0)
    version = "SELECT version FROM _published WHERE table_name = 'pets'"
    assert query(sqlite_warehouse, version) == [(pets.version(),)]


def test_indexes_also_those_declared_later_and_the_meaning_of_columns_are_in_the_database(
    lake: Lake, warehouses: list[Warehouse]
) -> None:
    pets = published(lake, *warehouses)
    indexed = PETS.to_metadata(sa.MetaData())
    sa.Index("ix_pets_name", indexed.c.name)
    later = Stored(pets.lake, indexed)
    for warehouse in warehouses:
        assert "ix_pets_weight" in indexes(warehouse, "pets")
        assert publish(later.lake, warehouse, later.table, whole=True).is_whole
        assert {"ix_pets_name", "ix_pets_weight"} <= indexes(warehouse, "pets")
        described = "SELECT * FROM _columns WHERE table_name = 'pets' ORDER BY column_name"
        assert query(warehouse, described) == [
            ("pets", "arrival", "With which file it came."),
            ("pets", "id", "Number of the pet."),
            ("pets", "name", "What it listens to."),
            ("pets", "weight", "In kilograms."),
        ]
    assert {index.name for index in PETS.indexes} == {"ix_pets_weight"}
