"""A warehouse holds what one lake published; one at another place is refused."""

import shutil
import socket
from pathlib import Path

import pytest

from warehouse_assets.errors import WarehouseError
from warehouse_assets.lake import Lake
from warehouse_assets.warehouse import Published, Warehouse, warehouse_at, withdraw
from warehouse_assets_tests.lake.tables import PETS, TAGS, Stored
from warehouse_assets_tests.warehouse.copies import contents, publish_to, query

REX = (1, "Rex", 30.5, 1)
TOM = (2, "Tom", 4.0, 1)
MAX = (3, "Max", 31.0, 1)


def another(pets: Stored, folder: Path) -> Stored:
    """The table in a lake at another place."""
    return Stored(Lake(folder, pets.lake.scratch, 10**9), PETS)


@pytest.fixture
def published(pets: Stored, warehouse: Warehouse) -> Stored:
    """A table that is published."""
    pets.append([REX])
    publish_to(warehouse, pets)
    return pets


def rows(warehouse: Warehouse) -> list[tuple[object, ...]]:
    return query(warehouse, "SELECT * FROM pets ORDER BY id")


def test_a_lake_at_another_place_is_refused_before_anything_changes(
    published: Stored, warehouse: Warehouse, tmp_path: Path
) -> None:
    before = contents(warehouse)
    staging = another(published, tmp_path / "staging" / "lake")
    staging.append([TOM])
    tags = Stored(staging.lake, TAGS)
    tags.append([(1, "old")])
    for stored in (staging, tags):  # published by the other lake, and not
        with pytest.raises(WarehouseError) as raised:
            publish_to(warehouse, stored)
        message = str(raised.value)
        assert str(published.lake.folder) in message
        assert str(staging.lake.folder) in message
        assert "`warehouse rebuild`" in message
    with pytest.raises(WarehouseError):
        withdraw(staging.lake, warehouse, PETS)
    assert contents(warehouse) == before
    published.append([MAX])
    assert publish_to(warehouse, published) == Published(1, 0)


def test_a_copy_of_the_lake_is_another_lake(
    published: Stored, warehouse: Warehouse, tmp_path: Path
) -> None:
    shutil.copytree(published.lake.folder, tmp_path / "copy")
    with pytest.raises(WarehouseError):
        publish_to(warehouse, another(published, tmp_path / "copy"))


def test_what_is_adopted_is_written_whole_and_gone_on_with(
    published: Stored, warehouse: Warehouse, tmp_path: Path
) -> None:
    shutil.copytree(published.lake.folder, tmp_path / "copy")
    published.append([TOM])
    publish_to(warehouse, published)
    copy = another(published, tmp_path / "copy")
    copy.append([MAX])
    copy.append([(4, "Leo", 1.0, 1)])
    warehouse.adopt(copy.lake.folder)
    # The same table by its id, of a later version: what has changed since would not be enough.
    assert publish_to(warehouse, copy) == Published(3, 0, is_whole=True)
    assert rows(warehouse) == [REX, MAX, (4, "Leo", 1.0, 1)]
    with pytest.raises(WarehouseError):
        publish_to(warehouse, published)


def test_a_lake_that_was_lost_and_made_again_goes_on(
    published: Stored, warehouse: Warehouse
) -> None:
    shutil.rmtree(published.lake.folder)
    published.append([TOM])
    assert publish_to(warehouse, published) == Published(1, 0, is_whole=True)
    assert rows(warehouse) == [TOM]


def test_a_folder_that_was_moved_or_is_seen_by_another_path_goes_on(
    published: Stored, warehouse: Warehouse, tmp_path: Path
) -> None:
    published.lake.folder.rename(tmp_path / "moved")
    published.lake.folder.symlink_to(tmp_path / "moved")
    for folder in (tmp_path / "moved", published.lake.folder):
        assert publish_to(warehouse, another(published, folder)) == Published()


def test_a_warehouse_of_an_earlier_release_is_adopted_by_the_first_lake(
    published: Stored, warehouse: Warehouse, tmp_path: Path
) -> None:
    with warehouse.write() as connection:
        connection.exec_driver_sql("DROP TABLE _lake")
    published.append([TOM])
    assert publish_to(warehouse, published) == Published(1, 0)
    with pytest.raises(WarehouseError):
        publish_to(warehouse, another(published, tmp_path / "staging"))


def test_a_home_of_sqlite_may_be_copied_whole(
    pets: Stored, sqlite_warehouse: Warehouse, tmp_path: Path
) -> None:
    pets.append([REX])
    publish_to(sqlite_warehouse, pets)
    (tmp_path / "home").mkdir()
    shutil.copytree(pets.lake.folder, tmp_path / "home" / "lake")
    shutil.copy(sqlite_warehouse.path, tmp_path / "home" / "warehouse.db")
    copy = another(pets, tmp_path / "home" / "lake")
    copy.append([TOM])
    assert publish_to(warehouse_at(f"sqlite:///{tmp_path}/home/warehouse.db"), copy) == Published(
        1, 0
    )
    with pytest.raises(WarehouseError):
        publish_to(sqlite_warehouse, copy)


def test_the_same_path_on_another_machine_is_another_lake(
    pets: Stored, emptied_warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    pets.append([REX])
    publish_to(emptied_warehouse, pets)
    monkeypatch.setattr(socket, "gethostname", lambda: "elsewhere")
    assert publish_to(emptied_warehouse, pets) == Published()  # another container, the same folder
    shutil.rmtree(pets.lake.folder)
    monkeypatch.setattr(socket, "gethostname", lambda: "staging")
    pets.append([TOM])
    with pytest.raises(WarehouseError, match=r"on elsewhere; .* on staging"):
        publish_to(emptied_warehouse, pets)
