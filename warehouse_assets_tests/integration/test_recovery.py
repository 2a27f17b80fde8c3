"""What was lost or moved comes back: every warehouse ends as an undisturbed one."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from warehouse_assets_tests.house import House
from warehouse_assets_tests.integration.state import State, deliver_second, state_of


@pytest.fixture
def filled(house: House, second_home: Path) -> House:
    """A warehouse that took both deliveries."""
    shutil.copytree(second_home, house.settings.home)
    return house


def test_an_undisturbed_run_holds_what_was_delivered(undisturbed: State) -> None:
    votes = {row[0]: (row[1], row[-1]) for row in undisturbed["lake"]["votes"]}

    # vote: (post, arrival); 1 and 5 were changed, 3 came again unchanged.
    assert votes == {1: (4, 3), 2: (1, 1), 3: (2, 1), 4: (3, 2), 5: (3, 4), 6: (1, 4)}
    assert len(undisturbed["lake"]["posts"]) == 4
    assert len(undisturbed["warehouse"]["rejected_records"]) == 5
    assert sum(row[2] for row in undisturbed["warehouse"]["votes_per_post_per_week"]) == 6
    assert undisturbed["inbox"] == []
    assert len(undisturbed["archive"]) == 7


def _warehouse(house: House) -> None:
    for path in house.settings.home.glob("warehouse.db*"):
        path.unlink()


def _lake(house: House) -> None:
    shutil.rmtree(house.settings.lake)


@pytest.mark.parametrize("lose", [_warehouse, _lake])
def test_what_is_deleted_is_made_again_by_the_next_run(
    filled: House, undisturbed: State, lose: Callable[[House], None]
) -> None:
    lose(filled)

    assert filled.run(checks=False).success

    assert state_of(filled) == undisturbed


def test_a_lake_made_again_takes_what_waits_after_what_is_in_the_archive(
    house: House, first_home: Path, undisturbed: State
) -> None:
    shutil.copytree(first_home, house.settings.home)
    _lake(house)
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
