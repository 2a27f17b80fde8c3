"""The routes of reviews: what those of a product or by a user come to, and they themselves."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import Annotated, Any
from urllib.parse import unquote_to_bytes

import sqlalchemy as sa
from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from warehouse_assets.api.database import PastReading, Reading
from warehouse_assets.api.formats import Formatted
from warehouse_assets.api.problems import Refusal
from warehouse_assets.api.request import (
    AsOf,
    Ranged,
    RawPathRoute,
    cursor_of,
    kind_of,
    not_a_cursor,
    read_cursor,
)
from warehouse_assets.api.response import (
    answer_as_of,
    formatted,
    in_both_formats,
    page_model,
    row_model,
)
from warehouse_assets.defs.reviews.tables import (
    PRODUCT_REVIEWS_DAILY,
    REVIEWER_REVIEWS_DAILY,
    REVIEWS,
    STARS,
)
from warehouse_assets.times import ANY_DAY, Days

_LONGEST_ID = 2000
_COUNTS = ("reviews", "rated_reviews", "rating_sum", "verified_reviews")
_STARS = tuple(f"stars_{n}" for n in STARS)
# The columns of a review by their names in an answer.
_REVIEW: dict[str, sa.Column[Any]] = {
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
# Reviews come newest first, those of the same time in the order of their hashes; a cursor holds
# the place of one of them in that order, and the days that are asked for.
_PLACE = ("reviewed_at", "content_hash", "occurrence")
_IN_CURSOR = [*(kind_of(REVIEWS.c[name]) for name in _PLACE), date | None, date | None]
# Behind a place in the order; the first condition is what an index can be searched by.
_OLDER = (
    "AND reviewed_at <= :at AND (reviewed_at < :at OR content_hash > :hash "
    "OR content_hash = :hash AND occurrence > :occurrence)"
)


@dataclass(frozen=True)
class _Reviewed:
    """Whose reviews are asked for: their reviews by day, and the columns of ids there and here."""

    name: str
    daily: sa.Table
    id_in_daily: sa.Column[Any]
    id_in_reviews: sa.Column[Any]


_BY_PRODUCT, _BY_USER = PRODUCT_REVIEWS_DAILY, REVIEWER_REVIEWS_DAILY
_PRODUCT = _Reviewed("product", _BY_PRODUCT, _BY_PRODUCT.c.product_id, REVIEWS.c.productID)
_USER = _Reviewed("user", _BY_USER, _BY_USER.c.user_id, REVIEWS.c.reviewerID)


router = APIRouter(tags=["reviews"], route_class=RawPathRoute)


class Star(BaseModel):
    """The reviews with so many stars."""

    count: int
    share: float | None = Field(description="Of the reviews with a rating; null if none has one.")


class Month(BaseModel):
    """A month of the series."""

    month: str = Field(description="YYYY-MM.", pattern=r"^\d{4}-\d{2}$")
    reviews: int
    average_rating: float | None


class Summary(BaseModel):
    """What the reviews of a product or by a user come to."""

    id: str = Field(examples=["B000FA64PK"])
    reviews: int = Field(examples=[4])
    average_rating: float | None = Field(
        description="Of the reviews with a rating; null if none has one.", examples=[4.25]
    )
    stars: dict[str, Star] = Field(description="By number of stars, 1 to 5.")
    verified_share: float | None = Field(description="Share of verified purchases in all reviews.")
    first_review_date: date | None = Field(description="Day of the first review, UTC.")
    last_review_date: date | None
    months: list[Month] = Field(description="Months with reviews, in their order.")


class _Days(Formatted, AsOf, Ranged):
    """What may be said behind the `?` of a product or a user."""


class _Page(_Days):
    """What may be said behind the `?` of reviews."""

    limit: int = Field(20, ge=1, le=100, description="Reviews on a page.")
    after: str | None = Field(
        None, description="`next` of the page before, which keeps `from` and `to`."
    )


_ID = {"description": "The id, percent-encoded.", "min_length": 1, "max_length": _LONGEST_ID}
ProductId = Annotated[str, Path(**_ID, examples=["B000FA64PK"])]
UserId = Annotated[str, Path(**_ID, examples=["A1F6404F1VG29J"])]
_IS_VERIFIED = (bool | None, Field(description="Whether the purchase was verified."))
_SUMMARY: Any = {
    "response_model": Summary,
    "responses": in_both_formats(
        "id,reviews,average_rating,…\r\nB000FA64PK,4,4.25,…\r\n",
        "The sums; as CSV without the months.",
    ),
}
_REVIEWS: Any = {
    "response_model": page_model(
        "Reviews", row_model("Review", _REVIEW, is_verified=_IS_VERIFIED), id=(str, ...)
    ),
    "responses": in_both_formats(
        ",".join(_REVIEW) + "\r\nB000FA64PK,A1F6404F1VG29J,…\r\n",
        "A page; the header `Link` leads to the next one, too.",
    ),
}


# Those of the reviews come first, for to the others all that follows is part of the id.
@router.get("/product/{product_id:path}/reviews", **_REVIEWS)
async def reviews_of_product(
    request: Request, product_id: ProductId, said: Annotated[_Page, Query()]
) -> Response:
    """The reviews of a product within a range of days, newest first."""
    return await _page(request, _PRODUCT, product_id, said)


@router.get("/user/{user_id:path}/reviews", **_REVIEWS)
async def reviews_by_user(
    request: Request, user_id: UserId, said: Annotated[_Page, Query()]
) -> Response:
    """The reviews by a user within a range of days, newest first."""
    return await _page(request, _USER, user_id, said)


@router.get("/product/{product_id:path}", **_SUMMARY)
async def product(
    request: Request, product_id: ProductId, said: Annotated[_Days, Query()]
) -> Response:
    """What the reviews of a product come to.

    A product without reviews in the range of days has zeros and nulls.
    """
    return await _summary(request, _PRODUCT, product_id, said)


@router.get("/user/{user_id:path}", **_SUMMARY)
async def user(request: Request, user_id: UserId, said: Annotated[_Days, Query()]) -> Response:
    """What the reviews by a user come to.

    A user without reviews in the range of days has zeros and nulls.
    """
    return await _summary(request, _USER, user_id, said)


async def _summary(request: Request, reviewed: _Reviewed, sent: str, said: _Days) -> Response:
    id_, days, format_ = _decoded(sent), said.days, said.wanted(request)
    first, last = days.first or date.min, days.last or date.max
    values = {"id": id_, "first": first.isoformat(), "last": last.isoformat()}

    def make(reading: Reading | PastReading) -> Response:
        months = reading.execute(_months(reviewed, reading.dialect), values)
        if not months:
            _check_known(reading, reviewed, reviewed.id_in_daily, id_)
        told = _sums(id_, months)
        row = _row(told) if format_ == "csv" else {}
        return formatted(request, format_, told, list(row), [list(row.values())])

    return await answer_as_of(request, [reviewed.daily], said.as_of, make, is_short=True)


async def _page(request: Request, reviewed: _Reviewed, sent: str, said: _Page) -> Response:
    id_, days, format_, limit = _decoded(sent), said.days, said.wanted(request), said.limit
    values: dict[str, Any] = {"id": id_, "most": limit + 1}
    if said.after is not None:
        at, values["hash"], values["occurrence"], *kept = read_cursor(said.after, _IN_CURSOR)
        values["at"] = at.strftime("%Y-%m-%d %H:%M:%S.%f").rjust(26, "0")
        days = _kept(days, *kept)
    values["first"] = f"{days.first or date.min} 00:00:00.000000"
    values["last"] = f"{days.last or date.max} 23:59:59.999999"

    def make(reading: Reading | PastReading) -> Response:
        found = reading.execute(_newest(reviewed, said.after is not None), values)
        if not found:
            _check_known(reading, reviewed, reviewed.id_in_reviews, id_)
        reviews, following = [_review(row) for row in found[:limit]], None
        if len(found) > limit:
            at = reviews[-1]["reviewed_at"]
            following = cursor_of([at, *found[limit - 1][len(_REVIEW) :], days.first, days.last])
        told = {"id": id_, "items": reviews, "next": following}
        rows = (list(review.values()) for review in reviews)
        return formatted(request, format_, told, list(_REVIEW), rows, following)

    return await answer_as_of(request, [REVIEWS], said.as_of, make, is_short=True)


def _kept(days: Days, first: date | None, last: date | None) -> Days:
    """The days of a cursor, which may be asked for beside it, but not others."""
    try:
        kept = Days(first, last)
    except ValueError:
        raise not_a_cursor() from None
    if days not in (ANY_DAY, kept):
        raise not_a_cursor(" with these days")
    return kept


def _decoded(sent: str) -> str:
    """The id that was sent percent-encoded.

    Raises:
        Refusal: it is not UTF-8, or too long.
    """
    try:
        found = unquote_to_bytes(sent).decode("utf-8")
    except ValueError:
        raise Refusal(404, "There is no such id: it is not UTF-8, percent-encoded.") from None
    if len(found) > _LONGEST_ID:
        raise Refusal(422, f"An id has at most {_LONGEST_ID:,} characters.", "id")
    return found


def _check_known(
    reading: Reading | PastReading, reviewed: _Reviewed, column: sa.Column[Any], id_: str
) -> None:
    """Refuse an id that has no reviews at all, also none of other days or of a page before."""
    text = f'SELECT 1 FROM {column.table.name} WHERE "{column.name}" = :id LIMIT 1'
    if not reading.execute(text, {"id": id_}):
        raise Refusal(404, f"There are no reviews of a {reviewed.name} of that id.")


@lru_cache
def _months(reviewed: _Reviewed, dialect: str) -> str:
    """A row for each month with reviews: the month, counts, counts per star, days."""
    month, first, last = "substr(review_date, 1, 7)", "min(review_date)", "max(review_date)"
    sums = [f"sum({name})" for name in (*_COUNTS, *_STARS)]
    if dialect != "sqlite":
        month = "substr(CAST(review_date AS TEXT), 1, 7)"
        # Its sums of whole numbers are decimals, which cost more than the rest of an answer.
        sums = [f"CAST({total} AS DOUBLE PRECISION)" for total in sums]
        first, last = f"CAST({first} AS TEXT)", f"CAST({last} AS TEXT)"
    return (
        f"SELECT {month}, {', '.join(sums)}, {first}, {last} FROM {reviewed.daily.name} "
        f"WHERE {reviewed.id_in_daily.name} = :id AND review_date BETWEEN :first AND :last "
        "GROUP BY 1 ORDER BY 1"
    )


@lru_cache
def _newest(reviewed: _Reviewed, is_behind: bool) -> str:
    """The newest reviews, at most `:most`, with what follows in their place after the time."""
    fields = ", ".join(f'"{column.name}"' for column in _REVIEW.values())
    return (
        f"SELECT {fields}, content_hash, occurrence FROM reviews "
        f'WHERE "{reviewed.id_in_reviews.name}" = :id '
        f"AND reviewed_at BETWEEN :first AND :last {_OLDER if is_behind else ''} "
        "ORDER BY reviewed_at DESC, content_hash, occurrence LIMIT :most"
    )


def _sums(id_: str, months: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """A `Summary` of rows of `_months`: nulls where there is nothing to divide by."""
    columns = zip(*(row[1:-2] for row in months), strict=True)
    sums = [sum(column) for column in columns] or [0] * len((*_COUNTS, *_STARS))
    reviews, rated, rating_sum, verified, *stars = sums
    return {
        "id": id_,
        "reviews": int(reviews),
        "average_rating": _share(rating_sum, rated),
        "stars": {
            str(star): {"count": int(count), "share": _share(count, rated)}
            for star, count in zip(STARS, stars, strict=True)
        },
        "verified_share": _share(verified, reviews),
        "first_review_date": str(months[0][-2]) if months else None,
        "last_review_date": str(months[-1][-1]) if months else None,
        "months": [
            {"month": month, "reviews": int(count), "average_rating": _share(rating_sum, rated)}
            for month, count, rated, rating_sum, *_ in months
        ],
    }


def _row(told: dict[str, Any]) -> dict[str, Any]:
    """A summary as one row, without the months."""
    row = {name: told[name] for name in ("id", "reviews", "average_rating")}
    for prefix, of_star in (("stars", "count"), ("share_of_stars", "share")):
        row |= {f"{prefix}_{n}": told["stars"][str(n)][of_star] for n in STARS}
    return row | {
        name: told[name] for name in ("verified_share", "first_review_date", "last_review_date")
    }


def _share(part: float, whole: Any) -> float | None:
    """`part / whole`; None if that is no number."""
    if not whole:
        return None
    share = part / int(whole)
    return share if math.isfinite(share) else None


def _review(row: Sequence[Any]) -> dict[str, Any]:
    """A review as it is told."""
    review = dict(zip(_REVIEW, row, strict=False))
    if review["is_verified"] is not None:
        review["is_verified"] = bool(review["is_verified"])
    at = review["reviewed_at"]  # in SQLite times are text
    at = at if isinstance(at, datetime) else datetime.fromisoformat(at)
    review["reviewed_at"] = at.isoformat()
    return review
