"""A commit is the next version or none: a second writer is refused, and leaves nothing."""

from collections.abc import Mapping, Sequence

import pytest
from deltalake import DeltaTable

from warehouse_assets.errors import ConflictError
from warehouse_assets.lake import Written, append, merge, replace
from warehouse_assets_tests.crashes import killed_at
from warehouse_assets_tests.lake.tables import REX, TOM, Row, Stored


def write_with(
    pets: Stored,
    handle: DeltaTable,
    mode: str,
    rows: Sequence[Row],
    transactions: Mapping[str, int],
) -> None:
    with pets.staged(rows) as connection:
        if mode == "append":
            append(connection, pets.table, handle, "FROM staged", transactions)
        elif mode == "merge":
            merge(connection, pets.lake, pets.table, handle, "staged", transactions)
        else:
            replace(connection, pets.lake, pets.table, handle, "FROM staged", transactions)


@pytest.mark.parametrize(
    ("first", "second"),
    [("append", "merge"), ("merge", "replace"), ("replace", "append"), ("merge", "merge")],
)
def test_the_second_of_two_writers_is_refused_and_begins_again(
    pets: Stored, either_way: str, first: str, second: str
) -> None:
    pets.append([REX], {"file/a": 1})
    one, other = pets.table.open(), pets.table.open()
    write_with(pets, one, first, [(7, "new", 1.0, 2)], {"file/b": 2})
    rows, files = pets.rows(), pets.registered()
    with pytest.raises(ConflictError, match="pets"):
        write_with(pets, other, second, [(1, "late", 1.0, 3), TOM], {"file/c": 3})
    assert pets.rows() == rows
    assert pets.registered() == files
    assert pets.table.open().transaction_version("file/c") is None
    write_with(pets, pets.table.open(), second, [(1, "late", 1.0, 3), TOM], {"file/c": 3})
    assert pets.table.open().transaction_version("file/c") == 3


@pytest.mark.parametrize(
    ("one", "other", "rows"),
    [
        ({"file/a": 1}, {"file/a": 1}, [REX]),
        ({"file/a": 1}, {"file/a": 2}, [REX]),
        ({"file/a": 1}, {"file/b": 2}, [REX]),
        ({"file/a": 1}, {"file/b": 2}, []),
        ({}, {}, [REX]),
    ],
)
def test_of_two_additions_only_one_is_made_whatever_their_transactions(
    pets: Stored, one: dict[str, int], other: dict[str, int], rows: list[Row]
) -> None:
    first, second = pets.table.open(), pets.table.open()
    write_with(pets, first, "append", rows, one)
    for late in (first, second):  # a handle serves for one commit
        with pytest.raises(ConflictError):
            write_with(pets, late, "append", [TOM] if rows else [], other)
    assert pets.rows() == rows
    assert pets.files() == pets.registered()
    assert pets.version() == 1


def test_a_handle_is_stale_after_the_first_checkpoint_of_the_log_too(pets: Stored) -> None:
    stale = pets.table.open()
    for number in range(12):
        pets.append([], {"file": number})
    with pytest.raises(ConflictError):
        write_with(pets, stale, "append", [REX], {})
    assert pets.rows() == []


def test_a_file_left_by_a_crash_before_the_commit_is_not_part_of_the_table(pets: Stored) -> None:
    pets.append([REX], {"file/a": 1})
    with killed_at("commit to be written"):
        pets.append([TOM], {"file/b": 2})
    assert len(pets.files()) == 2
    assert len(pets.registered()) == 1
    assert pets.rows() == [REX]
    assert pets.table.open().transaction_version("file/b") is None
    pets.append([TOM], {"file/b": 2})
    assert pets.rows() == [REX, TOM]


def test_what_was_written_adds_up() -> None:
    total = Written(1, 2, 3, 40) + Written(5, 6, 7, 80)
    assert total == Written(6, 8, 10, 120)
    assert total.rows_changed == 24
