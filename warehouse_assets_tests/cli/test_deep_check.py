"""`warehouse check --deep`: files of the lake that are damaged, rows changed by hand."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from warehouse_assets_tests.cli.conftest import Command, Only
from warehouse_assets_tests.house import House


@pytest.fixture
def looked_at(filled: House, only: Only) -> House:
    """A warehouse of which only the checks of one table are made beside."""
    only("outlier_weeks")
    return filled


def by_hand(house: House, *statements: str) -> None:
    with closing(sqlite3.connect(house.warehouse.path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def a_file(house: House, table: str) -> Path:
    return next((house.settings.lake / table).glob("*.parquet"))


def test_nothing_is_wrong(command: Command, looked_at: House) -> None:
    result = command("check", "--deep")
    assert result.exit_code == 0
    assert "6 files of the lake compared with their hashes; 6 tables" in result.stdout
    assert result.stdout.endswith("0 damaged.\n")


def test_a_flipped_byte_fails_and_names_the_file_and_maintenance_too(
    command: Command, looked_at: House
) -> None:
    file = a_file(looked_at, "votes")
    content = bytearray(file.read_bytes())
    content[60] ^= 1
    file.write_bytes(content)

    result = command("check", "--deep")

    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"The file {file} is not what was committed")
    assert line.endswith("the next run makes the table again from the archive.")
    assert command("check").exit_code == 0

    maintained = command("maintain")
    assert maintained.exit_code == 1
    assert f"The file {file} is not what was committed" in maintained.stderr
    assert "rebuild" not in maintained.stderr  # it would take the damage into the warehouse
    assert "posts: " in maintained.stdout
    assert "votes: " not in maintained.stdout
    assert file.exists()


def test_rows_deleted_by_hand_fail_and_rebuilding_heals(command: Command, looked_at: House) -> None:
    by_hand(looked_at, "DELETE FROM votes WHERE id = 3", "UPDATE posts SET title = 'mine'")

    for arguments in (("check", "--deep"), ("maintain",)):
        result = command(*arguments)
        assert result.exit_code == 1
        assert "The table votes of the warehouse " in result.stderr
        assert "It has 9 rows, the lake has 10. `warehouse rebuild`" in result.stderr
        assert "It has 2 rows, as many as the lake, but with other values." in result.stderr

    assert command("rebuild").exit_code == 0
    assert command("check", "--deep").exit_code == 0
    assert command("maintain").exit_code == 0


def test_a_warehouse_that_is_not_there_or_not_whole_is_told(
    command: Command, looked_at: House
) -> None:
    by_hand(looked_at, "DROP TABLE votes", "DELETE FROM _published WHERE table_name = 'posts'")
    result = command("check", "--deep")
    assert result.exit_code == 1
    assert "posts of the warehouse" in result.stderr
    assert "is behind the lake. It is not published. The next run publishes it." in result.stderr
    assert "votes of the warehouse" in result.stderr

    looked_at.warehouse.path.unlink()
    result = command("check", "--deep")
    assert result.exit_code == 1
    assert result.stderr.count("There is no warehouse at") == 1
