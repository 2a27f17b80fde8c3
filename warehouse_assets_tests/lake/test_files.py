"""Parquet files of a table: their statistics, and their hashes, by which damage is noticed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Column, MetaData, Table, Text

from warehouse_assets.errors import LakeError
from warehouse_assets.lake import Lake, LakeTable, Verified, append, maintain, verify
from warehouse_assets.tables import LongText, WholeNumber
from warehouse_assets_tests.folders import folder_of
from warehouse_assets_tests.lake.tables import MAX, REX, TOM, Stored, animals


def the_file(stored: Stored) -> Path:
    (name,) = stored.registered()
    return folder_of(stored.table.path) / name


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def assert_all_hashed(stored: Stored) -> None:
    assert verify(stored.table) == Verified(len(stored.registered()))
    assert stored.registered()


def test_statistics_count_rows_and_nulls_and_bound_whole_numbers(pets: Stored) -> None:
    pets.append([(-5, "a", 1.5, None), (-(2**63), None, None, None), (2**63 - 1, "c", -2.5, None)])
    log = (pets.table.path / "_delta_log" / f"{1:020}.json").read_text()
    entries = map(json.loads, log.splitlines())
    (action,) = [entry["add"] for entry in entries if "add" in entry]
    assert json.loads(action["stats"]) == {
        "numRecords": 3,
        "nullCount": {"id": 0, "name": 1, "weight": 1, "arrival": 3},
        "minValues": {"id": -(2**63)},
        "maxValues": {"id": 2**63 - 1},
    }


def test_long_text_is_written_in_smaller_parts(lake: Lake) -> None:
    groups: list[int] = []
    for kind in (Text, LongText):
        columns = Column("id", WholeNumber, primary_key=True), Column("text", kind)
        declaration = Table("notes", MetaData(), *columns)
        table = LakeTable(declaration, lake.folder / f"{len(groups)}")
        with lake.connect() as connection:
            query = "SELECT i AS id, 'x' AS text FROM range(40000) AS r(i)"
            append(connection, table, table.open(), query, {})
            files = table.files(table.open())
            sizes = "SELECT max(row_group_num_rows) FROM parquet_metadata(?)"
            groups += connection.execute(sizes, [files]).fetchall()[0]
    assert groups == [30_720, 10_240]


def test_whatever_writes_keeps_hashes(pets: Stored, either_way: str) -> None:
    writings: list[Callable[[], object]] = [
        lambda: pets.append([REX]),
        lambda: pets.merge([MAX, TOM]),
        lambda: pets.replace([(2, "Tom", 5.0, 3), (3, "Leo", 1.0, 3)]),
        lambda: pets.append([(4, "Ada", 1.0, 4)]),
        lambda: maintain(pets.lake, pets.table, 0),
    ]
    for write in writings:
        before = pets.registered()
        write()
        assert pets.registered() != before
        assert_all_hashed(pets)


def test_damage_is_named_and_not_put_together_with_other_files(pets: Stored) -> None:
    pets.append(animals(1, 20))
    file = the_file(pets)
    pets.append([(99, "new", 1.0, 2)])
    before, content = pets.registered(), file.read_bytes()
    for damage in (flip, cut, Path.unlink):
        damage(file)
        found = verify(pets.table)
        assert (found.files, found.without_hash) == (2, ())
        (what,) = found.damaged
        assert what.startswith(f"The file {file} ")
        with pytest.raises(LakeError, match=f"{file} .* Delete the folder {pets.table.path}"):
            maintain(pets.lake, pets.table, 0)
        assert pets.registered() == before
        file.write_bytes(content)


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
    for number in range(2):
        pets.append(animals(number, 1))
    gone = pets.registered()
    for _ in range(2):
        maintain(pets.lake, pets.table, 0)
    assert_all_hashed(pets)
    (hashes,) = pets.table.path.glob("_hashes*")
    assert not any(name in hashes.read_text() for name in gone)
