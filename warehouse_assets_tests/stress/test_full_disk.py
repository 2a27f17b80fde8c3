"""A disk that is full at the worst moments: told in words, nothing half done, continued."""

import gzip
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from warehouse_assets.runs import failed_steps
from warehouse_assets_tests.crashes import hooked
from warehouse_assets_tests.house import House, post, vote
from warehouse_assets_tests.integration.state import State, state_of
from warehouse_assets_tests.stress.disks import Disk, small_disk

# Crash points and, unless it is any, of what, at whose first passing the disk fills up; in the
# order in which a run comes to them.
MOMENTS = (
    ("source to be read", "votes"),
    ("Parquet to be written", None),
    ("merge to be written", "mean_votes_per_post_per_week"),
    ("table to be published", None),
)


def deliver_more(house: House) -> None:
    """New and changed posts and votes, and a record that cannot be used, packed."""
    votes = [*(vote(number, number % 50 + 30) for number in range(500, 2500)), {"Id": "x"}]
    posts = [post(number, Score="5") for number in range(50, 200)]
    for kind, records in (("votes", votes), ("posts", posts)):
        lines = "\n".join(map(json.dumps, records)).encode()
        house.deliver(f"{kind}-2.json.gz", gzip.compress(lines))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    with small_disk(folder) as disk:
        yield disk


def run_on_a_disk_that_fills(house: House, disk: Disk, name: str, of: str | None) -> list[str]:
    """A run in which the disk fills up at a crash point; the reasons of the steps failed."""
    calls = iter([disk.fill])

    def fill_once(point: str, subject: str) -> None:
        if point == name and of in (None, subject):
            next(calls, lambda: None)()

    try:
        with hooked(fill_once):
            result = house.run(checks=False)
    finally:
        disk.make_room()
    assert not result.success, name
    return [reason for _, reason in failed_steps(result)]


def assert_nothing_is_half_done(house: House, before: State, after: State) -> None:
    now = state_of(house)
    for place in ("lake", "warehouse"):
        for table, rows in now[place].items():
            assert rows in (before[place][table], after[place][table]), table


def test_a_disk_that_fills_up_is_told_and_the_next_run_goes_on(
    disk: Disk, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    house = House(disk.folder / "home", instance)
    house.deliver("posts-1.jsonl", [post(number) for number in range(1, 100)])
    house.deliver("votes-1.jsonl", [vote(number, number % 50) for number in range(1, 999)])
    assert house.run(checks=False).success
    before = state_of(house)
    deliver_more(house)
    home = shutil.copytree(house.settings.home, tmp_path / "undisturbed")
    undisturbed = House(home, instance)
    assert undisturbed.run(checks=False).success
    after = state_of(undisturbed)

    for name, of in MOMENTS:
        reasons = run_on_a_disk_that_fills(house, disk, name, of)

        assert reasons, name
        if disk.says_it_is_full:
            assert [r for r in reasons if not r.startswith("The disk is full: ")] == []
            assert [r for r in reasons if str(disk.folder) not in r] == []
            assert [r for r in reasons if "Nothing is half done. Free some space" not in r] == []
        assert_nothing_is_half_done(house, before, after)

    assert house.run(checks=False).success
    assert state_of(house) == after
    assert list(house.settings.scratch.iterdir()) == []
