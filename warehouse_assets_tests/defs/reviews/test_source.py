"""`reviews` holds what the database of reviews holds: every row, as it is now."""

from warehouse_assets.defs.reviews.tables import REVIEWS
from warehouse_assets.lake import Lake
from warehouse_assets_tests.defs.reviews.conftest import CatchUp
from warehouse_assets_tests.defs.reviews.databases import Database, review
from warehouse_assets_tests.defs.reviews.stored import SOURCE_COLUMNS, given, rejected, stored


def test_every_row_is_taken_as_it_is(lake: Lake, database: Database, catch_up: CatchUp) -> None:
    reviews = [
        review(1),
        review(
            2,
            reviewText="Ça va,\n\t\"naïve\" \\N 東京 🙂 'x'; DROP TABLE reviews; --",
            vote="1,234",
        ),
        review(3, reviewText="", summary=None, reviewerName="NULL"),
        review(4, overall=4.5, verified=0, unixReviewTime=-1, reviewTime="12 31, 1969"),
    ]
    database.insert(reviews)

    done = catch_up(database)

    assert stored(lake, SOURCE_COLUMNS) == given(reviews)
    assert rejected(lake) == []
    assert (done.records, done.rejected, done.written.inserted) == (4, 0, 4)


def test_taking_the_same_again_commits_nothing(
    lake: Lake, database: Database, catch_up: CatchUp
) -> None:
    database.insert([review(1), review(1), review(2)])
    catch_up(database)
    version = lake.table(REVIEWS).open().version()
    catch_up(database)
    assert lake.table(REVIEWS).open().version() == version


def test_rows_added_changed_and_deleted_are_followed(
    lake: Lake, database: Database, catch_up: CatchUp
) -> None:
    database.insert([review(n) for n in range(1, 6)])
    catch_up(database)
    database.execute("DELETE FROM reviews WHERE level_0 = 2")
    database.execute("UPDATE reviews SET overall = 1 WHERE level_0 = 3")
    database.insert([review(6)])

    done = catch_up(database)

    changed = review(3, overall=1.0)
    assert stored(lake, SOURCE_COLUMNS) == given(
        [review(1), changed, review(4), review(5), review(6)]
    )
    assert (done.written.inserted, done.written.deleted) == (2, 2)


def test_rows_that_are_the_same_are_numbered(
    lake: Lake, database: Database, catch_up: CatchUp
) -> None:
    database.insert([review(1), review(1), review(1), review(2)])
    catch_up(database)
    assert stored(lake, '"level_0", occurrence') == [(1, 1), (1, 2), (1, 3), (2, 1)]

    database.execute("DELETE FROM reviews")
    database.insert([review(1), review(2), review(2)])
    catch_up(database)
    assert stored(lake, '"level_0", occurrence') == [(1, 1), (2, 1), (2, 2)]


def test_all_rows_may_go(lake: Lake, database: Database, catch_up: CatchUp) -> None:
    database.insert([review(1), review(1)])
    catch_up(database)
    database.execute("DELETE FROM reviews")

    assert catch_up(database).written.deleted == 2
    assert stored(lake) == []
