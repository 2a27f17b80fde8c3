"""The routes of reviews: what those of a product or by a user come to, and they themselves."""

from collections.abc import Mapping
from datetime import date
from typing import Any
from urllib.parse import urlencode

import sqlalchemy as sa
from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from warehouse_assets.api import cursor, ids
from warehouse_assets.api.database import Lookup
from warehouse_assets.api.formats import (
    MEDIA_TYPES,
    Format,
    TimeWithoutZone,
    in_both_formats,
    to_csv,
    to_json,
    wanted,
)
from warehouse_assets.api.parameters import Day, PlainRoute, days_of, described, values_of
from warehouse_assets.api.problems import GUARDED, Refusal, problems
from warehouse_assets.api.published import UNCHANGED, Content, answer_short
from warehouse_assets.days import ANY_DAY, Days
from warehouse_assets.defs.reviews.answers import (
    PRODUCT,
    REVIEW_FIELDS,
    USER,
    Place,
    Reviewed,
    ReviewQueries,
)
from warehouse_assets.defs.reviews.tables import REVIEWS, STARS

router = APIRouter(tags=["reviews"], route_class=PlainRoute, responses=GUARDED)

_QUERIES = {dialect: ReviewQueries(dialect) for dialect in ("sqlite", "postgresql")}
_REVIEWS_ON_A_PAGE = 20
_MOST_REVIEWS_ON_A_PAGE = 100
# What a cursor holds: the place behind a review, and the days that are asked for.
_PLACE = [REVIEWS.c[name].type for name in ("reviewed_at", "content_hash", "occurrence")]
_DAYS = [sa.Date(), sa.Date()]


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

    id: str
    reviews: int
    average_rating: float | None = Field(
        description="Of the reviews with a rating; null if none has one."
    )
    stars: dict[str, Star] = Field(description="By number of stars, 1 to 5.")
    verified_share: float | None = Field(description="Share of verified purchases in all reviews.")
    first_review_date: date | None = Field(description="Day of the first review, UTC.")
    last_review_date: date | None
    months: list[Month] = Field(description="Months with reviews, in their order.")


class Review(BaseModel):
    """A review."""

    product_id: str | None
    user_id: str | None
    user_name: str | None
    rating: float | None = Field(description="Stars, 1 to 5.")
    is_verified: bool | None = Field(description="Whether the purchase was verified.")
    reviewed_at: TimeWithoutZone = Field(description="UTC, without a zone.")
    summary: str | None
    text: str | None
    votes: str | None = Field(description="How many found it helpful, as the source has it.")


class Reviews(BaseModel):
    """A page of reviews."""

    id: str
    reviews: list[Review] = Field(description="Newest first.")
    next: str | None = Field(description="`after` of the next page; null on the last one.")


def _as_csv(found: Mapping[str, Any]) -> bytes:
    """A summary as one row, without the months."""
    row = {name: found[name] for name in ("id", "reviews", "average_rating")}
    for prefix, of_star in (("stars", "count"), ("share_of_stars", "share")):
        row |= {f"{prefix}_{n}": found["stars"][str(n)][of_star] for n in STARS}
    row |= {
        name: found[name] for name in ("verified_share", "first_review_date", "last_review_date")
    }
    return to_csv(tuple(row), [tuple(row.values())])


_EXAMPLE: dict[str, Any] = {
    "id": "B000FA64PK",
    "reviews": 4,
    "average_rating": 4.25,
    "stars": {
        "1": {"count": 0, "share": 0.0},
        "2": {"count": 0, "share": 0.0},
        "3": {"count": 1, "share": 0.25},
        "4": {"count": 1, "share": 0.25},
        "5": {"count": 2, "share": 0.5},
    },
    "verified_share": 0.75,
    "first_review_date": "2014-03-20",
    "last_review_date": "2014-05-03",
    "months": [
        {"month": "2014-03", "reviews": 3, "average_rating": 4.0},
        {"month": "2014-05", "reviews": 1, "average_rating": 5.0},
    ],
}
_EXAMPLE_REVIEW = {
    "product_id": "B000FA64PK",
    "user_id": "A1F6404F1VG29J",
    "user_name": "Avidreader",
    "rating": 5.0,
    "is_verified": True,
    "reviewed_at": "2014-05-03T00:00:00",
    "summary": "Nice vintage story",
    "text": "I enjoyed this one.",
    "votes": None,
}
_OF_SUMMARY: Any = {
    200: in_both_formats(
        _EXAMPLE, _as_csv(_EXAMPLE).decode(), "The sums; as CSV without the months."
    ),
    **UNCHANGED,
    **problems(404, 422, 503),
}
_OF_REVIEWS: Any = {
    200: in_both_formats(
        {
            "id": "B000FA64PK",
            "reviews": [_EXAMPLE_REVIEW],
            "next": "WyIyMDE0LTA1LTAzVDAwOjAwOjAwIiwgNDIsIDFd",
        },
        to_csv(REVIEW_FIELDS, [tuple(_EXAMPLE_REVIEW.values())]).decode(),
        "A page; the header `Link` leads to the next one, too.",
    ),
    **UNCHANGED,
    **problems(404, 422, 503),
}


