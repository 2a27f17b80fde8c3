import os
import time
from pathlib import Path

import pytest
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from warehouse_assets.errors import ConflictError
from warehouse_assets.lake import Lake, LakeTable, Maintained, maintain
from warehouse_assets_tests.lake.tables import Stored

DAY = 86400


def _grown(pets: Stored, commits: int) -> None:
    for number in range(commits):
        pets.append([(number, "a name", 1.5, number)], {f"unit {number}": number})


def _aged(table: LakeTable, days: float) -> None:
    """Make every file of the table as old as that."""
    then = time.time() - days * DAY
    for path in table.path.rglob("*"):
        os.utime(path, (then, then))


def _data_files(table: LakeTable) -> set[Path]:
    return set(table.path.glob("*.parquet"))


def test_small_files_become_one_and_rows_and_transactions_stay(lake: Lake, pets: Stored) -> None:
    _grown(pets, 20)
    rows = pets.rows()

    assert maintain(lake, pets.table, 7) == Maintained(20, 1, 0)

    assert pets.rows() == rows
    handle = pets.table.open()
    assert [handle.transaction_version(f"unit {number}") for number in range(20)] == list(range(20))
    assert len(_data_files(pets.table)) == 21  # those before are kept for travelling back


def test_a_second_time_changes_nothing(lake: Lake, pets: Stored) -> None:
    _grown(pets, 3)
    maintain(lake, pets.table, 7)
    version = pets.table.open().version()

    assert maintain(lake, pets.table, 7) == Maintained(1, 1, 0)

    assert pets.table.open().version() == version


def test_files_that_no_kept_version_needs_are_removed_with_orphans(
    lake: Lake, pets: Stored
) -> None:
    _grown(pets, 4)
    (pets.table.path / "part-orphan.parquet").write_bytes(b"killed while writing")
    maintain(lake, pets.table, 7)
    _aged(pets.table, 8)
    (pets.table.path / "part-young.parquet").write_bytes(b"being written")
    rows = pets.rows()

    done = maintain(lake, pets.table, 7)

    names = {path.name for path in _data_files(pets.table)}
    assert "part-orphan.parquet" not in names
    assert "part-young.parquet" in names
    assert done.files_removed >= 1
    assert pets.rows() == rows


def test_the_log_does_not_grow_beyond_what_is_kept(lake: Lake, pets: Stored) -> None:
    _grown(pets, 15)
    maintain(lake, pets.table, 7)
    _aged(pets.table, 8)

    maintain(lake, pets.table, 7)

    commits = list((pets.table.path / "_delta_log").glob("*.json"))
    assert len(commits) <= 2
    assert len(pets.rows()) == 15
    assert pets.table.open().transaction_version("unit 3") == 3


def test_a_table_without_rows_can_be_maintained(lake: Lake, pets: Stored) -> None:
    pets.table.open()

    assert maintain(lake, pets.table, 0) == Maintained(0, 0, 0)


def test_a_commit_that_delta_refuses_is_a_conflict(
    lake: Lake, pets: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise CommitFailedError("another process committed")

    _grown(pets, 2)
    rows = pets.rows()
    monkeypatch.setattr(DeltaTable, "vacuum", refuse)

    with pytest.raises(ConflictError):
        maintain(lake, pets.table, 7)
    assert pets.rows() == rows
