"""What is asked of the published reviews: the sum of what a product or a user has, and the reviews.

The statements are texts with named values; whoever asks runs them on a connection of its own.
Nothing here knows of HTTP.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from warehouse_assets.defs.reviews.tables import (
    PRODUCT_REVIEWS_DAILY,
    REVIEWER_REVIEWS_DAILY,
    REVIEWS,
    STARS,
)
from warehouse_assets.times import ANY_DAY, Days

Execute = Callable[[str, Mapping[str, object]], Sequence[Sequence[Any]]]
"""Runs a statement in which values stand by their names (`:name`); returns all its rows."""
Place = tuple[datetime, int, int]
"""A place in the order of reviews, newest first: time, hash and occurrence of the one before."""

_COUNTS = ("reviews", "rated_reviews", "rating_sum", "verified_reviews")
_STARS = tuple(f"stars_{n}" for n in STARS)
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


def summary(
    execute: Execute, dialect: str, reviewed: Reviewed, id_: str, days: Days = ANY_DAY
) -> dict[str, Any] | None:
    """What the reviews of `id_` come to within `days`; None if there is no such id.

    `share` of a star is of the reviews with a rating, `verified_share` of all. Shares and averages
    are null where there is nothing to divide by, dates where there is no review.
    """
    values: dict[str, object] = {"id": id_}
    if is_ranged := days != ANY_DAY:
        values["first"] = (days.first or date.min).isoformat()
        values["last"] = (days.last or date.max).isoformat()
    months = execute(_months(reviewed, dialect, is_ranged), values)
    if not months and not (is_ranged and _is_known(execute, reviewed.id_in_daily, id_)):
        return None
    return _summary(id_, months)


def page(
    execute: Execute,
    reviewed: Reviewed,
    id_: str,
    limit: int,
    after: Place | None = None,
    days: Days = ANY_DAY,
) -> tuple[Sequence[Mapping[str, Any]], Place | None] | None:
    """At most `limit` reviews of `id_` within `days`, newest first; None if it has none at all.

    With them comes the place behind them if there are more, from which `after` goes on.
    """
    values: dict[str, object] = {"id": id_, "most": limit + 1}
    if after is not None:
        at, values["hash"], values["occurrence"] = after
        values["at"] = at.strftime("%Y-%m-%d %H:%M:%S.%f").rjust(26, "0")
    if days != ANY_DAY:
        values["first"] = f"{(days.first or date.min).isoformat()} 00:00:00.000000"
        values["last"] = f"{(days.last or date.max).isoformat()} 23:59:59.999999"
    is_limited = after is not None or days != ANY_DAY
    found = execute(_page(reviewed, after is not None, days != ANY_DAY), values)
    if not found and not (is_limited and _is_known(execute, reviewed.id_in_reviews, id_)):
        return None
    following = _place(found[limit - 1]) if len(found) > limit else None
    return [_review(row) for row in found[:limit]], following


def _is_known(execute: Execute, column: sa.Column[Any], id_: str) -> bool:
    text = f'SELECT 1 FROM {column.table.name} WHERE "{column.name}" = :id LIMIT 1'
    return bool(execute(text, {"id": id_}))


@lru_cache
def _months(reviewed: Reviewed, dialect: str, is_ranged: bool) -> str:
    """A row for each month with reviews: the month, counts, counts per star, days."""
    month, first, last = "substr(review_date, 1, 7)", "min(review_date)", "max(review_date)"
    sums = [f"sum({name})" for name in (*_COUNTS, *_STARS)]
    if dialect != "sqlite":
        month = "to_char(review_date, 'YYYY-MM')"
        # Its sums of whole numbers are decimals, which cost more than the rest of an answer.
        sums = [f"CAST({total} AS DOUBLE PRECISION)" for total in sums]
        first, last = f"CAST({first} AS TEXT)", f"CAST({last} AS TEXT)"
    condition = "AND review_date BETWEEN :first AND :last" if is_ranged else ""
    return (
        f"SELECT {month}, {', '.join(sums)}, {first}, {last} FROM {reviewed.daily.name} "
        f"WHERE {reviewed.id_in_daily.name} = :id {condition} GROUP BY 1 ORDER BY 1"
    )


@lru_cache
def _page(reviewed: Reviewed, is_behind: bool, is_ranged: bool) -> str:
    """The newest reviews, at most `:most`, those of the same time in the order of their hashes."""
    fields = ", ".join(f'"{column.name}"' for column in _REVIEW.values())
    conditions = _OLDER if is_behind else ""
    if is_ranged:
        conditions += " AND reviewed_at BETWEEN :first AND :last"
    return (
        f"SELECT {fields}, content_hash, occurrence FROM reviews "
        f'WHERE "{reviewed.id_in_reviews.name}" = :id {conditions} '
        "ORDER BY reviewed_at DESC, content_hash, occurrence LIMIT :most"
    )


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
    review["reviewed_at"] = _time(review["reviewed_at"]).isoformat()
    return review


def _place(row: Sequence[Any]) -> Place:
    content_hash, occurrence = row[len(REVIEW_FIELDS) :]
    return _time(row[REVIEW_FIELDS.index("reviewed_at")]), content_hash, occurrence


def _time(value: Any) -> datetime:
    """A time as a database gives it: SQLite's are text."""
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)
