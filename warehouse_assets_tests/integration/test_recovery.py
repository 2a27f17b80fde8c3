"""What was lost or moved comes back: every warehouse ends as an undisturbed one."""

import shutil
from pathlib import Path

import dagster as dg
import pytest

from warehouse_assets_tests.house import House
from warehouse_assets_tests.integration.state import State, deliver_first, deliver_second, state_of


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory, shared_instance: dg.DagsterInstance) -> Path:
    """The homes `first` and `second`: of a warehouse that took one delivery, and both."""
    folder = tmp_path_factory.mktemp("homes")
    first = House(folder / "first", shared_instance)
    deliver_first(first)
    assert first.run(checks=False).success
    second = House(Path(shutil.copytree(first.settings.home, folder / "second")), shared_instance)
    deliver_second(second)
    assert second.run(checks=False).success
    return folder


@pytest.fixture
def undisturbed(homes: Path, instance: dg.DagsterInstance) -> State:
    """What a warehouse holds that took both deliveries without being disturbed."""
    return state_of(House(homes / "second", instance))


def test_an_undisturbed_run_holds_what_was_delivered(undisturbed: State) -> None:
    votes = {row[0]: (row[1], row[-1]) for row in undisturbed["lake"]["votes"]}

    # vote: (post, arrival); 1 and 5 were changed, 3 came again unchanged.
    assert votes == {1: (4, 3), 2: (1, 1), 3: (2, 1), 4: (3, 2), 5: (3, 4), 6: (1, 4)}
    assert len(undisturbed["lake"]["posts"]) == 4
    assert len(undisturbed["warehouse"]["rejected_records"]) == 5
    assert sum(row[2] for row in undisturbed["warehouse"]["votes_per_post_per_week"]) == 6
    assert undisturbed["inbox"] == []
    assert len(undisturbed["archive"]) == 7


def test_a_lake_that_is_lost_is_made_again_of_the_archive_before_what_waits(
    house: House, homes: Path, undisturbed: State
) -> None:
    shutil.copytree(homes / "first", house.settings.home)
    shutil.rmtree(house.settings.lake)
    deliver_second(house)

    assert house.run(checks=False).success

    assert state_of(house) == undisturbed


def test_a_home_that_was_moved_makes_again_the_warehouse_that_it_lost_and_nothing_else(
    homes: Path, undisturbed: State, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    moved = House(Path(shutil.copytree(homes / "second", tmp_path / "moved")), instance)
    versions = moved.versions()
    for path in moved.settings.home.glob("warehouse.db*"):
        path.unlink()

    assert moved.run(checks=False).success

    assert state_of(moved) == undisturbed
    assert moved.versions() == versions
