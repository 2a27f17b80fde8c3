"""A run that was killed, followed by the same run, is as good as one that was not disturbed."""

import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from warehouse_assets_tests.house import House
from warehouse_assets_tests.integration.mortal_run import POINTS, die_at
from warehouse_assets_tests.integration.processes import fork, fork_command, run_forked
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


@pytest.mark.parametrize("point", POINTS)
def test_a_run_after_one_that_was_killed_holds_the_same(
    second: House, undisturbed: State, point: str
) -> None:
    process = fork(die_at, point, second.settings.home)
    process.join(timeout=120)
    assert process.exitcode == -signal.SIGKILL
    # A run that is killed while it reads leaves what it spooled.
    assert point != "after reading" or len(list(second.settings.scratch.iterdir())) == 1

    assert second.run(checks=False).success

    assert state_of(second) == undisturbed
    assert list(second.settings.scratch.iterdir()) == []


def test_a_command_killed_at_any_moment_is_made_up_for(
    second: House, undisturbed: State, tmp_path: Path
) -> None:
    process = fork_command(second, tmp_path / "killed", "warehouse", "ingest")
    time.sleep(random.uniform(0.1, 3))
    process.kill()
    process.join()

    code, told = run_forked(second, tmp_path / "told", "warehouse", "ingest")

    # The file that is neither is told of if it was not taken before the kill.
    assert code == int("strange.json could be used" in told), told
    assert state_of(second) == undisturbed
