"""Folding, clustering, compaction, vacuum: nobody sees it but in the cost of reading."""

import os
import time
from collections.abc import Sequence

import duckdb
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError
from sqlalchemy import Table

from warehouse_assets.errors import ConflictError
from warehouse_assets.lake import (
    Lake,
    LakeTable,
    Maintained,
    append,
    changed_at,
    maintain,
    rearrange,
)
from warehouse_assets_tests.crashes import hooked
from warehouse_assets_tests.folders import folder_of
from warehouse_assets_tests.lake.partial_tables import SPOTS, WALKS, Walk, walk
from warehouse_assets_tests.lake.tables import PETS, Row, Stored, animals, kinds

_DAY = 86400
_CORNERS: list[Row] = [
    (lon, lat, "corner") for lon in (-180.0, 0.0, 180.0) for lat in (-90.0, 0.0, 90.0)
]
_OF_EACH_KIND: dict[str, tuple[Table, Sequence[Row]]] = {
    "folded": (WALKS, [walk("Rex", 2, 3.5, 8), walk("Rex", 1, 1.25, 20), walk("Ada", None, None)]),
    "clustered": (SPOTS, [*_CORNERS, *_CORNERS[:3], (None, 1.0, "half"), (None, None, None)]),
    "compacted": (PETS, animals(0, 5)),
}


@pytest.fixture
def walks(lake: Lake) -> Stored:
    return Stored(lake, WALKS)


def dogs(first: int, count: int) -> list[Walk]:
    return [walk(f"dog {number:05}", 1) for number in range(first, first + count)]


def _aged(table: LakeTable, days: float) -> None:
    """Make every file of the table as old as that."""
    then = time.time() - days * _DAY
    for path in folder_of(table.path).rglob("*"):
        os.utime(path, (then, then))


@pytest.mark.parametrize("kind", _OF_EACH_KIND)
def test_files_are_put_together_once_and_neither_readers_nor_the_feed_see_it(
    lake: Lake, kind: str
) -> None:
    declaration, rows = _OF_EACH_KIND[kind]
    stored = Stored(lake, declaration)
    assert rearrange(lake, stored.table) == 0  # it is made, and empty
    for start in range(0, len(rows), 3):
        stored.append(rows[start : start + 3])
    stored.append(rows[:2] if kind != "compacted" else [])
    before, since = stored.rows(), stored.version()

    written = rearrange(lake, stored.table)

    assert written == stored.table.open().count() == len(before)
    assert kinds(stored) == [kind]
    assert stored.version() == since + 1
    assert sorted(stored.rows(), key=repr) == sorted(before, key=repr)
    assert stored.feed(since + 1) == []
    assert len(stored.feed(1)) == len(rows) + 2 * (kind != "compacted")  # still what was added
    assert rearrange(lake, stored.table) == 0
    assert stored.version() == since + 1


def test_large_files_in_order_are_left_alone_until_enough_has_come(
    lake: Lake, walks: Stored
) -> None:
    walks.append(dogs(0, 100))
    rearrange(lake, walks.table)
    (large,) = walks.registered()

    walks.append(dogs(100, 20))  # 100 is more than four times 20
    assert rearrange(lake, walks.table) == 20
    assert large in walks.registered()
    assert kinds(walks) == ["folded", "folded"]

    walks.append(dogs(120, 5))  # 5 and 20 are 25, of which 100 is four times
    assert rearrange(lake, walks.table) == 125
    assert kinds(walks) == ["folded"]
    assert walks.rows() == sorted(dogs(0, 125))


def test_reading_a_box_of_clustered_rows_touches_few_parts_of_the_file(lake: Lake) -> None:
    spots = Stored(lake, SPOTS)
    with lake.connect() as connection:
        connection.execute("SELECT setseed(0.5)")
        connection.execute(
            """CREATE TEMP TABLE staged AS
            SELECT random() * 360 - 180 AS lon, random() * 180 - 90 AS lat, 'x' AS name
            FROM range(400_000)"""
        )
        append(connection, spots.table, spots.table.open(), "FROM staged", {})
    before = groups_in_box(spots)

    rearrange(lake, spots.table)

    touched, groups = groups_in_box(spots)
    assert before == (groups, groups)
    assert groups >= 14
    # The box is within a sixteenth of the earth, which may begin in one part and end in the next;
    # parts that begin in one quarter and end in another have bounds wider than what they hold.
    assert touched <= 3


def groups_in_box(stored: Stored) -> tuple[int, int]:
    """How many row groups may have rows in a box over Europe, by their statistics; of how many."""
    with duckdb.connect() as connection:
        files = stored.table.files(stored.table.open())
        box = """SELECT row_group_id, bool_and(CASE path_in_schema
                WHEN 'lon' THEN low <= 40 AND high >= 5 ELSE low <= 60 AND high >= 46 END) AS meets
            FROM (SELECT *, CAST(stats_min_value AS DOUBLE) AS low,
                CAST(stats_max_value AS DOUBLE) AS high
                FROM parquet_metadata(?) WHERE path_in_schema IN ('lon', 'lat'))
            GROUP BY ALL"""
        query = f"SELECT count(*) FILTER (meets), count(*) FROM ({box})"
        ((touched, groups),) = connection.execute(query, [files]).fetchall()
    return touched, groups


