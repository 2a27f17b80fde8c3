"""`replace_by_content`: a table whose key is a hash of the row and its number of those with it."""

import importlib
from collections.abc import Sequence
from typing import Any

import pytest
from deltalake import DeltaTable
from sqlalchemy import BigInteger, Column, MetaData, Table, Text

from warehouse_assets.lake import Lake, Written, replace_by_content, view_changes

# The package has a function of the same name.
replacing: Any = importlib.import_module("warehouse_assets.lake.replace")

TABLE = Table(
    "said",
    MetaData(),
    Column("text", Text),
    Column("hash", BigInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
)
Row = tuple[str, int, int]


def said(lake: Lake, rows: Sequence[Row]) -> Written:
    """Make the table hold `rows`."""
    with lake.connect() as connection:
        connection.execute("CREATE TEMP TABLE _rows (text VARCHAR, hash BIGINT, number BIGINT)")
        for row in rows:
            connection.execute("INSERT INTO _rows VALUES (?, ?, ?)", list(row))
        stored = lake.table(TABLE)
        query = "SELECT * FROM _rows"
        return replace_by_content(connection, lake, stored, stored.open(), query, {"mark": 7})


def rows_of(lake: Lake) -> list[Any]:
    with lake.connect() as connection:
        lake.view_newest(connection, TABLE)
        return sorted(connection.execute("SELECT text, hash, number FROM said").fetchall())


def handle(lake: Lake) -> DeltaTable:
    return lake.table(TABLE).open()


A, B, C = ("a", 1, 1), ("b", 2, 1), ("c", 3, 1)


def test_the_first_rows_are_written_with_their_transaction(lake: Lake) -> None:
    assert said(lake, [A, B]).inserted == 2
    assert rows_of(lake) == [A, B]
    assert handle(lake).transaction_version("mark") == 7


@pytest.mark.parametrize("rows", [[], [A, B]])
def test_the_same_rows_again_commit_nothing(lake: Lake, rows: list[Row]) -> None:
    said(lake, rows)
    version = handle(lake).version()
    assert said(lake, rows) == Written()
    assert handle(lake).version() == version


@pytest.mark.parametrize("most", [10**9, 0])
def test_what_came_and_what_went_is_committed(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(replacing, "MOST_BYTES_FOR_DELTA_MERGE", most)
    said(lake, [A, B, ("a", 1, 2)])

    done = said(lake, [B, C, ("a", 1, 1)])

    assert rows_of(lake) == [A, B, C]
    assert (done.inserted, done.updated, done.deleted) == (1, 0, 1)
    assert said(lake, []).deleted == 3
    assert rows_of(lake) == []


def test_only_what_changed_is_in_the_feed(lake: Lake) -> None:
    said(lake, [A, B])
    since = handle(lake).version()
    said(lake, [B, C])

    with lake.connect() as connection:
        assert view_changes(connection, handle(lake), since, "changes")
        changes = connection.execute("SELECT text, _change_type FROM changes").fetchall()

    assert sorted(changes) == [("a", "delete"), ("c", "insert")]


def test_of_contents_with_the_same_hash_none_is_lost(lake: Lake) -> None:
    said(lake, [("x", 1, 1), ("y", 1, 2), B])
    done = said(lake, [("y", 1, 1), ("z", 1, 2), B])

    assert rows_of(lake) == [B, ("y", 1, 1), ("z", 1, 2)]
    assert (done.inserted, done.updated, done.deleted) == (0, 2, 0)

    said(lake, [("z", 1, 1), B])
    assert rows_of(lake) == [B, ("z", 1, 1)]
