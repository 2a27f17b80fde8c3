"""`warehouse backup`: what it says, and when it cannot."""

import json
from pathlib import Path

import pytest

from warehouse_assets_tests.cli.conftest import Command
from warehouse_assets_tests.house import House, vote
from warehouse_assets_tests.ingest.deliveries import take
from warehouse_assets_tests.stress.disks import SmallDisk, small_disk


@pytest.fixture(autouse=True)
def _one_vote_taken(house: House) -> None:
    house.deliver("votes.jsonl", [vote(1, 1)])
    take(house)


def test_it_says_what_it_copied_and_whether_it_is_complete(
    house: House, command: Command, tmp_path: Path
) -> None:
    (house.settings.home / "api_keys").write_text("hash\n")
    folder = tmp_path / "backup"

    first, second = (command("backup", folder) for _ in range(2))

    assert (first.exit_code, second.exit_code) == (0, 0)
    # Of each table two entries of its log; the votes, their hashes, the file, the keys.
    assert f"{folder} holds 2 tables and 8 files; 8 of them, " in first.output
    assert f"{folder} holds 2 tables and 8 files; 0 of them, 0 bytes, " in second.output
    told = json.loads((folder / "backup.json").read_text())
    assert told["versions"] == {"votes": 1, "rejected_records": 1}
    assert (folder / "api_keys").read_text() == "hash\n"
    assert sorted(path.name for path in (folder / "archive" / "votes").iterdir()) == [
        "00000001-votes.jsonl"
    ]


def test_a_folder_of_something_else_is_refused_in_words(command: Command, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").touch()

    result = command("backup", tmp_path / "photos")

    assert result.exit_code == 1
    assert "is not empty and holds no backup. Give a new folder" in result.output


def test_a_full_disk_is_told_and_leaves_a_backup_that_is_known_as_incomplete(
    house: House, command: Command, tmp_path: Path
) -> None:
    (tmp_path / "disk").mkdir()
    with small_disk(tmp_path / "disk") as disk:
        if not isinstance(disk, SmallDisk):
            pytest.skip("no file system can be mounted here")
        house.deliver("votes-large.jsonl", b" " * (30 << 20))  # the disk has 24 MB
        folder = disk.folder / "backup"

        result = command("backup", folder)

        assert result.exit_code == 1
        assert "disk is full" in result.output
        assert "for 31,457,280 bytes where" in result.output
        assert str(folder) in result.output
        assert (folder / "backup.unfinished").exists()
        assert not (folder / "backup.json").exists()
        house.settings.inbox.joinpath("votes-large.jsonl").unlink()
        assert command("backup", folder).exit_code == 0
        assert (folder / "backup.json").exists()
