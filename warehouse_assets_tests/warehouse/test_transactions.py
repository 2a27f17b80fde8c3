"""Writers and readers of one database at once, of either kind."""

from contextlib import ExitStack

import pytest

from warehouse_assets.errors import BusyError, LakeError
from warehouse_assets.progress import heard_by
from warehouse_assets.warehouse import Warehouse, warehouse_at
from warehouse_assets_tests.warehouse.copies import query, tables, url_of


def names(warehouse: Warehouse) -> list[str]:
    with warehouse.read() as connection:
        return [row.name for row in connection.exec_driver_sql("SELECT name FROM cats ORDER BY 1")]


def add(warehouse: Warehouse, name: str) -> None:
    with warehouse.write() as connection:
        connection.exec_driver_sql(f"INSERT INTO cats VALUES ('{name}')")


def test_what_is_written_is_there_when_the_block_ends(cats: Warehouse) -> None:
    told: list[str] = []
    with heard_by(told.append):
        add(cats, "Kim")
    assert query(cats, "SELECT name FROM cats ORDER BY name") == [("Kim",), ("Tom",)]
    assert told == []


@pytest.mark.parametrize("error", [LakeError, KeyboardInterrupt])
def test_after_an_error_nothing_was_written_tables_included(
    cats: Warehouse, error: type[BaseException]
) -> None:
    def change_and_fail() -> None:
        with cats.write() as connection:
            connection.exec_driver_sql("CREATE TABLE dogs (name TEXT)")
            connection.exec_driver_sql("DELETE FROM cats")
            raise error("no feed")

    with pytest.raises(error, match="no feed"):
        change_and_fail()
    assert tables(cats) == ["cats"]
    assert names(cats) == ["Tom"]


def test_a_writer_waits_for_another_one_and_says_so_while_readers_read(cats: Warehouse) -> None:
    told: list[str] = []
    with ExitStack() as other:
        writing = other.enter_context(warehouse_at(url_of(cats)).write())
        writing.exec_driver_sql("INSERT INTO cats VALUES ('Kim')")
        with pytest.raises(BusyError, match=r"locked by another writer for 0\.2 s.*readers"):
            add(warehouse_at(url_of(cats), seconds_to_wait=0.2), "Ada")
        assert names(cats) == ["Tom"]

        def end(message: str) -> None:
            told.append(message)
            other.close()

        with heard_by(end):
            add(cats, "Ada")
    assert told == [f"Waiting for a writer of {cats}."]
    assert names(cats) == ["Ada", "Kim", "Tom"]
