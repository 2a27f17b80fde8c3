"""The warehouse's rows are compared with the lake's: every type and value, in any order."""

import math
from datetime import date, datetime

from warehouse_assets.lake import Lake
from warehouse_assets.warehouse import Warehouse
from warehouse_assets.warehouse.compare import Difference, difference
from warehouse_assets_tests.lake.tables import KINDS, PETS, Row, Stored, animals
from warehouse_assets_tests.warehouse.copies import by_hand, publish_to

at = datetime.fromisoformat

ROWS: list[Row] = [
    (1, 2**62, True, 0.1, at("2022-01-03 04:05:06.000789"), date(2022, 1, 3), "plain"),
    (2, None, None, None, None, None, None),
    (3, 0, False, 0.0, at("9999-12-31"), date(1, 1, 1), ""),
    (4, -1, False, -0.0, at("1970-01-01"), date(1970, 1, 1), 'a,"b"\n\r\n\\N\x00ä€😀'),
    (5, -(2**63), True, 1e308, at("0001-01-01"), date(9999, 12, 31), "NULL"),
    (6, 6, True, 1 / 3, at("2022-01-03"), date(2022, 2, 2), " . "),
    (7, 7, True, math.inf, at("2022-01-03"), date(2022, 2, 2), "\t"),
    (8, 8, True, math.nan, at("2022-01-03"), date(2022, 2, 2), "x" * 300_000),
]


def test_rows_of_every_type_are_the_same_until_one_is_changed_by_hand(
    lake: Lake, warehouse: Warehouse
) -> None:
    stored = Stored(lake, KINDS)
    stored.append(ROWS)
    publish_to(warehouse, stored)
    assert difference(lake, warehouse, stored.table) is None

    changes = [
        ("whole = whole + 1", "whole = whole - 1", 1),
        ("whole = 0", "whole = NULL", 2),
        ("truth = NOT truth", "truth = NOT truth", 1),
        ("share = 0.10000000000000002", "share = 0.1", 1),
        ("moment = '2022-01-03 04:05:06.000788'", "moment = '2022-01-03 04:05:06.000789'", 1),
        ("day = '2022-01-04'", "day = '2022-01-03'", 1),
        ("words = 'Plain'", "words = 'plain'", 1),
        ("words = NULL", "words = ''", 3),
        ("words = ''", "words = NULL", 2),
    ]
    for change, back, row in changes:
        by_hand(warehouse, f"UPDATE kinds SET {change} WHERE id = {row}")
        found = difference(lake, warehouse, stored.table)
        words = "It has 8 rows, as many as the lake, but with other values."
        assert found == Difference(words), change
        by_hand(warehouse, f"UPDATE kinds SET {back} WHERE id = {row}")
    assert difference(lake, warehouse, stored.table) is None
    if warehouse.is_sqlite:  # values of other types
        for value in ("'a,\"b'", "x'00ff'", "'ä'", "'x' || char(10) || 'y'"):
            by_hand(warehouse, f"UPDATE kinds SET whole = {value} WHERE id = 2")
            assert difference(lake, warehouse, stored.table), value
    by_hand(warehouse, "DELETE FROM kinds WHERE id > 5")
    found = difference(lake, warehouse, stored.table)
    assert found == Difference("It has 5 rows, the lake has 8.")


def test_what_is_not_there_or_not_as_declared_is_a_difference(
    lake: Lake, warehouse: Warehouse
) -> None:
    stored = Stored(lake, PETS)
    for first, count in ((0, 0), (0, 1), (1, 2_500)):  # more than are compared at once
        stored.append(animals(first, count))
        assert publish_to(warehouse, stored).rows_written == count
        assert difference(lake, warehouse, stored.table) is None
    stored.append(animals(9_999, 2))
    assert difference(lake, warehouse, stored.table) is None  # it is as it was published
    by_hand(warehouse, "DROP INDEX ix_pets_weight")
    words = "It is missing, or its columns, its key or its indexes are not as declared."
    assert difference(lake, warehouse, stored.table) == Difference(words)
    by_hand(warehouse, "DROP TABLE pets")
    assert difference(lake, warehouse, stored.table) == Difference(words)
    by_hand(warehouse, "DELETE FROM _published")
    found = difference(lake, warehouse, stored.table)
    assert found == Difference("It is not published.", is_behind=True)
