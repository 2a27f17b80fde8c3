"""What is asked of the published reviews: the sum of what a product or a user has, and the reviews.

The statements are made once for a kind of database, as text with named values; whoever asks runs
them on a connection of its own. Nothing here knows of HTTP.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from warehouse_assets.days import ANY_DAY, Days
from warehouse_assets.defs.reviews.tables import (
    PRODUCT_REVIEWS_DAILY,
    REVIEWER_REVIEWS_DAILY,
    REVIEWS,
    STARS,
)

Execute = Callable[[str, Mapping[str, object]], Sequence[Sequence[Any]]]
"""Runs a statement with its values; returns all its rows."""

_COUNTS = ("reviews", "rated_reviews", "rating_sum", "verified_reviews")
_STARS = tuple(f"stars_{n}" for n in STARS)
_VALUE = re.compile(r":(\w+)")  # as it is named in a statement
_IN_DAYS = "AND reviewed_at BETWEEN :first AND :last"
# Behind a place in the order; the first condition is what an index can be searched by.
_OLDER = (
    "AND reviewed_at <= :at AND (reviewed_at < :at OR content_hash > :hash "
    "OR content_hash = :hash AND occurrence > :occurrence)"
)
_REVIEW = {
    "product_id": REVIEWS.c.productID,
    "user_id": REVIEWS.c.reviewerID,
    "user_name": REVIEWS.c.reviewerName,
    "rating": REVIEWS.c.overall,
    "is_verified": REVIEWS.c.verified,
    "reviewed_at": REVIEWS.c.reviewed_at,
    "summary": REVIEWS.c.summary,
    "text": REVIEWS.c.reviewText,
    "votes": REVIEWS.c.vote,
}
REVIEW_FIELDS = tuple(_REVIEW)
"""The names of what is told of a review."""


@dataclass(frozen=True)
class Reviewed:
    """Whose reviews are asked for: those of a product, or those by a user.

    Args:
        daily: the table of its reviews by day.
        id_in_daily: the column of ids there.
        id_in_reviews: the column of ids in `reviews`.
    """

    name: str
    daily: sa.Table
    id_in_daily: sa.Column[Any]
    id_in_reviews: sa.Column[Any]


PRODUCT = Reviewed(
    "product", PRODUCT_REVIEWS_DAILY, PRODUCT_REVIEWS_DAILY.c.product_id, REVIEWS.c.productID
)
USER = Reviewed(
    "user", REVIEWER_REVIEWS_DAILY, REVIEWER_REVIEWS_DAILY.c.user_id, REVIEWS.c.reviewerID
)


@dataclass(frozen=True)
class Place:
    """A place in the order of reviews, newest first: that behind the review which it names."""

    reviewed_at: datetime
    content_hash: int
    occurrence: int


@dataclass(frozen=True)
class Page:
    """Some reviews, and the place behind them if there are more."""

    reviews: Sequence[Mapping[str, Any]]
    next: Place | None


class ReviewQueries:
    """The questions about reviews for a kind of database, `sqlite` or `postgresql`."""

    def __init__(self, dialect: str) -> None:
        self._texts = {reviewed: _statements(reviewed, dialect) for reviewed in (PRODUCT, USER)}

    def summary(
        self, execute: Execute, reviewed: Reviewed, id_: str, days: Days = ANY_DAY
    ) -> dict[str, Any] | None:
        """What the reviews of `id_` come to within `days`; None if there is no such id.

        `share` of a star is of the reviews with a rating, `verified_share` of all. Shares and
        averages are null where there is nothing to divide by, dates where there is no review.
        """
        texts = self._texts[reviewed]
        if days.first is None and days.last is None:
            months = execute(texts["whole"], {"id": id_})
            return _summary(id_, months) if months else None
        values = {
            "id": id_,
            "first": (days.first or date.min).isoformat(),
            "last": (days.last or date.max).isoformat(),
        }
        months = execute(texts["ranged"], values)
        if not months and not execute(texts["is_known"], {"id": id_}):
            return None
        return _summary(id_, months)

    def page(
        self,
        execute: Execute,
        reviewed: Reviewed,
        id_: str,
        limit: int,
        after: Place | None = None,
        days: Days = ANY_DAY,
    ) -> Page | None:
        """At most `limit` reviews of `id_` behind `after`, newest first; None if it has none.

        The page has those of `days`. Reviews of the same time are in the order of their hashes.
        """
        texts = self._texts[reviewed]
        values: dict[str, object] = {"id": id_, "most": limit + 1}
        name = "newest"
        if after is not None:
            name = "older"
            values["at"] = after.reviewed_at.strftime("%Y-%m-%d %H:%M:%S.%f").rjust(26, "0")
            values |= {"hash": after.content_hash, "occurrence": after.occurrence}
        if days != ANY_DAY:
            name += " in days"
            values["first"] = f"{(days.first or date.min).isoformat()} 00:00:00.000000"
            values["last"] = f"{(days.last or date.max).isoformat()} 23:59:59.999999"
        found = execute(texts[name], values)
        if not found and (name == "newest" or not execute(texts["has_reviews"], {"id": id_})):
            return None
        reviews = [_review(row) for row in found[:limit]]
        return Page(reviews, _place(found[limit - 1]) if len(found) > limit else None)


def _statements(reviewed: Reviewed, dialect: str) -> dict[str, str]:
    """The statements, by what they are for."""
    statements = {
        "whole": _months(reviewed, dialect),
        "ranged": _months(reviewed, dialect, "AND review_date BETWEEN :first AND :last"),
        "is_known": _is_known(reviewed.id_in_daily),
        "newest": _page(reviewed),
        "older": _page(reviewed, _OLDER),
        "newest in days": _page(reviewed, _IN_DAYS),
        "older in days": _page(reviewed, f"{_OLDER} {_IN_DAYS}"),
        "has_reviews": _is_known(reviewed.id_in_reviews),
    }
    if dialect == "sqlite":
        return statements
    return {name: _VALUE.sub(r"%(\1)s", text) for name, text in statements.items()}


def _months(reviewed: Reviewed, dialect: str, condition: str = "") -> str:
    """A row for each month with reviews: the month, counts, counts per star, days."""
    month, first, last = "substr(review_date, 1, 7)", "min(review_date)", "max(review_date)"
    sums = [f"sum({name})" for name in (*_COUNTS, *_STARS)]
    if dialect != "sqlite":
        month = "to_char(review_date, 'YYYY-MM')"
        # Its sums of whole numbers are decimals, which cost more than the rest of an answer.
        sums = [f"CAST({total} AS DOUBLE PRECISION)" for total in sums]
        first, last = f"CAST({first} AS TEXT)", f"CAST({last} AS TEXT)"
    return (
        f"SELECT {month}, {', '.join(sums)}, {first}, {last} FROM {reviewed.daily.name} "
        f"WHERE {reviewed.id_in_daily.name} = :id {condition} GROUP BY 1 ORDER BY 1"
    )


def _page(reviewed: Reviewed, conditions: str = "") -> str:
    """The newest reviews, at most `:most`."""
    fields = ", ".join(f'"{column.name}"' for column in _REVIEW.values())
    return (
        f"SELECT {fields}, content_hash, occurrence FROM reviews "
        f'WHERE "{reviewed.id_in_reviews.name}" = :id {conditions} '
        "ORDER BY reviewed_at DESC, content_hash, occurrence LIMIT :most"
    )


def _is_known(column: sa.Column[Any]) -> str:
    return f'SELECT 1 FROM {column.table.name} WHERE "{column.name}" = :id LIMIT 1'


def _summary(id_: str, months: Sequence[Sequence[Any]]) -> dict[str, Any]:
    width = 1 + len(_COUNTS) + len(_STARS) + 2
    columns = list(zip(*months, strict=True)) if months else [()] * width
    names, in_months, rated_in_months, rating_in_months, verified_in_months = columns[:5]
    reviews, rated, verified = (
        int(sum(counts)) for counts in (in_months, rated_in_months, verified_in_months)
    )
    stars = [int(sum(counts)) for counts in columns[5:-2]]
    return {
        "id": id_,
        "reviews": reviews,
        "average_rating": _share(sum(rating_in_months), rated),
        "stars": {
            str(star): {"count": count, "share": _share(count, rated)}
            for star, count in zip(STARS, stars, strict=True)
        },
        "verified_share": _share(verified, reviews),
        "first_review_date": str(months[0][-2]) if months else None,
        "last_review_date": str(months[-1][-1]) if months else None,
        "months": [
            {
                "month": month,
                "reviews": int(in_month),
                "average_rating": _share(rating_in_month, rated_in_month),
            }
            for month, in_month, rating_in_month, rated_in_month in zip(
                names, in_months, rating_in_months, rated_in_months, strict=True
            )
        ],
    }


def _share(part: float, whole: Any) -> float | None:
    """`part / whole`; None if that is no number."""
    if not whole:
        return None
    share = part / int(whole)
    return share if math.isfinite(share) else None


def _review(row: Sequence[Any]) -> dict[str, Any]:
    review = dict(zip(REVIEW_FIELDS, row, strict=False))
    if review["is_verified"] is not None:
        review["is_verified"] = bool(review["is_verified"])
    if review["rating"] is not None and not math.isfinite(review["rating"]):
        review["rating"] = None
    review["reviewed_at"] = _time(review["reviewed_at"]).isoformat()
    return review


def _place(row: Sequence[Any]) -> Place:
    at, *key = _time(row[REVIEW_FIELDS.index("reviewed_at")]), *row[len(REVIEW_FIELDS) :]
    return Place(at, *key)


def _time(value: Any) -> datetime:
    """A time as a database gives it: SQLite's are text."""
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)
