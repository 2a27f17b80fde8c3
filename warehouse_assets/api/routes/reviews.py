"""The routes of reviews: what those of a product or by a user come to, and they themselves."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any
from urllib.parse import unquote_to_bytes

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.routing import Match
from starlette.types import Scope

from warehouse_assets.api import cursor
from warehouse_assets.api.database import Reading
from warehouse_assets.api.formats import (
    Content,
    Formatted,
    TimeWithoutZone,
    formatted,
    in_both_formats,
)
from warehouse_assets.api.parameters import Ranged, StrictRoute
from warehouse_assets.api.problems import GUARDED, Refusal
from warehouse_assets.api.published import answer
from warehouse_assets.defs.reviews import answers
from warehouse_assets.defs.reviews.answers import PRODUCT, REVIEW_FIELDS, USER, Reviewed
from warehouse_assets.defs.reviews.tables import REVIEWS, STARS
from warehouse_assets.times import ANY_DAY, Days

_LONGEST_ID = 2000
# What a cursor holds: the place behind a review, and the days that are asked for.
_PLACE = [cursor.kind_of(REVIEWS.c[name]) for name in ("reviewed_at", "content_hash", "occurrence")]
_KINDS = [*_PLACE, date | None, date | None]


class _OfId(StrictRoute):
    """A route with an id in its path: any text, percent-encoded, slashes as well.

    A server hands the path on decoded, so that a slash of an id would be one of the path. So these
    are looked for in the path as it was sent.
    """

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether a request is for this route, and what is in its path."""
        return super().matches({**scope, "path": bytes(scope["raw_path"]).decode("latin-1")})


router = APIRouter(tags=["reviews"], route_class=_OfId, responses=GUARDED)


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


def _row(found: Mapping[str, Any]) -> dict[str, Any]:
    """A summary as one row, without the months."""
    row = {name: found[name] for name in ("id", "reviews", "average_rating")}
    for prefix, of_star in (("stars", "count"), ("share_of_stars", "share")):
        row |= {f"{prefix}_{n}": found["stars"][str(n)][of_star] for n in STARS}
    return row | {
        name: found[name] for name in ("verified_share", "first_review_date", "last_review_date")
    }


class _Days(Formatted, Ranged):
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
_SUMMARY: Any = {
    "response_model": Summary,
    "responses": in_both_formats(
        "id,reviews,average_rating,…\r\nB000FA64PK,4,4.25,…\r\n",
        "The sums; as CSV without the months.",
        *(404, 422, 503),
    ),
}
_REVIEWS: Any = {
    "response_model": Reviews,
    "responses": in_both_formats(
        ",".join(REVIEW_FIELDS) + "\r\nB000FA64PK,A1F6404F1VG29J,…\r\n",
        "A page; the header `Link` leads to the next one, too.",
        *(404, 422, 503),
    ),
}


# Those of the reviews come first, for to the others all that follows is part of the id.
@router.get("/product/{product_id:path}/reviews", **_REVIEWS)
async def reviews_of_product(
    request: Request, product_id: ProductId, said: Annotated[_Page, Query()]
) -> Response:
    """The reviews of a product within a range of days, newest first."""
    return await _page(request, PRODUCT, product_id, said)


@router.get("/user/{user_id:path}/reviews", **_REVIEWS)
async def reviews_by_user(
    request: Request, user_id: UserId, said: Annotated[_Page, Query()]
) -> Response:
    """The reviews by a user within a range of days, newest first."""
    return await _page(request, USER, user_id, said)


@router.get("/product/{product_id:path}", **_SUMMARY)
async def product(
    request: Request, product_id: ProductId, said: Annotated[_Days, Query()]
) -> Response:
    """What the reviews of a product come to.

    A product without reviews in the range of days has zeros and nulls.
    """
    return await _summary(request, PRODUCT, product_id, said)


@router.get("/user/{user_id:path}", **_SUMMARY)
async def user(request: Request, user_id: UserId, said: Annotated[_Days, Query()]) -> Response:
    """What the reviews by a user come to.

    A user without reviews in the range of days has zeros and nulls.
    """
    return await _summary(request, USER, user_id, said)


async def _summary(request: Request, reviewed: Reviewed, sent: str, said: _Days) -> Response:
    id_, days, shape = _decoded(sent), said.days, said.wanted(request)

    def make(reading: Reading) -> Content:
        found = answers.summary(reading.execute, reading.dialect, reviewed, id_, days)
        if found is None:
            raise _unknown(reviewed)
        row = _row(found) if shape == "csv" else {}
        return formatted(shape, found, list(row), [list(row.values())])

    return await answer(request, [reviewed.daily], make, is_short=True)


async def _page(request: Request, reviewed: Reviewed, sent: str, said: _Page) -> Response:
    id_, days, shape, place = _decoded(sent), said.days, said.wanted(request), None
    if said.after is not None:
        place, days = _place(said.after, days)

    def make(reading: Reading) -> Content:
        page = answers.page(reading.execute, reviewed, id_, said.limit, place, days)
        if page is None:
            raise _unknown(reviewed)
        reviews, end = page
        following = end and cursor.encode([*end, days.first, days.last])
        told = {"id": id_, "reviews": reviews, "next": following}
        rows = (list(review.values()) for review in reviews)
        return formatted(shape, told, REVIEW_FIELDS, rows, following)

    return await answer(request, [REVIEWS], make, is_short=True)


def _place(after: str, days: Days) -> tuple[answers.Place, Days]:
    """The place and the days of a cursor, which may be asked for beside it, but not others."""
    at, content_hash, occurrence, first, last = cursor.decode(after, _KINDS)
    try:
        kept = Days(first, last)
    except ValueError:
        raise cursor.refusal() from None
    if days not in (ANY_DAY, kept):
        raise cursor.refusal(" with these days")
    return (at, content_hash, occurrence), kept


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


def _unknown(reviewed: Reviewed) -> Refusal:
    return Refusal(404, f"There are no reviews of a {reviewed.name} of that id.")
