"""What the lake holds of reviews, and what it ought to hold."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from warehouse_assets.defs.reviews.tables import REVIEWS
from warehouse_assets.lake import Lake
from warehouse_assets.tables import REJECTED_RECORDS
from warehouse_assets_tests.defs.reviews.databases import COLUMNS, Review

_EPOCH = datetime.fromisoformat("1970-01-01")


def stored(lake: Lake, columns: str = "*") -> list[tuple[Any, ...]]:
    """Rows of `reviews` in the lake, sorted."""
    with lake.connect() as connection:
        lake.view_newest(connection, REVIEWS)
        rows = connection.execute(f"SELECT {columns} FROM reviews").fetchall()
    return sorted(rows, key=repr)


def rejected(lake: Lake) -> list[tuple[Any, ...]]:
    """Position, reason and raw text of what was rejected, in order."""
    with lake.connect() as connection:
        lake.view_newest(connection, REJECTED_RECORDS)
        return connection.execute(
            "SELECT position, reason, raw FROM rejected_records ORDER BY position"
        ).fetchall()


def given(reviews: Iterable[Review]) -> list[tuple[Any, ...]]:
    """The source's columns of `reviews`, as the lake ought to have them, sorted."""
    rows = [tuple(review.get(name) for name in COLUMNS) for review in reviews]
    return sorted(rows, key=repr)


SOURCE_COLUMNS = ", ".join(f'"{name}"' for name in COLUMNS)


def daily(reviews: Iterable[Review], key: str) -> list[tuple[Any, ...]]:
    """The daily table by the column `key`, computed from the reviews one after the other."""
    days: dict[tuple[str, str], list[Review]] = defaultdict(list)
    for review in reviews:
        days[review.get(key) or "", str(_moment(review).date())].append(review)
    return sorted(
        [
            (
                *place,
                len(there),
                sum(r["overall"] for r in there if r["overall"] is not None),
                *(Counter(r["overall"] for r in there)[n] for n in (1, 2, 3, 4, 5)),
                sum(r["verified"] == 1 for r in there),
                sum(r["overall"] is not None for r in there),
            )
            for place, there in days.items()
        ],
        key=repr,
    )


def _moment(review: Review) -> datetime:
    if review.get("unixReviewTime") is not None:
        return _EPOCH + timedelta(seconds=review["unixReviewTime"])
    day = datetime.strptime(f"{review['reviewTime']} +0000", "%m %d, %Y %z")
    return day.replace(tzinfo=None)
