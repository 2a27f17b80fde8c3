"""A disk that is full at the worst moments: told in words, nothing half done, continued."""

import gzip
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from warehouse_assets.runs import failed_steps
from warehouse_assets_tests.crashes import hooked
from warehouse_assets_tests.house import House, post, vote
from warehouse_assets_tests.integration.state import State, state_of
from warehouse_assets_tests.stress.disks import Disk, small_disk

# The crash point, and its subject unless it is any, at whose first passing the disk fills up.
MOMENTS = {
    "reading": ("source to be read", "votes"),
    "writing Parquet": ("Parquet to be written", None),
    "changing an answer": ("merge to be written", "mean_votes_per_post_per_week"),
    "publishing": ("table to be published", None),
}


@dataclass(frozen=True)
class Taken:
    """A warehouse that took one delivery and has another waiting, and its states."""

    home: Path
    before: State
    after: State


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Taken]:
    folder = tmp_path_factory.mktemp("taken")
    with dg.DagsterInstance.ephemeral() as instance:
        house = House(folder / "home", instance)
        house.deliver("posts-1.jsonl", [post(number) for number in range(1, 100)])
        house.deliver("votes-1.jsonl", [vote(number, number % 50) for number in range(1, 999)])
        assert house.run(checks=False).success
        before = state_of(house)
        votes = [vote(number, number % 50 + 30) for number in range(500, 2500)]
        _deliver_packed(house, "votes-2.json.gz", [*votes, {"Id": "x"}])
        _deliver_packed(house, "posts-2.json.gz", [post(n, Score="5") for n in range(50, 200)])
        shutil.copytree(house.settings.home, folder / "undisturbed")
        undisturbed = House(folder / "undisturbed", instance)
        assert undisturbed.run(checks=False).success
        yield Taken(house.settings.home, before, state_of(undisturbed))


def _deliver_packed(house: House, name: str, records: list[dict[str, Any]]) -> None:
    lines = "\n".join(json.dumps(record) for record in records)
    house.deliver(name, gzip.compress(lines.encode()))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    with small_disk(folder) as disk:
        yield disk


def run_on_a_disk_that_fills(house: House, disk: Disk, moment: str) -> list[str]:
    """A run in which the disk fills up at a moment; returns the reasons of the steps failed."""
    calls = iter([disk.fill])

    def fill_once(point: str, subject: str) -> None:
        name, of = MOMENTS[moment]
        if point == name and of in (None, subject):
            next(calls, lambda: None)()

    try:
        with hooked(fill_once):
            result = house.run(checks=False)
    finally:
        disk.make_room()
    assert not result.success
    return [reason for _, reason in failed_steps(result)]


def assert_nothing_is_half_done_and_the_next_run_completes(house: House, taken: Taken) -> None:
    now = state_of(house)
    for place in ("lake", "warehouse"):
        for table, rows in now[place].items():
            assert rows in (taken.before[place][table], taken.after[place][table]), table
    assert house.run(checks=False).success
    assert state_of(house) == taken.after
    assert list(house.settings.scratch.iterdir()) == []


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_disk_that_fills_up_is_told_and_the_next_run_completes(
    taken: Taken, disk: Disk, instance: dg.DagsterInstance, moment: str
) -> None:
    house = House(Path(shutil.copytree(taken.home, disk.folder / "home")), instance)

    reasons = run_on_a_disk_that_fills(house, disk, moment)

    assert reasons
    if disk.says_it_is_full:
        assert [r for r in reasons if not r.startswith("The disk is full: ")] == []
        assert [r for r in reasons if str(disk.folder) not in r] == []
        assert [r for r in reasons if "Nothing is half done. Free some space" not in r] == []
    assert_nothing_is_half_done_and_the_next_run_completes(house, taken)
