"""Publishing a table of partial rows: they are added to what is published already."""

from pathlib import Path

import pytest

from warehouse_assets.lake import Lake, maintain, overwrite, rearrange
from warehouse_assets.warehouse import Published, Warehouse
from warehouse_assets_tests.lake.partial_tables import WALKS, added_up, walk
from warehouse_assets_tests.lake.tables import Stored
from warehouse_assets_tests.warehouse.copies import contents, in_a_new_database, publish_to, query

ALL = "SELECT dog, walks, shortest, substr(CAST(last_at AS TEXT), 1, 19) FROM walks ORDER BY dog"


@pytest.fixture
def walks(lake: Lake) -> Stored:
    return Stored(lake, WALKS)


def test_each_column_is_added_up_in_its_way_and_only_what_changed_is_written(
    warehouse: Warehouse, walks: Stored
) -> None:
    walks.append([walk("Rex", 2, 3.5, 20), walk("Ada", 1, 0.5, 9), walk("Rex", 1, 9.0, 7)])
    assert publish_to(warehouse, walks) == Published(2, 0, is_whole=True)

    walks.append([walk("Rex", 4, 1.25, 8), walk("Zoe", 1, 2.0, 0), walk("Rex", 1, 4.0, 21)])
    assert publish_to(warehouse, walks) == Published(2, 0)

    assert query(warehouse, ALL) == [
        ("Ada", 1, 0.5, "2024-01-01 09:00:00"),
        ("Rex", 8, 1.25, "2024-01-01 21:00:00"),
        ("Zoe", 1, 2.0, "2024-01-01 00:00:00"),
    ]


def test_values_that_are_not_there_do_not_count(
    warehouse: Warehouse, walks: Stored, tmp_path: Path
) -> None:
    first: dict[str, int | None] = {"Rex": 3, "Ada": 3, "Zoe": None, "Max": None}
    second: dict[str, int | None] = {"Rex": 5, "Ada": None, "Zoe": 5, "Max": None}
    walks.append([walk(dog, number, number, number) for dog, number in first.items()])
    publish_to(warehouse, walks)
    walks.append([walk(dog, number, number, number) for dog, number in second.items()])
    assert not publish_to(warehouse, walks).is_whole

    assert contents(warehouse) == in_a_new_database(warehouse, walks, tmp_path)


def test_what_was_added_before_and_after_a_folding_is_published_once(
    warehouse: Warehouse, walks: Stored
) -> None:
    walks.append([walk("Rex", 1)])
    publish_to(warehouse, walks)
    walks.append([walk("Rex", 2), walk("Ada", 1)])
    rearrange(walks.lake, walks.table)
    walks.append([walk("Rex", 4)])

    assert publish_to(warehouse, walks) == Published(2, 0)

    assert [row[:2] for row in query(warehouse, ALL)] == [("Ada", 1), ("Rex", 7)]
    rearrange(walks.lake, walks.table)
    assert publish_to(warehouse, walks) == Published(0, 0)
    assert query(warehouse, "SELECT version FROM _published") == [(walks.version(),)]


def test_computed_anew_or_without_its_feed_a_table_is_published_whole(
    warehouse: Warehouse, walks: Stored
) -> None:
    walks.append([walk("Rex", 1), walk("Ada", 1)])
    publish_to(warehouse, walks)
    with walks.staged([walk("Rex", 9)]) as connection:
        overwrite(connection, walks.table, walks.table.open(), "FROM staged", {})
    assert publish_to(warehouse, walks) == Published(1, 0, is_whole=True)
    walks.append([walk("Rex", 2)])
    rearrange(walks.lake, walks.table)
    maintain(walks.lake, walks.table, 0)
    walks.append([walk("Rex", 4)])

    assert publish_to(warehouse, walks).is_whole

    assert [row[:2] for row in query(warehouse, ALL)] == [("Rex", 15)]


def test_a_large_sum_stays_exact(warehouse: Warehouse, walks: Stored) -> None:
    rows = [walk("Rex", 2**61), walk("Rex", 2**61), walk("Rex", 1)]
    for row in rows:
        walks.append([row])
        publish_to(warehouse, walks)

    assert query(warehouse, "SELECT walks FROM walks") == [(2**62 + 1,)]
    assert walks.rows() == added_up(rows)
