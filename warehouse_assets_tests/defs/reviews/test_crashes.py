"""A catch-up that dies between its steps is simply done again."""

import pytest

from warehouse_assets.lake import Lake
from warehouse_assets_tests.crashes import killed_at
from warehouse_assets_tests.defs.reviews.conftest import CatchUp
from warehouse_assets_tests.defs.reviews.databases import Database, review
from warehouse_assets_tests.defs.reviews.stored import SOURCE_COLUMNS, given, rejected, stored

BAD = review(7, unixReviewTime=None, reviewTime=None)


@pytest.mark.parametrize("point", ["source read", "rejects committed", "rows committed"])
def test_a_catch_up_that_died_is_done_again(
    lake: Lake, database: Database, catch_up: CatchUp, point: str
) -> None:
    database.insert([review(1), review(2)])
    catch_up(database)
    database.execute("DELETE FROM reviews WHERE level_0 = 1")
    database.insert([review(2), review(3), BAD])

    with killed_at(point):
        catch_up(database)
    catch_up(database)

    assert stored(lake, SOURCE_COLUMNS) == given([review(2), review(2), review(3)])
    assert len(rejected(lake)) == 1
