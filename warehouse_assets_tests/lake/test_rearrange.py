"""Folding, clustering, compaction: nobody sees it but in the cost of reading."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest
from deltalake import DeltaTable
from sqlalchemy import Table

from warehouse_assets.errors import ConflictError
from warehouse_assets.lake import (
    Lake,
    append,
    changed_at,
    maintain,
    rearrange,
)
from warehouse_assets_tests.crashes import hooked
from warehouse_assets_tests.lake.partial_tables import SPOTS, WALKS, Walk, added_up, walk
from warehouse_assets_tests.lake.tables import PETS, Row, Stored, animals, kinds

CORNERS: list[Row] = [
    (lon, lat, "corner") for lon in (-180.0, 0.0, 180.0) for lat in (-90.0, 0.0, 90.0)
]


@pytest.fixture
def walks(lake: Lake) -> Stored:
    return Stored(lake, WALKS)


@pytest.fixture
def spots(lake: Lake) -> Stored:
    return Stored(lake, SPOTS)


def dogs(first: int, count: int) -> list[Walk]:
    return [walk(f"dog {number:05}", 1) for number in range(first, first + count)]


def test_partial_rows_become_one_and_the_same_is_read(lake: Lake, walks: Stored) -> None:
    parts = [[walk("Rex", 2, 3.5, 8)], [walk("Rex", 1, 1.25, 20), walk("Ada", None, None, None)]]
    for part in parts:
        walks.append(part)

    assert rearrange(lake, walks.table) == 2

    assert walks.rows() == added_up([row for part in parts for row in part])
    assert walks.table.open().count() == 2
    assert kinds(walks) == ["folded"]


def test_rows_without_a_key_stay_as_often_as_they_are_there(lake: Lake, spots: Stored) -> None:
    rows: list[Row] = [
        *CORNERS,
        *CORNERS[:3],
        (None, None, None),
        (None, 1.0, "half"),
        (0.0, 0.0, ""),
    ]
    for start in range(0, len(rows), 4):
        spots.append(rows[start : start + 4])
    before = spots.rows()

    assert rearrange(lake, spots.table) == len(rows)

    assert spots.rows() == before
    assert len(before) == len(rows)
    assert kinds(spots) == ["clustered"]


@pytest.mark.parametrize(
    ("declaration", "rows"),
    [(WALKS, [walk("Rex", 1)]), (SPOTS, CORNERS), (PETS, animals(0, 3))],
    ids=["folded", "clustered", "compacted"],
)
def test_the_change_data_feed_tells_nothing(
    lake: Lake, declaration: Table, rows: Sequence[Row]
) -> None:
    stored = Stored(lake, declaration)
    stored.append(rows)
    stored.append(rows)
    since = stored.version()

    rearrange(lake, stored.table)

    assert stored.version() == since + 1
    assert stored.feed(since + 1) == []
    assert len(stored.feed(1)) == 2 * len(rows)  # still what was added before


@pytest.mark.parametrize("declaration", [WALKS, SPOTS], ids=["folded", "clustered"])
def test_what_is_in_order_is_left_alone(lake: Lake, declaration: Table) -> None:
    stored = Stored(lake, declaration)
    assert rearrange(lake, stored.table) == 0  # it is made, and empty
    stored.append([walk("Rex", 1)] if declaration is WALKS else CORNERS)
    assert rearrange(lake, stored.table) > 0
    version = stored.version()

    assert rearrange(lake, stored.table) == 0

    assert stored.version() == version


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


def test_the_cost_of_many_additions_grows_with_them_times_a_logarithm(
    lake: Lake, walks: Stored
) -> None:
    written = 0
    for number in range(24):
        walks.append(dogs(10 * number, 10))
        written += rearrange(lake, walks.table)

    # Rewriting all each time would be 10 x (1 + 2 + … + 24) = 3000.
    assert written < 1500
    assert walks.rows() == sorted(dogs(0, 240))
    assert len(walks.registered()) <= 3


def test_reading_a_box_of_clustered_rows_touches_few_parts_of_the_file(
    lake: Lake, spots: Stored
) -> None:
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
    files = stored.table.files(stored.table.open())
    bounds: dict[tuple[str, int], dict[str, tuple[float, float]]] = {}
    with duckdb.connect() as connection:
        found = connection.execute(
            """SELECT file_name, row_group_id, path_in_schema, stats_min_value, stats_max_value
            FROM parquet_metadata(?) WHERE path_in_schema IN ('lon', 'lat')""",
            [files],
        ).fetchall()
    for name, group, column, low, high in found:
        bounds.setdefault((name, group), {})[column] = (float(low), float(high))
    box = {"lon": (5.0, 40.0), "lat": (46.0, 60.0)}
    touched = [
        group
        for group in bounds.values()
        if all(group[c][0] <= box[c][1] and group[c][1] >= box[c][0] for c in box)
    ]
    return len(touched), len(bounds)


@contextmanager
def between(happens: Callable[[], object]) -> Iterator[None]:
    """Have something happen after the new file is written and before it is committed."""
    calls = iter([happens])

    def happen_once(point: str, _: str) -> None:
        if point == "Parquet written":
            next(calls, lambda: None)()

    with hooked(happen_once):
        yield


def test_another_commit_in_between_is_a_conflict_and_leaves_no_file(
    lake: Lake, walks: Stored
) -> None:
    walks.append([walk("Rex", 1)])
    walks.append([walk("Rex", 2)])
    with (
        between(lambda: walks.append([walk("Rex", 4)])),
        pytest.raises(ConflictError, match="walks"),
    ):
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


def test_a_lake_in_a_folder_of_an_unusual_name_is_rearranged(tmp_path: Path) -> None:
    folder = tmp_path / "a lake* of 'ž'"
    lake = Lake(folder / "lake", folder / "tmp", 10**9)
    walks = Stored(lake, WALKS)
    walks.append([walk("Rex", 1)])
    walks.append([walk("Rex", 2)])

    assert rearrange(lake, walks.table) == 1

    assert [row[2] for row in walks.rows()] == [3]
    maintain(lake, walks.table, 0)
    assert [row[2] for row in walks.rows()] == [3]
    assert len(walks.files()) == 1


def test_small_files_of_other_tables_are_put_together(lake: Lake, pets: Stored) -> None:
    for number in range(5):
        pets.append(animals(number, 1))
    before = pets.rows()

    assert rearrange(lake, pets.table) == 5

    assert pets.rows() == before
    assert kinds(pets) == ["compacted"]


def test_a_file_that_is_alone_is_left_alone(lake: Lake, pets: Stored) -> None:
    assert rearrange(lake, pets.table) == 0
    pets.append(animals(0, 9))
    assert rearrange(lake, pets.table) == 0
    pets.append(animals(9, 1))
    rearrange(lake, pets.table)

    pets.append(animals(10, 1))  # 10 is more than four times 1
    assert rearrange(lake, pets.table) == 0
    assert kinds(pets) == ["compacted", "part"]

    pets.append(animals(11, 1))
    pets.append(animals(12, 1))
    assert rearrange(lake, pets.table) == 13
    assert pets.rows() == animals(0, 13)


def test_large_files_need_not_be_put_together(
    lake: Lake, pets: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    pets.append(animals(0, 200))
    (large,) = pets.registered()
    pets.append(animals(200, 1))
    pets.append(animals(201, 1))
    size = (pets.table.path / large).stat().st_size
    monkeypatch.setattr("warehouse_assets.lake.maintenance.LARGE", size)

    assert rearrange(lake, pets.table) == 2

    assert large in pets.registered()
    assert kinds(pets) == ["compacted", "part"]
    assert pets.rows() == animals(0, 202)
