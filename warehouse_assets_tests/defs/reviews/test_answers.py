"""The daily tables, from the source to the warehouse, equal plain Python over the source's rows."""

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from warehouse_assets_tests.defs.reviews.databases import Database, review
from warehouse_assets_tests.defs.reviews.stored import daily
from warehouse_assets_tests.house import House

ANSWERS = ("reviews", "product_reviews_daily", "reviewer_reviews_daily", "reviews_per_month")
DAY = 86_400
MIDNIGHT = 1_378_684_800


@pytest.fixture
def sqlite(tmp_path: Path) -> Database:
    return Database("sqlite", tmp_path / "sqlite")


@pytest.fixture
def shop(sqlite: Database, tmp_path: Path, instance: dg.DagsterInstance) -> House:
    """A warehouse whose reviews come from `sqlite`."""
    return House(tmp_path / "home", instance, REVIEWS_URL=sqlite.url)


def some_reviews() -> list[dict[str, Any]]:
    return [
        review(1, unixReviewTime=MIDNIGHT - 1, reviewTime="09 8, 2013"),
        review(2, unixReviewTime=MIDNIGHT),
        review(3, unixReviewTime=MIDNIGHT + DAY - 1, overall=4.5, verified=0),
        review(4, unixReviewTime=MIDNIGHT + DAY, reviewTime="09 10, 2013", productID="B2"),
        review(5, unixReviewTime=None, overall=None),
        review(6, productID=None, overall=1.0, verified=None),
        review(7, productID="", reviewerID=None, overall=0.0),
        review(8, overall=2.0),
        review(8, overall=2.0),
        review(9, overall=3.0, reviewerID="A8"),
    ]


def account(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    (event,) = result.asset_materializations_for_node(asset)
    return {name: value.value for name, value in event.metadata.items()}


def assert_answers(shop: House, reviews: list[dict[str, Any]]) -> None:
    for table, key in (
        ("product_reviews_daily", "productID"),
        ("reviewer_reviews_daily", "reviewerID"),
    ):
        assert shop.published(table) == daily(reviews, key)
    assert shop.published("reviews_per_month") == monthly(reviews)


def monthly(reviews: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """`reviews_per_month` in plain Python; all have a time or a day."""
    by_month: dict[str, list[float | None]] = {}
    for each in reviews:
        seconds, written = each["unixReviewTime"], each["reviewTime"]
        moment = (
            datetime.strptime(written, "%m %d, %Y").replace(tzinfo=timezone.utc)
            if seconds is None
            else datetime.fromtimestamp(seconds, timezone.utc)
        )
        by_month.setdefault(str(moment.date().replace(day=1)), []).append(each["overall"])
    rows = []
    for month, ratings in sorted(by_month.items()):
        rated = [rating for rating in ratings if rating is not None]
        stars = [rated.count(star) for star in (1, 2, 3, 4, 5)]
        mean = sum(rated) / len(rated) if rated else None
        rows.append((month, len(ratings), mean, *stars, len(rated)))
    return rows


def test_answers_follow_the_source(shop: House, sqlite: Database) -> None:
    later = review(10, unixReviewTime=MIDNIGHT + 40 * DAY, overall=None)
    reviews = [*some_reviews(), later]
    sqlite.insert(reviews)
    assert shop.run(*ANSWERS, checks=False).success
    assert_answers(shop, reviews)
    before = shop.versions()

    result = shop.run(*ANSWERS, checks=False)

    assert shop.versions() == before
    assert account(result, "reviews")["is_unchanged"] is True

    sqlite.execute("DELETE FROM reviews WHERE level_0 = 8")
    sqlite.execute("UPDATE reviews SET overall = 5 WHERE level_0 = 9")
    assert shop.run(*ANSWERS, checks=False).success

    left = [r for r in reviews if r["level_0"] not in {8, 9}]
    left.append(review(9, overall=5.0, reviewerID="A8"))
    assert_answers(shop, left)
    assert len(shop.published("reviews")) == 9

    sqlite.execute("ALTER TABLE reviews RENAME TO gone")
    assert not shop.run(*ANSWERS, checks=False).success
    assert_answers(shop, left)


def test_a_step_gives_an_account_and_checks_tell_what_is_odd(shop: House, sqlite: Database) -> None:
    late, timeless = review(30, reviewTime="09 8, 2013"), review(20, unixReviewTime=None)
    sqlite.insert([*some_reviews(), late, {**timeless, "reviewTime": "soon"}])

    result = shop.run(*ANSWERS, "rejected_records")

    found = account(result, "reviews")
    expected = {
        "records_taken": 11,
        "records_rejected": 1,
        "rows_inserted": 11,
        "is_source_missing": False,
        "is_source_unchanged": False,
        "dagster/row_count": 11,
        "rows_published": 11,
    }
    assert {name: found[name] for name in expected} == expected
    assert found["bytes_read"] > 0
    assert "It is good, 1 times." in found["preview"]
    violated = {
        e.check_name: e.metadata["violations"].value
        for e in result.get_asset_check_evaluations()
        if not e.passed
    }
    assert result.success
    assert violated == {
        "ratings_are_possible": 1,  # 0 stars
        "dates_agree": 1,
        "ids_are_given": 2,
        "reviews_are_different": 1,
    }


def test_without_a_source_at_its_default_place_the_run_goes_on(house: House) -> None:
    result = house.run(*ANSWERS, checks=False)

    assert result.success
    assert account(result, "reviews")["is_source_missing"] is True
    assert house.published("product_reviews_daily") == []
