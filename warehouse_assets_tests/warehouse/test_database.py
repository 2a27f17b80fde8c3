"""A database of either kind: writers and readers at once, and which lake it belongs to."""

import shutil
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from warehouse_assets.errors import BusyError, LakeError, WarehouseError
from warehouse_assets.lake import Lake
from warehouse_assets.progress import heard_by
from warehouse_assets.warehouse import Published, Warehouse, warehouse_at, withdraw
from warehouse_assets_tests.folders import folder_of
from warehouse_assets_tests.lake.tables import PETS, REX, TAGS, TOM, Stored
from warehouse_assets_tests.warehouse.copies import (
    by_hand,
    contents,
    publish_to,
    query,
    tables,
    url_of,
)

_LEO = (3, "Leo", 31.0, 1)


def names(warehouse: Warehouse) -> list[str]:
    with warehouse.read() as connection:
        return [row.name for row in connection.exec_driver_sql("SELECT name FROM cats ORDER BY 1")]


def another(pets: Stored, folder: Path) -> Stored:
    """The table in a lake at another place."""
    return Stored(Lake(folder, pets.lake.scratch, 10**9), PETS)


@pytest.fixture
def warehouse_of_pets(pets: Stored, sqlite_warehouse: Warehouse) -> Warehouse:
    """A database with a table that is published."""
    pets.append([REX])
    publish_to(sqlite_warehouse, pets)
    return sqlite_warehouse


@pytest.mark.parametrize("error", [LakeError, KeyboardInterrupt])
def test_what_is_written_is_there_when_the_block_ends_and_after_an_error_nothing_is(
    cats: Warehouse, error: type[BaseException]
) -> None:
    def change_and_fail() -> None:
        with cats.write() as connection:
            connection.exec_driver_sql("CREATE TABLE dogs (name TEXT)")
            connection.exec_driver_sql("DELETE FROM cats")
            raise error("no feed")

    told: list[str] = []
    with heard_by(told.append):
        with pytest.raises(error, match="no feed"):
            change_and_fail()
        assert tables(cats) == ["cats"]
        assert names(cats) == ["Tom"]
        by_hand(cats, "INSERT INTO cats VALUES ('Kim')")
    assert query(cats, "SELECT name FROM cats ORDER BY name") == [("Kim",), ("Tom",)]
    assert told == []


def test_a_writer_waits_for_another_one_and_says_so_while_readers_read(cats: Warehouse) -> None:
    told: list[str] = []
    with ExitStack() as other:
        writing = other.enter_context(warehouse_at(url_of(cats)).write())
        writing.exec_driver_sql("INSERT INTO cats VALUES ('Kim')")
        with pytest.raises(BusyError, match=r"locked by another writer for 0\.2 s.*readers"):
            by_hand(warehouse_at(url_of(cats), seconds_to_wait=0.2), "SELECT 1")
        assert names(cats) == ["Tom"]

        def end(message: str) -> None:
            told.append(message)
            other.close()

        with heard_by(end):
            by_hand(cats, "INSERT INTO cats VALUES ('Ada')")
    assert told == [f"Waiting for a writer of {cats}."]
    assert names(cats) == ["Ada", "Kim", "Tom"]


def test_a_lake_at_another_place_and_a_copy_are_refused_before_anything_changes(
    pets: Stored, warehouse_of_pets: Warehouse, tmp_path: Path
) -> None:
    before = contents(warehouse_of_pets)
    shutil.copytree(folder_of(pets.lake.folder), tmp_path / "copy")
    staging = another(pets, tmp_path / "staging" / "lake")
    staging.append([TOM])
    tags = Stored(staging.lake, TAGS)
    tags.append([(1, "old")])
    for stored in (staging, tags, another(pets, tmp_path / "copy")):
        with pytest.raises(WarehouseError) as raised:
            publish_to(warehouse_of_pets, stored)
        message = str(raised.value)
        assert str(pets.lake.folder) in message
        assert str(stored.lake.folder) in message
        assert "`warehouse rebuild`" in message
    with pytest.raises(WarehouseError):
        withdraw(staging.lake, warehouse_of_pets, PETS)
    assert contents(warehouse_of_pets) == before
    pets.append([_LEO])
    assert publish_to(warehouse_of_pets, pets) == Published(1, 0)


