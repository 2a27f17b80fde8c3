"""Publishing a table whose rows have no key: they are only ever added."""

import pytest

from warehouse_assets.lake import Lake, maintain, overwrite, rearrange
from warehouse_assets.warehouse import Published, Warehouse
from warehouse_assets_tests.lake.partial_tables import SPOTS
from warehouse_assets_tests.lake.tables import Row, Stored
from warehouse_assets_tests.warehouse.copies import publish_to, query

PARK: Row = (14.4, 50.1, "park")
POND: Row = (14.5, None, "pond")
ALL = "SELECT lon, lat, name FROM spots ORDER BY lon"


@pytest.fixture
def spots(lake: Lake) -> Stored:
    return Stored(lake, SPOTS)


def test_rows_are_added_as_often_as_they_come(warehouse: Warehouse, spots: Stored) -> None:
    spots.table.open()
    assert publish_to(warehouse, spots) == Published(0, 0, is_whole=True)
    spots.append([PARK, PARK])
    assert publish_to(warehouse, spots) == Published(2, 0)
    spots.append([PARK, POND])
    rearrange(spots.lake, spots.table)
    assert publish_to(warehouse, spots) == Published(2, 0)
    rearrange(spots.lake, spots.table)
    assert publish_to(warehouse, spots) == Published()
    assert query(warehouse, ALL) == [PARK, PARK, PARK, POND]


def test_without_its_feed_or_with_rows_removed_it_is_published_whole(
    warehouse: Warehouse, spots: Stored
) -> None:
    spots.append([PARK])
    publish_to(warehouse, spots)
    spots.append([POND])
    rearrange(spots.lake, spots.table)
    maintain(spots.lake, spots.table, 0)
    assert publish_to(warehouse, spots) == Published(2, 0, is_whole=True)
    assert query(warehouse, ALL) == [PARK, POND]
    with spots.staged([PARK]) as connection:
        overwrite(connection, spots.table, spots.table.open(), "FROM staged", {})

    assert publish_to(warehouse, spots) == Published(1, 0, is_whole=True)
    assert query(warehouse, ALL) == [PARK]