class _Days(BaseModel):
    """What may be said behind the `?` of a product or a user."""

    first: Day | None = Field(
        None, alias="from", description="First day, UTC.", examples=["2014-03-01"]
    )
    last: Day | None = Field(
        None, alias="to", description="Last day, included.", examples=["2014-03-01"]
    )
    format: Format | None = Field(
        None, description="Format of the answer; by default what `Accept` says."
    )


class _Page(_Days):
    """What may be said behind the `?` of reviews."""

    limit: int = Field(
        _REVIEWS_ON_A_PAGE, ge=1, le=_MOST_REVIEWS_ON_A_PAGE, description="Reviews on a page."
    )
    after: str | None = Field(
        None, description="`next` of the page before, which keeps `from` and `to`."
    )


def _declared(name: str, example: str, query: type[BaseModel]) -> dict[str, Any]:
    """The parameters of a route in the description of the API: an id in the path, and `query`."""
    id_ = {
        "name": name,
        "in": "path",
        "required": True,
        "description": "The id, percent-encoded.",
        "schema": {"type": "string", "minLength": 1, "maxLength": ids.LONGEST},
        "example": example,
    }
    return {"parameters": [id_, *described(query)]}


_PRODUCT, _USER = ("product_id", "B000FA64PK"), ("user_id", "A1F6404F1VG29J")
_SUMMARY: Any = {"response_model": Summary, "responses": _OF_SUMMARY}
_REVIEWS: Any = {"response_model": Reviews, "responses": _OF_REVIEWS}


@router.get("/product/{product_id}", openapi_extra=_declared(*_PRODUCT, _Days), **_SUMMARY)
async def product(request: Request) -> Response:
    """What the reviews of a product come to.

    A product without reviews in the range of days has zeros and nulls.
    """
    return await _summary(request, PRODUCT, request.path_params["product_id"])


@router.get("/user/{user_id}", openapi_extra=_declared(*_USER, _Days), **_SUMMARY)
async def user(request: Request) -> Response:
    """What the reviews by a user come to.

    A user without reviews in the range of days has zeros and nulls.
    """
    return await _summary(request, USER, request.path_params["user_id"])


@router.get("/product/{product_id}/reviews", openapi_extra=_declared(*_PRODUCT, _Page), **_REVIEWS)
async def reviews_of_product(request: Request) -> Response:
    """The reviews of a product within a range of days, newest first."""
    return await _page(request, PRODUCT, request.path_params["product_id"])


@router.get("/user/{user_id}/reviews", openapi_extra=_declared(*_USER, _Page), **_REVIEWS)
async def reviews_by_user(request: Request) -> Response:
    """The reviews by a user within a range of days, newest first."""
    return await _page(request, USER, request.path_params["user_id"])


async def _summary(request: Request, reviewed: Reviewed, sent: str) -> Response:
    said, id_ = values_of(request, _Days), ids.decoded(sent)
    days, shape = days_of(said.first, said.last), wanted(request, said.format)

    def make(reading: Lookup) -> Content:
        found = _QUERIES[reading.dialect].summary(reading.execute, reviewed, id_, days)
        if found is None:
            raise _unknown(reviewed)
        return Content(to_json(found) if shape == "json" else _as_csv(found), MEDIA_TYPES[shape])

    return await answer_short(request, reviewed.daily, make, shape)


async def _page(request: Request, reviewed: Reviewed, sent: str) -> Response:
    said, id_ = values_of(request, _Page), ids.decoded(sent)
    days, shape = days_of(said.first, said.last), wanted(request, said.format)
    place = None
    if said.after is not None:
        place, days = _place(said.after, days)

    def make(reading: Lookup) -> Content:
        queries = _QUERIES[reading.dialect]
        page = queries.page(reading.execute, reviewed, id_, said.limit, place, days)
        if page is None:
            raise _unknown(reviewed)
        following = link = None
        if page.next is not None:
            end = (page.next.reviewed_at, page.next.content_hash, page.next.occurrence)
            following = cursor.encode(end if days == ANY_DAY else [*end, days.first, days.last])
            link = urlencode({"limit": said.limit, "after": following})
        if shape == "csv":
            rows = [list(review.values()) for review in page.reviews]
            return Content(to_csv(REVIEW_FIELDS, rows), MEDIA_TYPES[shape], link)
        told = {"id": id_, "reviews": page.reviews, "next": following}
        return Content(to_json(told), MEDIA_TYPES[shape], link)

    return await answer_short(request, REVIEWS, make, shape)


def _place(after: str, days: Days) -> tuple[Place, Days]:
    """The place and the days of a cursor, which may be asked for beside it, but not others."""
    *place, first, last = cursor.decode(after, [*_PLACE, *_DAYS], len(_DAYS))
    try:
        kept = Days(first, last)
    except ValueError:
        raise cursor.refusal() from None
    if days not in (ANY_DAY, kept):
        raise cursor.refusal(" with these days")
    return Place(*place), kept


def _unknown(reviewed: Reviewed) -> Refusal:
    return Refusal(404, f"There are no reviews of a {reviewed.name} of that id.")
