"""Commands on a disk that is full or read-only: a sentence, and nothing half done."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from warehouse_assets.defs.forum.tables import VOTES
from warehouse_assets.warehouse import publish
from warehouse_assets_tests.cli.conftest import Command, Only
from warehouse_assets_tests.house import House, vote
from warehouse_assets_tests.ingest.deliveries import take
from warehouse_assets_tests.stress.disks import SmallDisk, small_disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    with small_disk(folder) as disk:
        if not isinstance(disk, SmallDisk):
            pytest.skip("no file system can be mounted here")
        yield disk


@pytest.fixture(autouse=True)
def only_the_votes(only: Only) -> None:
    only("votes", checks=False)


@pytest.fixture
def house(disk: SmallDisk, instance: dg.DagsterInstance) -> House:
    """A warehouse on the small disk, with one vote taken and published."""
    house = House(disk.folder / "home", instance)
    house.deliver("votes.jsonl", [vote(1, 1)])
    take(house)
    publish(house.lake, house.warehouse, house.lake.table(VOTES))
    return house


def remount(disk: SmallDisk, mode: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{mode}", str(disk.folder)], check=True)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_on_a_read_only_disk_commands_say_so_and_change_nothing(
    house: House, disk: SmallDisk, command: Command, tmp_path: Path
) -> None:
    file = tmp_path / "votes-2.jsonl"
    file.write_text('{"Id": 2, "PostId": 1, "CreationDate": "2022-01-03"}')
    before = contents(house.settings.home)
    remount(disk, "ro")

    for words in (["ingest", file], ["ingest"], ["rebuild"], ["maintain"], ["samples"]):
        result = command(*words)

        assert result.exit_code == 1
        assert str(disk.folder) in result.output
        assert "Traceback" not in result.output
    remount(disk, "rw")
    assert contents(house.settings.home) == before


def test_a_file_that_does_not_fit_into_the_inbox_is_told_with_both_sizes_and_leaves_nothing(
    house: House, disk: SmallDisk, command: Command, tmp_path: Path
) -> None:
    (tmp_path / "trips-large.csv").write_bytes(b" " * (30 << 20))  # the disk has 24 MB

    result = command("ingest", "--trips", tmp_path / "trips-large.csv")

    assert result.exit_code == 1
    assert "disk is full" in result.output
    assert str(house.settings.inbox) in result.output
    assert "31,457,280 bytes where " in result.output
    assert list(house.settings.inbox.iterdir()) == []
    (journal,) = house.settings.ingestions.glob("*")
    assert "failed" in journal.read_text()
    # What fits is taken afterwards.
    (tmp_path / "votes-2.jsonl").write_text('{"Id":2,"PostId":1,"CreationDate":"2022-01-03"}')
    assert command("ingest", tmp_path / "votes-2.jsonl").exit_code == 0


def test_a_backup_that_does_not_fit_is_told_and_is_none_until_there_is_room(
    disk: SmallDisk, command: Command
) -> None:
    folder = disk.folder / "backup"
    disk.fill()

    result = command("backup", folder)

    assert result.exit_code == 1
    assert "disk is full" in result.output
    assert str(folder) in result.output
    assert not (folder / "backup.json").exists()
    disk.make_room()
    assert command("backup", folder).exit_code == 0
    assert (folder / "backup.json").exists()


def test_a_full_disk_does_not_make_a_good_warehouse_one_that_is_moved_aside(
    house: House, disk: SmallDisk, command: Command
) -> None:
    published = house.published("votes")
    disk.fill()

    result = command("rebuild")

    assert result.exit_code == 1
    assert "Error: " in result.output
    disk.make_room()
    assert house.published("votes") == published
    assert not list(house.settings.home.glob("*.unreadable-*"))
    assert command("rebuild").exit_code == 0
