"""Two writers with a handle on the same version: the second is refused, and leaves nothing."""

from collections.abc import Mapping, Sequence

import pytest
from deltalake import DeltaTable

from warehouse_assets.errors import ConflictError
from warehouse_assets.lake import append, merge, replace
from warehouse_assets_tests.lake.tables import Row, Stored

REX = (1, "Rex", 30.5, 1)
TOM = (2, "Tom", 4.0, 1)
MAX = (1, "Max", 31.0, 2)


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
def test_the_second_of_two_writers_is_refused(
    pets: Stored, either_way: str, first: str, second: str
) -> None:
    pets.append([REX], {"file/a": 1})
    one, other = pets.table.open(), pets.table.open()
    write_with(pets, one, first, [MAX], {"file/b": 2})
    rows, files = pets.rows(), pets.registered()
    with pytest.raises(ConflictError, match="pets"):
        write_with(pets, other, second, [(1, "late", 1.0, 3), TOM], {"file/c": 3})
    assert pets.rows() == rows
    assert pets.registered() == files
    assert pets.table.open().transaction_version("file/c") is None


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


def test_beginning_again_from_a_fresh_handle_succeeds(pets: Stored, either_way: str) -> None:
    pets.append([REX])
    stale = pets.table.open()
    pets.append([TOM])
    with pytest.raises(ConflictError):
        write_with(pets, stale, "merge", [MAX], {"file/c": 3})
    write_with(pets, pets.table.open(), "merge", [MAX], {"file/c": 3})
    assert pets.rows() == [MAX, TOM]


def test_a_handle_is_stale_after_the_tables_tenth_commit_too(pets: Stored) -> None:
    stale = pets.table.open()
    for number in range(12):  # beyond the first checkpoint of the log
        pets.append([(number, None, None, None)])
    with pytest.raises(ConflictError):
        write_with(pets, stale, "append", [(99, None, None, None)], {})
    assert len(pets.rows()) == 12
