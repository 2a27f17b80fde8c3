"""Every file has its hash kept when it is written; a byte that changes afterwards is noticed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from warehouse_assets.errors import LakeError
from warehouse_assets.lake import Verified, maintain, verify
from warehouse_assets_tests.lake.tables import Stored, animals

REX = (1, "Rex", 30.5, 1)
MAX = (1, "Max", 31.0, 2)


def the_file(stored: Stored) -> Path:
    (name,) = stored.registered()
    return stored.table.path / name


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def assert_all_hashed(stored: Stored) -> None:
    assert verify(stored.table) == Verified(len(stored.registered()))
    assert stored.registered()


@pytest.mark.parametrize("most_rows_for_delta", [0, 10**6])
def test_whatever_writes_keeps_hashes(
    pets: Stored, monkeypatch: pytest.MonkeyPatch, most_rows_for_delta: int
) -> None:
    monkeypatch.setattr(
        "warehouse_assets.lake.write_modes.MOST_ROWS_FOR_DELTA_MERGE", most_rows_for_delta
    )
    writings: list[Callable[[], object]] = [
        lambda: pets.append([REX]),
        lambda: pets.merge([MAX, (2, "Tom", 4.0, 1)]),
        lambda: pets.replace([(2, "Tom", 5.0, 3), (3, "Leo", 1.0, 3)]),
        lambda: pets.append([(4, "Ada", 1.0, 4)]),
        lambda: maintain(pets.lake, pets.table, 0),
    ]
    for write in writings:
        before = pets.registered()
        write()
        assert pets.registered() != before
        assert_all_hashed(pets)


@pytest.mark.parametrize("damage", [flip, cut, Path.unlink])
def test_damage_is_named_and_not_put_together_with_other_files(
    pets: Stored, damage: Callable[[Path], None]
) -> None:
    pets.append(animals(1, 20))
    file = the_file(pets)
    pets.append([(99, "new", 1.0, 2)])
    assert_all_hashed(pets)
    damage(file)

    found = verify(pets.table)
    assert (found.files, found.without_hash) == (2, ())
    (what,) = found.damaged
    assert what.startswith(f"The file {file} ")
    before = pets.registered()
    with pytest.raises(LakeError, match=f"{file} .* Delete the folder {pets.table.path}"):
        maintain(pets.lake, pets.table, 0)
    assert pets.registered() == before


@pytest.mark.parametrize("left", ["", "0123abc part-of-a-li"])
def test_of_files_without_a_hash_maintenance_keeps_one(pets: Stored, left: str) -> None:
    pets.append([REX])
    (hashes,) = pets.table.path.glob("_hashes*")
    hashes.write_text(left)  # as an older release or a process that died leaves it
    name = the_file(pets).name
    assert verify(pets.table) == Verified(1, (name,))

    maintain(pets.lake, pets.table, 0)

    assert_all_hashed(pets)
    flip(the_file(pets))
    assert verify(pets.table).damaged


def test_hashes_of_files_that_are_gone_are_forgotten(pets: Stored) -> None:
    for number in range(3):
        pets.append([(number, "a name", 1.5, number)])
    gone = pets.registered()
    for _ in range(2):
        maintain(pets.lake, pets.table, 0)
    assert_all_hashed(pets)
    (hashes,) = pets.table.path.glob("_hashes*")
    assert not any(name in hashes.read_text() for name in gone)
