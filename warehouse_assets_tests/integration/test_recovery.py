"""What was lost, moved or killed comes back: every warehouse ends as an undisturbed one."""

import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from warehouse_assets_tests.house import House
from warehouse_assets_tests.integration.processes import fork_command, run_forked
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


def _both(house: House) -> None:
    _lake(house)
    _warehouse(house)


def _a_table(house: House) -> None:
    shutil.rmtree(house.settings.lake / "votes")


def _rejected_records(house: House) -> None:
    shutil.rmtree(house.settings.lake / "rejected_records")


@pytest.mark.parametrize("lose", [_warehouse, _lake, _both, _a_table, _rejected_records])
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


def test_a_command_killed_at_any_moment_is_made_up_for(
    house: House, first_home: Path, undisturbed: State, tmp_path: Path
) -> None:
    shutil.copytree(first_home, house.settings.home)
    deliver_second(house)
    process = fork_command(house, tmp_path / "killed", "warehouse", "ingest")
    time.sleep(random.uniform(0.1, 3))
    process.kill()
    process.join()

    code, told = run_forked(house, tmp_path / "told", "warehouse", "ingest")

    # The file that is neither is told of if it was not taken before the kill.
    assert code == int("strange.json could be used" in told), told
    assert state_of(house) == undisturbed