def test_another_commit_in_between_is_a_conflict_and_leaves_no_file(
    lake: Lake, walks: Stored
) -> None:
    walks.append([walk("Rex", 1)])
    walks.append([walk("Rex", 2)])
    others = iter([[walk("Rex", 4)]])

    def commit_once(point: str, _: str) -> None:
        if point == "Parquet written":
            for rows in others:
                walks.append(rows)

    with hooked(commit_once), pytest.raises(ConflictError, match="walks"):
        rearrange(lake, walks.table)

    assert [row[2] for row in walks.rows()] == [7]
    assert walks.files() == walks.registered()
    rearrange(lake, walks.table)
    assert [row[2] for row in walks.rows()] == [7]
    assert kinds(walks) == ["folded"]


def test_transactions_older_versions_and_the_time_of_change_are_as_before(
    lake: Lake, walks: Stored
) -> None:
    walks.append([walk("Rex", 1)], {"unit": 1})
    before = changed_at(walks.table.open())
    assert before is not None
    rearrange(lake, walks.table)

    assert changed_at(walks.table.open()) == before
    assert walks.table.open().transaction_version("unit") == 1
    walks.append([walk("Rex", 1)], {"unit": 2})
    assert walks.table.open().transaction_version("unit") == 2
    assert [row[2] for row in walks.rows()] == [2]
    with lake.connect() as connection:
        lake.view(connection, WALKS, DeltaTable(str(walks.table.path), version=1))
        assert connection.execute("SELECT walks FROM walks").fetchall() == [(1,)]


def test_a_lake_in_a_folder_of_an_unusual_name_is_maintained(lake: Lake) -> None:
    folder = folder_of(lake.folder).parent / "a lake* of 'ž'"
    lake = Lake(folder / "lake", folder / "tmp", 10**9)
    walks = Stored(lake, WALKS)
    for _ in range(2):
        walks.append([walk("Rex", 1)])

    maintain(lake, walks.table, 0)

    assert [row[2] for row in walks.rows()] == [2]
    assert len(walks.files()) == 1


def test_a_file_that_is_alone_or_large_is_left_alone(
    lake: Lake, pets: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    pets.append(animals(0, 200))
    assert rearrange(lake, pets.table) == 0
    (large,) = pets.registered()
    size = (pets.table.path / large).stat().st_size
    monkeypatch.setattr("warehouse_assets.lake.maintenance.LARGE", size)
    pets.append(animals(200, 1))
    assert rearrange(lake, pets.table) == 0
    pets.append(animals(201, 1))

    assert rearrange(lake, pets.table) == 2

    assert large in pets.registered()
    assert kinds(pets) == ["compacted", "part"]
    assert pets.rows() == animals(0, 202)


def test_maintenance_keeps_rows_and_transactions_and_changes_nothing_a_second_time(
    lake: Lake, pets: Stored
) -> None:
    pets.table.open()
    assert maintain(lake, pets.table, 0) == Maintained(0, 0, 0)
    for number in range(12):  # beyond the first checkpoint of the log
        pets.append(animals(number, 1), {f"unit {number}": number})

    assert maintain(lake, pets.table, 7) == Maintained(12, 1, 0)

    assert pets.rows() == animals(0, 12)
    assert len(pets.files()) == 13  # those before are kept for travelling back
    version = pets.version()
    assert maintain(lake, pets.table, 7) == Maintained(1, 1, 0)
    assert pets.version() == version

    (pets.table.path / "part-orphan.parquet").write_bytes(b"killed while writing")
    _aged(pets.table, 8)
    (pets.table.path / "part-young.parquet").write_bytes(b"being written")

    assert maintain(lake, pets.table, 7).files_removed == 1

    assert "part-orphan.parquet" not in pets.files()
    assert "part-young.parquet" in pets.files()
    assert len(list((pets.table.path / "_delta_log").glob("*.json"))) <= 3  # of 18
    assert pets.rows() == animals(0, 12)
    handle = pets.table.open()
    assert [handle.transaction_version(f"unit {number}") for number in range(12)] == list(range(12))


def test_a_commit_that_delta_refuses_is_a_conflict(
    lake: Lake, pets: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise CommitFailedError("another process committed")

    pets.append(animals(0, 1))
    monkeypatch.setattr(DeltaTable, "vacuum", refuse)

    with pytest.raises(ConflictError):
        maintain(lake, pets.table, 7)
    assert pets.rows() == animals(0, 1)