def test_what_is_adopted_is_written_whole_and_gone_on_with(
    pets: Stored, warehouse_of_pets: Warehouse, tmp_path: Path
) -> None:
    shutil.copytree(folder_of(pets.lake.folder), tmp_path / "copy")
    pets.append([TOM])
    publish_to(warehouse_of_pets, pets)
    copy = another(pets, tmp_path / "copy")
    copy.append([_LEO])
    copy.append([(4, "Ida", 1.0, 1)])
    warehouse_of_pets.adopt(copy.lake.folder)
    # The same table by its id, of a later version: what has changed since would not be enough.
    assert publish_to(warehouse_of_pets, copy) == Published(3, 0, is_whole=True)
    assert query(warehouse_of_pets, "SELECT * FROM pets ORDER BY id") == copy.rows()
    with pytest.raises(WarehouseError):
        publish_to(warehouse_of_pets, pets)


def test_a_lake_that_was_moved_is_seen_by_another_path_or_was_made_again_goes_on(
    pets: Stored, warehouse_of_pets: Warehouse, tmp_path: Path
) -> None:
    lake = folder_of(pets.lake.folder)
    lake.rename(tmp_path / "moved")
    lake.symlink_to(tmp_path / "moved")
    for folder in (tmp_path / "moved", lake):
        assert publish_to(warehouse_of_pets, another(pets, folder)) == Published()
    shutil.rmtree(tmp_path / "moved")
    again = another(pets, tmp_path / "moved")
    again.append([TOM])
    assert publish_to(warehouse_of_pets, again) == Published(1, 0, is_whole=True)
    assert query(warehouse_of_pets, "SELECT * FROM pets") == [TOM]


def test_a_warehouse_of_an_earlier_release_is_adopted_by_the_first_lake(
    pets: Stored, warehouse_of_pets: Warehouse, tmp_path: Path
) -> None:
    by_hand(warehouse_of_pets, "DROP TABLE _lake")
    pets.append([TOM])
    assert publish_to(warehouse_of_pets, pets) == Published(1, 0)
    with pytest.raises(WarehouseError):
        publish_to(warehouse_of_pets, another(pets, tmp_path / "staging"))


def test_a_home_of_sqlite_may_be_copied_whole(
    pets: Stored, warehouse_of_pets: Warehouse, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(folder_of(pets.lake.folder), home / "lake")
    shutil.copy(warehouse_of_pets.path, home / "warehouse.db")
    copy = another(pets, home / "lake")
    copy.append([TOM])
    assert publish_to(warehouse_at(f"sqlite:///{home}/warehouse.db"), copy) == Published(1, 0)
    with pytest.raises(WarehouseError):
        publish_to(warehouse_of_pets, copy)


def test_in_postgresql_the_same_path_on_another_machine_is_another_lake(
    pets: Stored, emptied_warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    pets.append([REX])
    publish_to(emptied_warehouse, pets)
    monkeypatch.setattr(socket, "gethostname", lambda: "elsewhere")
    assert publish_to(emptied_warehouse, pets) == Published()  # another container, the same folder
    shutil.rmtree(folder_of(pets.lake.folder))
    monkeypatch.setattr(socket, "gethostname", lambda: "staging")
    pets.append([TOM])
    with pytest.raises(WarehouseError, match=r"on elsewhere; .* on staging"):
        publish_to(emptied_warehouse, pets)
    emptied_warehouse.adopt(pets.lake.folder)
    assert publish_to(emptied_warehouse, pets) == Published(1, 0, is_whole=True)
