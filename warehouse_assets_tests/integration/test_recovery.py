"""What was lost comes back: the warehouse from the lake, the lake from the archive."""

import shutil
from pathlib import Path

import pytest

from warehouse_assets_tests.house import House
from warehouse_assets_tests.integration.state import State, deliver_second, state_of


@pytest.fixture
def filled(house: House, second_home: Path) -> House:
    """A warehouse that took both deliveries."""
    shutil.copytree(second_home, house.settings.home)
    return house


def test_a_deleted_warehouse_is_written_again_by_the_next_run(
    filled: House, undisturbed: State
) -> None:
    for path in filled.settings.home.glob("warehouse.db*"):
        path.unlink()

    assert filled.run(checks=False).success

    assert state_of(filled) == undisturbed


@pytest.mark.parametrize("keeps_warehouse", [True, False])
def test_a_deleted_lake_is_made_again_from_the_archive(
    filled: House, undisturbed: State, keeps_warehouse: bool
) -> None:
    shutil.rmtree(filled.settings.lake)
    if not keeps_warehouse:
        filled.warehouse.path.unlink()

    assert filled.run(checks=False).success

    assert state_of(filled) == undisturbed


@pytest.mark.parametrize("table", ["votes", "rejected_records"])
def test_one_deleted_table_is_made_again(filled: House, undisturbed: State, table: str) -> None:
    shutil.rmtree(filled.settings.lake / table)

    assert filled.run(checks=False).success

    assert state_of(filled) == undisturbed


def test_a_lake_made_again_takes_what_waits_after_what_is_in_the_archive(
    house: House, first_home: Path, undisturbed: State
) -> None:
    shutil.copytree(first_home, house.settings.home)
    shutil.rmtree(house.settings.lake)
    deliver_second(house)

    assert house.run(checks=False).success

    assert state_of(house) == undisturbed


def test_a_home_can_be_moved(filled: House, undisturbed: State, tmp_path: Path) -> None:
    shutil.move(filled.settings.home, tmp_path / "moved")
    moved = House(tmp_path / "moved", filled.instance)
    versions = moved.versions()

    assert moved.run(checks=False).success

    assert state_of(moved) == undisturbed
    assert moved.versions() == versions
