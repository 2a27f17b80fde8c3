"""A run that was killed, followed by the same run, is as good as one that was not disturbed."""

import random
import shutil
import signal
import time
from pathlib import Path

import dagster as dg
import pytest

from warehouse_assets_tests.house import House
from warehouse_assets_tests.integration.mortal_run import POINTS
from warehouse_assets_tests.integration.processes import run, start
from warehouse_assets_tests.integration.state import State, deliver_second, state_of


@pytest.fixture
def second(house: House, first_home: Path) -> House:
    """A warehouse that took the first delivery; the second one waits."""
    shutil.copytree(first_home, house.settings.home)
    deliver_second(house)
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


@pytest.fixture(scope="module")
def killed(
    first_home: Path, tmp_path_factory: pytest.TempPathFactory, shared_instance: dg.DagsterInstance
) -> dict[str, Path]:
    """By point the home of a warehouse whose run was killed there, amid the second delivery."""
    folder = tmp_path_factory.mktemp("killed")
    homes = {point: folder / str(number) for number, point in enumerate(POINTS)}
    for home in homes.values():
        shutil.copytree(first_home, home)
        deliver_second(House(home, shared_instance))
    anywhere = House(folder / "anywhere", shared_instance)
    module = "warehouse_assets_tests.integration.mortal_run"
    ended = run(anywhere, "python", "-m", module, folder, *POINTS)
    assert ended.stdout.split() == [str(-signal.SIGKILL)] * len(POINTS), ended.stderr
    return homes


@pytest.mark.parametrize("point", POINTS)
def test_a_run_after_one_that_was_killed_holds_the_same(
    killed: dict[str, Path], instance: dg.DagsterInstance, undisturbed: State, point: str
) -> None:
    house = House(killed[point], instance)
    # A run that is killed while it reads leaves what it spooled.
    assert point != "after reading" or len(list(house.settings.scratch.iterdir())) == 1

    assert house.run(checks=False).success

    assert state_of(house) == undisturbed
    assert list(house.settings.scratch.iterdir()) == []


def test_a_command_killed_at_any_moment_is_made_up_for(second: House, undisturbed: State) -> None:
    process = start(second, "warehouse", "ingest")
    time.sleep(random.uniform(0.8, 4))
    process.kill()
    process.communicate()

    assert run(second, "warehouse", "ingest").returncode == 0

    assert state_of(second) == undisturbed
