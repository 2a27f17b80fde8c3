"""When publishing cannot know what changed, it writes the table whole, and only that table."""

import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa

from warehouse_assets.lake import Lake
from warehouse_assets.warehouse import Published, Warehouse, warehouse_at
from warehouse_assets_tests.lake.tables import PETS, TAGS, Stored, with_column
from warehouse_assets_tests.warehouse.copies import (
    contents,
    emptied,
    indexes,
    publish_to,
    query,
)

REX = (1, "Rex", 30.5, 1)
TOM = (2, "Tom", 4.0, 1)
MAX = (1, "Max", 31.0, 2)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with lakes of two tables, and with a database in which they have been published.

    In the lake `now` one of them has changed since, in `before` it has not.
    """
    folder = tmp_path_factory.mktemp("prepared")
    lake = Lake(folder / "before" / "lake", folder / "tmp", 10**9)
    pets, tags = Stored(lake, PETS), Stored(lake, TAGS)
    warehouse = warehouse_at(f"sqlite:///{folder}/before/warehouse.db")
    tags.append([(1, "old")])
    pets.merge([REX, TOM])
    for stored in (tags, pets):
        publish_to(warehouse, stored)
    shutil.copytree(folder / "before", folder / "now")
    Stored(Lake(folder / "now" / "lake", folder / "tmp", 10**9), PETS).merge([MAX])
    return folder


@pytest.fixture
def published(prepared: Path, lake: Lake, warehouse: Warehouse) -> Stored:
    """A table that is published and has changed since."""
    if warehouse.is_sqlite:
        shutil.copy(prepared / "before" / "warehouse.db", warehouse.path)
    else:
        shutil.copytree(prepared / "before" / "lake", lake.folder)
        for table in (TAGS, PETS):
            publish_to(warehouse, Stored(lake, table))
        shutil.rmtree(lake.folder)
    shutil.copytree(prepared / "now" / "lake", lake.folder)
    return Stored(lake, PETS)


@pytest.fixture
def tags(published: Stored) -> Stored:
    """Another table, published."""
    return Stored(published.lake, TAGS)


def execute(warehouse: Warehouse, sql: str) -> None:
    with warehouse.write() as connection:
        assert connection.exec_driver_sql(sql).rowcount != 0


def assert_written_whole(warehouse: Warehouse, pets: Stored, tags: Stored) -> None:
    assert publish_to(warehouse, pets) == Published(len(pets.rows()), 0, is_whole=True)
    assert publish_to(warehouse, tags) == Published()
    assert query(warehouse, "SELECT * FROM pets ORDER BY id") == pets.rows()
    assert query(warehouse, "SELECT * FROM tags") == tags.rows()
    assert publish_to(warehouse, pets) == Published()


@pytest.mark.parametrize("leaves_log", [False, True])
def test_a_deleted_database_comes_again_identical(
    published: Stored, tags: Stored, warehouse: Warehouse, leaves_log: bool
) -> None:
    publish_to(warehouse, published)
    before = contents(warehouse)
    emptied(warehouse)
    if leaves_log and warehouse.is_sqlite:
        for suffix in ("-wal", "-shm"):
            warehouse.path.with_name(f"warehouse.db{suffix}").write_bytes(b"left by a crash" * 99)
    assert publish_to(warehouse, tags).is_whole
    assert publish_to(warehouse, published).is_whole
    assert contents(warehouse) == before


@pytest.mark.parametrize(
    "by_hand",
    [
        "DROP TABLE pets",
        "DELETE FROM _published WHERE table_name = 'pets'",
        # The note of another lake, and of one that was set back.
        "UPDATE _published SET lake_table_id = 'x' WHERE table_name = 'pets'",
        "UPDATE _published SET version = 99 WHERE table_name = 'pets'",
    ],
)
def test_when_what_is_published_is_not_known(
    published: Stored, tags: Stored, warehouse: Warehouse, by_hand: str
) -> None:
    execute(warehouse, by_hand)
    assert_written_whole(warehouse, published, tags)


def test_when_the_lake_was_made_anew(published: Stored, tags: Stored, warehouse: Warehouse) -> None:
    shutil.rmtree(published.table.path)
    for row in (TOM, REX, (7, "new", 1.0, 1)):
        published.append([row])
    assert_written_whole(warehouse, published, tags)


def test_when_a_column_was_added_or_taken_away(
    published: Stored, tags: Stored, warehouse: Warehouse
) -> None:
    publish_to(warehouse, published)
    grown = Stored(published.lake, with_column(PETS, "colour"))
    assert publish_to(warehouse, grown) == Published(2, 0, is_whole=True)
    assert query(warehouse, "SELECT * FROM pets ORDER BY id") == [(*MAX, None), (*TOM, None)]
    described = "SELECT description FROM _columns WHERE column_name = 'colour'"
    assert query(warehouse, described) == [("Added later.",)]
    grown.merge([(*TOM, "grey")])
    assert publish_to(warehouse, grown) == Published(1, 0)
    assert query(warehouse, "SELECT * FROM pets ORDER BY id") == [(*MAX, None), (*TOM, "grey")]
    assert_written_whole(warehouse, published, tags)


def test_when_files_of_the_feed_are_gone(
    published: Stored, tags: Stored, warehouse: Warehouse
) -> None:
    published.append([(5, "short", 1.0, 3)])
    published.merge([(5, "lived", 1.0, 4)])
    removed = published.table.open().vacuum(
        retention_hours=0, dry_run=False, enforce_retention_duration=False, full=True
    )
    assert removed
    assert_written_whole(warehouse, published, tags)
    published.merge([(5, "shorter", 1.0, 5)])
    shutil.rmtree(published.table.path / "_change_data")
    assert_written_whole(warehouse, published, tags)


def test_when_the_log_of_the_feed_is_gone(
    published: Stored, tags: Stored, warehouse: Warehouse
) -> None:
    published.table.open().create_checkpoint()
    for entry in (published.table.path / "_delta_log").glob("0*.json"):
        entry.unlink()
    assert_written_whole(warehouse, published, tags)


def test_compaction_is_not_a_change(published: Stored, tags: Stored, warehouse: Warehouse) -> None:
    published.append([(8, "late", 1.0, 3)])
    publish_to(warehouse, published)
    published.table.open().optimize.compact()
    assert publish_to(warehouse, published) == Published(0, 0)
    assert query(warehouse, "SELECT version FROM _published WHERE table_name = 'pets'") == [
        (published.version(),)
    ]


def test_an_index_declared_later_comes_with_the_next_whole_writing(
    published: Stored, warehouse: Warehouse
) -> None:
    indexed = PETS.to_metadata(sa.MetaData())
    sa.Index("ix_pets_name", indexed.c.name)
    later = Stored(published.lake, indexed)
    execute(warehouse, "DELETE FROM _published WHERE table_name = 'pets'")
    publish_to(warehouse, later)
    assert {"ix_pets_name", "ix_pets_weight"} <= indexes(warehouse, "pets")
