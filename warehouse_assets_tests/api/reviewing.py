"""Reviews in a source, a lake and a warehouse, a service over them, and what it ought to answer."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from warehouse_assets.defs.reviews import tables
from warehouse_assets.defs.reviews.family import REVIEWS_SOURCE
from warehouse_assets.ingest.sql import load_sql
from warehouse_assets.lake import Lake, replace
from warehouse_assets.settings import Settings
from warehouse_assets.warehouse import publish, warehouse_at
from warehouse_assets_tests.api.serving import Served, serving, settings_of
from warehouse_assets_tests.defs.reviews.databases import Database, Review
from warehouse_assets_tests.postgres import postgres_url

KINDS = ("sqlite", "postgresql")
_SQL = Path(tables.__file__).parent / "sql"


class ReviewHouse:
    """Reviews from a source to a warehouse of some kind; the settings know both.

    Args:
        environment: more settings.
    """

    def __init__(self, folder: Path, kind: str = "sqlite", **environment: str) -> None:
        self.source = Database("sqlite", folder / "source")
        if kind == "postgresql":
            environment["WAREHOUSE_URL"] = postgres_url()
        self.settings: Settings = settings_of(folder / "home", **environment)
        self.lake = Lake(self.settings.lake, self.settings.scratch, 10**9)
        self.warehouse = warehouse_at(self.settings.warehouse_url)
        self.reviews: list[Review] = []

    def take(self, reviews: Iterable[Review]) -> None:
        """Add reviews to the source, and publish all that follows."""
        added = list(reviews)
        self.reviews += added
        self.source.insert(added)
        load_sql(self.lake, REVIEWS_SOURCE, self.source.url, True)
        for table in (tables.PRODUCT_REVIEWS_DAILY, tables.REVIEWER_REVIEWS_DAILY):
            query = (_SQL / f"{table.name}.sql").read_text("utf-8")
            with self.lake.connect() as connection:
                self.lake.view_newest(connection, tables.REVIEWS)
                stored = self.lake.table(table)
                replace(connection, self.lake, stored, stored.open(), query, {})
        for table in tables.TABLES:
            publish(self.lake, self.warehouse, self.lake.table(table))

    @contextmanager
    def served(self) -> Iterator[Served]:
        """A service over the warehouse."""
        with serving(self.settings) as found:
            yield found


def moment(review: Review) -> datetime:
    """The time of a review, in UTC."""
    return datetime.fromtimestamp(review["unixReviewTime"], timezone.utc).replace(tzinfo=None)


def expected(id_: str, reviews: Sequence[Review]) -> dict[str, Any]:
    """What is answered about `id_`, of which `reviews` are all, computed one after the other."""
    months: dict[str, list[Review]] = defaultdict(list)
    for review in sorted(reviews, key=moment):
        months[moment(review).strftime("%Y-%m")].append(review)
    ratings = _ratings(reviews)
    days = sorted(moment(review).date().isoformat() for review in reviews)
    return {
        "id": id_,
        "reviews": len(reviews),
        "average_rating": _mean(ratings),
        "stars": {
            str(n): {
                "count": ratings.count(n),
                "share": ratings.count(n) / len(ratings) if ratings else None,
            }
            for n in range(1, 6)
        },
        "verified_share": _mean([float(review["verified"] == 1) for review in reviews]),
        "first_review_date": days[0] if days else None,
        "last_review_date": days[-1] if days else None,
        "months": [
            {"month": month, "reviews": len(found), "average_rating": _mean(_ratings(found))}
            for month, found in months.items()
        ],
    }


def expected_reviews(reviews: Iterable[Review]) -> list[Mapping[str, Any]]:
    """The reviews as they are told, newest first; of no two the time may be the same."""
    return [
        {
            "product_id": review["productID"],
            "user_id": review["reviewerID"],
            "user_name": review["reviewerName"],
            "rating": review["overall"],
            "is_verified": bool(review["verified"]),
            "reviewed_at": moment(review).isoformat(),
            "summary": review["summary"],
            "text": review["reviewText"],
            "votes": review["vote"],
        }
        for review in sorted(reviews, key=moment, reverse=True)
    ]


def _ratings(reviews: Iterable[Review]) -> list[float]:
    return [review["overall"] for review in reviews if review["overall"] is not None]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
