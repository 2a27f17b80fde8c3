"""What is asked of the published reviews: the sum of what a product or a user has, and the reviews.

The statements are made once for a kind of database, as text with named values; whoever asks runs
them on a connection of its own. Nothing here knows of HTTP.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite.pysqlite import dialect as sqlite_dialect

from warehouse_assets.days import ANY_DAY, Days
from warehouse_assets.reviews.tables import (
    PRODUCT_REVIEWS_DAILY,
    REVIEWER_REVIEWS_DAILY,
    REVIEWS,
    STARS,
)

Execute = Callable[[str, Mapping[str, object]], Sequence[Sequence[Any]]]
"""Runs a statement with its values; returns all its rows."""

_COUNTS = ("reviews", "rated_reviews", "rating_sum", "verified_reviews")
_STARS = tuple(f"stars_{n}" for n in STARS)
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
    """The questions about reviews for a kind of database.

    Args:
        dialect: the database's, with named values.
    """

    def __init__(self, dialect: sa.Dialect) -> None:
        self._dialect = dialect
        self._texts = {
            reviewed: {
                "whole": self._text(self._months(reviewed)),
                "ranged": self._text(self._in_range(self._months(reviewed), reviewed)),
                "is_known": self._text(_is_known(reviewed.id_in_daily)),
                "newest": self._text(_newest(reviewed)),
                "older": self._text(_older(_newest(reviewed))),
                "newest in days": self._text(_in_days(_newest(reviewed))),
                "older in days": self._text(_in_days(_older(_newest(reviewed)))),
                "has_reviews": self._text(_is_known(reviewed.id_in_reviews)),
            }
            for reviewed in (PRODUCT, USER)
        }

    @classmethod
    def of_sqlite(cls) -> "ReviewQueries":
        """The questions for SQLite."""
        return cls(sqlite_dialect(paramstyle="named"))

    @classmethod
    def of_postgresql(cls) -> "ReviewQueries":
        """The questions for PostgreSQL by psycopg2."""
        return cls(sa.make_url("postgresql+psycopg2://").get_dialect()())

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

    def _text(self, statement: sa.Select[Any]) -> str:
        return str(statement.compile(dialect=self._dialect))

    def _months(self, reviewed: Reviewed) -> sa.Select[Any]:
        """A row for each month with reviews: the month, counts, counts per star, days."""
        columns = reviewed.daily.c
        day = columns.review_date
        first: sa.ColumnElement[Any]
        last: sa.ColumnElement[Any]
        sums: list[sa.ColumnElement[Any]]
        sums = [sa.func.sum(columns[name]) for name in (*_COUNTS, *_STARS)]
        first, last = sa.func.min(day), sa.func.max(day)
        if self._dialect.name == "sqlite":
            month = sa.func.substr(day, sa.literal_column("1"), sa.literal_column("7"))
        else:
            month = sa.func.to_char(day, sa.literal_column("'YYYY-MM'"))
            # Its sums of whole numbers are decimals, which cost more than the rest of an answer.
            sums = [sa.cast(total, sa.Double) for total in sums]
            first, last = sa.cast(first, sa.Text), sa.cast(last, sa.Text)
        return (
            sa.select(month.label("month"), *sums, first, last)
            .where(reviewed.id_in_daily == sa.bindparam("id"))
            .group_by(sa.literal_column("1"))
            .order_by(sa.literal_column("1"))
        )

    def _in_range(self, months: sa.Select[Any], reviewed: Reviewed) -> sa.Select[Any]:
        day = reviewed.daily.c.review_date
        return months.where(day.between(sa.bindparam("first"), sa.bindparam("last")))


def _is_known(column: sa.Column[Any]) -> sa.Select[Any]:
    one: sa.ColumnClause[int] = sa.literal_column("1")
    zero: sa.ColumnClause[int] = sa.literal_column("0")
    return sa.select(one).where(column == sa.bindparam("id")).limit(one).offset(zero)


def _newest(reviewed: Reviewed) -> sa.Select[Any]:
    order = (REVIEWS.c.reviewed_at.desc(), REVIEWS.c.content_hash, REVIEWS.c.occurrence)
    return (
        sa.select(*_REVIEW.values(), REVIEWS.c.content_hash, REVIEWS.c.occurrence)
        .where(reviewed.id_in_reviews == sa.bindparam("id"))
        .order_by(*order)
        .limit(sa.bindparam("most"))
        .offset(sa.literal_column("0"))  # left out, it would be one more value with SQLite
    )


def _older(newest: sa.Select[Any]) -> sa.Select[Any]:
    at, hashed = REVIEWS.c.reviewed_at, REVIEWS.c.content_hash
    values: dict[str, sa.BindParameter[Any]] = {
        name: sa.bindparam(name) for name in ("at", "hash", "occurrence")
    }
    is_behind = (hashed > values["hash"]) | (
        (hashed == values["hash"]) & (REVIEWS.c.occurrence > values["occurrence"])
    )
    # The first condition is what an index can be searched by.
    return newest.where(at <= values["at"]).where((at < values["at"]) | is_behind)


def _in_days(reviews: sa.Select[Any]) -> sa.Select[Any]:
    at = REVIEWS.c.reviewed_at
    return reviews.where(at.between(sa.bindparam("first"), sa.bindparam("last")))


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
