"""A SQLite file that is missing, damaged, locked or something else, and what is said of it."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from warehouse_assets.errors import WarehouseError
from warehouse_assets.warehouse import Warehouse, warehouse_at
from warehouse_assets_tests.warehouse.copies import query


def random_bytes(path: Path) -> None:
    path.write_bytes(bytes(number * 37 % 256 for number in range(10_000)))


def a_truncated_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE cats (name TEXT)")
        connection.executemany("INSERT INTO cats VALUES (?)", [("x" * 500,)] * 500)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2 + 100])


def a_cut_header(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\x00 and nothing more")


UNREADABLE = [random_bytes, a_truncated_database, a_cut_header]


@pytest.fixture
def warehouse(sqlite_warehouse: Warehouse) -> Warehouse:
    """These are the ways of SQLite; those of PostgreSQL have tests of their own."""
    return sqlite_warehouse


@contextmanager
def another_writer(warehouse: Warehouse, begin: str = "BEGIN IMMEDIATE") -> Iterator[None]:
    with closing(sqlite3.connect(warehouse.path, isolation_level=None)) as connection:
        connection.execute(begin)
        yield
        connection.execute("ROLLBACK")


def read_all(warehouse: Warehouse) -> None:
    with warehouse.read() as connection:
        connection.exec_driver_sql("SELECT sum(length(name)) FROM cats").all()


def write_one(warehouse: Warehouse) -> None:
    with warehouse.write() as connection:
        connection.exec_driver_sql("INSERT INTO cats VALUES ('Kim')")


def test_reading_without_a_database_says_how_to_make_one(warehouse: Warehouse) -> None:
    with pytest.raises(WarehouseError, match=r"There is no warehouse at sqlite:///.*ingest"):
        read_all(warehouse)
    assert str(warehouse) == f"sqlite:///{warehouse.path}"
    assert not warehouse.path.exists()


@pytest.mark.parametrize("act", [read_all, write_one])
def test_what_is_no_database_is_explained(
    warehouse: Warehouse, act: Callable[[Warehouse], None]
) -> None:
    for damage in UNREADABLE:
        damage(warehouse.path)
        with pytest.raises(WarehouseError, match=r"not a readable SQLite database.*rebuild"):
            act(warehouse)
        warehouse.path.unlink()
    warehouse.path.mkdir()
    with pytest.raises(WarehouseError, match="WAREHOUSE_URL"):
        act(warehouse)


def test_a_file_in_place_of_the_folder_is_explained(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    with pytest.raises(WarehouseError, match="WAREHOUSE_URL"):
        write_one(warehouse_at(f"sqlite:///{tmp_path}/a/warehouse.db"))


def test_a_deleted_database_is_made_anew_by_the_same_object(cats: Warehouse) -> None:
    read_all(cats)
    cats.path.unlink()
    with cats.write() as connection:
        assert sa.inspect(connection).get_table_names() == []
        connection.exec_driver_sql("CREATE TABLE dogs (name TEXT)")
    assert query(cats, "SELECT name FROM sqlite_master") == [("dogs",)]
    files = [path.name for path in cats.path.parent.glob("warehouse.db*")]
    assert files == ["warehouse.db"]  # a closed database is one file


@pytest.mark.parametrize("damage", UNREADABLE)
def test_an_unreadable_file_is_moved_aside_and_a_new_one_can_be_written(
    warehouse: Warehouse, damage: Callable[[Path], None]
) -> None:
    damage(warehouse.path)
    content = warehouse.path.read_bytes()
    for suffix in ("-wal", "-shm"):
        warehouse.path.with_name(f"warehouse.db{suffix}").write_bytes(b"left over")
    aside = warehouse.move_aside_if_unreadable()
    assert aside is not None
    assert aside.name.startswith("warehouse.db.unreadable-")
    assert aside.read_bytes() == content
    assert list(aside.parent.glob("warehouse.db*")) == [aside]
    with warehouse.write() as connection:
        connection.exec_driver_sql("CREATE TABLE cats (name TEXT)")
    read_all(warehouse)


def test_a_folder_in_place_of_the_file_is_moved_aside_and_a_missing_one_is_not(
    warehouse: Warehouse,
) -> None:
    assert warehouse.move_aside_if_unreadable() is None
    assert list(warehouse.path.parent.glob("warehouse.db*")) == []
    warehouse.path.mkdir()
    aside = warehouse.move_aside_if_unreadable()
    assert aside is not None
    assert aside.is_dir()
    assert not warehouse.path.exists()


def test_a_good_database_is_not_moved_whatever_its_folder_is_called(tmp_path: Path) -> None:
    warehouse = warehouse_at(f"sqlite:///{tmp_path}/a b#ä'/warehouse.db")
    with warehouse.write() as connection:
        connection.exec_driver_sql("CREATE TABLE cats (name TEXT)")
    assert warehouse.move_aside_if_unreadable() is None
    assert warehouse.path == tmp_path / "a b#ä'" / "warehouse.db"
    assert [path.name for path in tmp_path.glob("a*")] == ["a b#ä'"]
    read_all(warehouse)


def test_a_good_database_with_a_leftover_log_is_not_moved(cats: Warehouse) -> None:
    crashed = sqlite3.connect(cats.path)
    crashed.execute("INSERT INTO cats VALUES ('Kim')")
    crashed.commit()
    content = {path: path.read_bytes() for path in cats.path.parent.glob("warehouse.db*")}
    assert len(content) == 3
    crashed.close()
    for path, was in content.items():
        path.write_bytes(was)
    assert cats.move_aside_if_unreadable() is None
    assert query(cats, "SELECT name FROM cats") == [("Tom",), ("Kim",)]


@pytest.mark.parametrize("begin", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
@pytest.mark.parametrize("journal", ["WAL", "DELETE"])
def test_a_database_in_use_is_not_moved(
    cats: Warehouse, monkeypatch: pytest.MonkeyPatch, begin: str, journal: str
) -> None:
    real = sqlite3.connect
    with closing(real(cats.path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal}")

    def impatient(path: str, uri: bool) -> sqlite3.Connection:
        return real(path, uri=uri, timeout=0)

    with another_writer(cats, begin):
        monkeypatch.setattr(sqlite3, "connect", impatient)
        assert cats.move_aside_if_unreadable() is None
