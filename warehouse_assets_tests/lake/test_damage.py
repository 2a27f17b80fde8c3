"""A table whose log is damaged names the file and what to do, truly for what it is made from."""

from collections.abc import Callable
from pathlib import Path

import pytest
from deltalake import DeltaTable

from warehouse_assets.catalogue import TABLES
from warehouse_assets.errors import LakeError
from warehouse_assets.lake import Lake
from warehouse_assets_tests.lake.tables import PETS, Stored

REX = (1, "Rex", 30.5, 1)
MAX = (1, "Max", 31.0, 2)

_MADE_FROM = {
    "archive": {"posts", "votes", "trips"},
    "source": {"students", "batches", "reviews"},
    "log": {"test_runs", "deliveries"},
    "rejects": {"rejected_records"},
}


@pytest.fixture
def pets(tmp_path: Path) -> Stored:
    """A table of versions 0 (made), 1 and 2."""
    stored = Stored(Lake(tmp_path / "lake", tmp_path / "tmp", 10**9), PETS)
    stored.append([REX])
    stored.merge([MAX])
    return stored


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def other(path: Path) -> None:
    path.write_text('{"add": 3}\n')


@pytest.mark.parametrize("version", [0, 1, 2])
@pytest.mark.parametrize("damage", [half, zeros, other, Path.unlink])
def test_a_damaged_entry_is_named(
    pets: Stored, damage: Callable[[Path], None], version: int
) -> None:
    if damage is Path.unlink and version == 2:
        pets.append([REX])  # without an entry after it, nobody could tell
    entry = pets.table.path / "_delta_log" / f"{version:020}.json"
    damage(entry)
    with pytest.raises(LakeError) as raised:
        pets.table.open()
    message = str(raised.value)
    assert message.startswith(f"The lake table pets cannot be opened: the entry {entry} is ")
    assert "\n" not in message


def test_an_empty_last_entry_is_no_change_that_was_not_made(pets: Stored) -> None:
    entry = pets.table.path / "_delta_log" / f"{2:020}.json"
    empty(entry)  # as after a power cut; Delta would go back to the rows before it
    with pytest.raises(LakeError, match=f"{entry} is empty"):
        pets.rows()


@pytest.mark.parametrize("damage", [half, empty, zeros, Path.unlink])
def test_a_damaged_checkpoint_is_named(pets: Stored, damage: Callable[[Path], None]) -> None:
    DeltaTable(str(pets.table.path)).create_checkpoint()
    checkpoint = pets.table.path / "_delta_log" / f"{2:020}.checkpoint.parquet"
    damage(checkpoint)
    with pytest.raises(LakeError, match=f"the checkpoint {checkpoint} is (cut|missing)"):
        pets.table.open()


def test_what_to_do_depends_on_what_a_table_is_made_from(lake: Lake) -> None:
    lake.folder.mkdir()
    for declaration in TABLES:
        table = lake.table(declaration)
        log = table.path / "_delta_log"
        log.mkdir(parents=True)
        (log / f"{0:020}.json").write_text('{"commitIn')
        with pytest.raises(LakeError) as raised:
            table.open()
        message = str(raised.value)
        if table.name in _MADE_FROM["archive"]:
            assert message.endswith("the next run makes the table again from the archive.")
        elif table.name in _MADE_FROM["source"]:
            assert message.endswith("rows that the source no longer has are lost.")
        elif table.name in _MADE_FROM["log"]:
            assert message.endswith("lines that are in none of them are lost.")
        elif table.name in _MADE_FROM["rejects"]:
            assert message.endswith("rejected records of other sources are lost.")
        else:
            assert message.endswith("the next run computes the table again.")
        assert f"the folder {table.path}" in message.replace("Delete", "delete")
