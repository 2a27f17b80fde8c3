"""The routes of reviews: what those of a product or by a user come to, and the reviews themselves.

Nearly every request is answered by `quick` before it gets here; what does get here is told what is
wrong with it, or answered in the same words.
"""

from datetime import date
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from warehouse_assets.api.deps import TheWarehouse
from warehouse_assets.api.ids import TheProduct, TheUser
from warehouse_assets.api.problems import Refusal, problems
from warehouse_assets.api.publications import without_nul
from warehouse_assets.api.reviewed import (
    MOST_REVIEWS_ON_A_PAGE,
    REVIEWS_ON_A_PAGE,
    PageAsked,
    Question,
    SummaryAsked,
    day_of,
    place_of,
)
from warehouse_assets.api.shapes import (
    Shape,
    TheShape,
    TimeWithoutZone,
    described,
    response,
)
from warehouse_assets.api.validators import UNCHANGED, reading
from warehouse_assets.days import ANY_DAY, Days
from warehouse_assets.reviews.answers import PRODUCT, USER, Place, ReviewQueries
from warehouse_assets.warehouse import Warehouse

router = APIRouter(tags=["reviews"])

_QUERIES = {
    "sqlite": ReviewQueries.of_sqlite(),
    "postgresql": ReviewQueries.of_postgresql(),
}


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
_CSV_EXAMPLE = (
    "id,reviews,average_rating,stars_1,stars_2,stars_3,stars_4,stars_5,share_of_stars_1,"
    "share_of_stars_2,share_of_stars_3,share_of_stars_4,share_of_stars_5,verified_share,"
    "first_review_date,last_review_date\r\n"
    "B000FA64PK,4,4.25,0,0,1,1,2,0.0,0.0,0.25,0.25,0.5,0.75,2014-03-20,2014-05-03\r\n"
)
_EXAMPLE_REVIEWS: dict[str, Any] = {
    "id": "B000FA64PK",
    "reviews": [
        {
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
    ],
    "next": "WyIyMDE0LTA1LTAzVDAwOjAwOjAwIiwgNDIsIDFd",
}
_CSV_REVIEWS = (
    "product_id,user_id,user_name,rating,is_verified,reviewed_at,summary,text,votes\r\n"
    "B000FA64PK,A1F6404F1VG29J,Avidreader,5.0,True,2014-05-03T00:00:00,Nice vintage story,"
    "I enjoyed this one.,\r\n"
)
_OF_SUMMARY: Any = {
    200: described(_EXAMPLE, _CSV_EXAMPLE, "The sums; as CSV without the months."),
    **UNCHANGED,
    **problems(404, 422, 503),
}
_OF_REVIEWS: Any = {
    200: described(
        _EXAMPLE_REVIEWS, _CSV_REVIEWS, "A page; the header `Link` leads to the next one, too."
    ),
    **UNCHANGED,
    **problems(404, 422, 503),
}

_Day = Annotated[str | None, Query(examples=["2014-03-01"], json_schema_extra={"format": "date"})]


def _days(
    first: Annotated[_Day, Query(alias="from", description="First day, UTC.")] = None,
    last: Annotated[_Day, Query(alias="to", description="Last day, included.")] = None,
) -> Days:
    found: list[date | None] = []
    for name, text in (("from", first), ("to", last)):
        try:
            found.append(None if text is None else day_of(text))
        except ValueError as error:
            raise Refusal(422, f"It must be a day, YYYY-MM-DD: {error}.", name) from None
    try:
        return Days(*found)
    except ValueError as error:
        raise Refusal(422, f"The days cannot be used: {error}.", "from") from None


_TheDays = Annotated[Days, Depends(_days)]


def _place(
    days: _TheDays,
    after: Annotated[
        str | None,
        Query(description="`next` of the page before, which keeps `from` and `to`."),
    ] = None,
) -> tuple[Place | None, Days]:
    try:
        return (None, days) if after is None else place_of(after, days)
    except (ValueError, TypeError):
        reason = "It is not the `next` of a page" + (
            "." if days == ANY_DAY else " with these days."
        )
        raise Refusal(422, reason, "after") from None


_Limit = Annotated[int, Query(ge=1, le=MOST_REVIEWS_ON_A_PAGE, description="Reviews on a page.")]
_ThePlace = Annotated[tuple[Place | None, Days], Depends(_place)]


@router.get("/product/{product_id}", response_model=Summary, responses=_OF_SUMMARY)
def product(
    request: Request, warehouse: TheWarehouse, id_: TheProduct, days: _TheDays, shape: TheShape
) -> Response:
    """What the reviews of a product come to.

    A product without reviews in the range of days has zeros and nulls.
    """
    return _answer(request, warehouse, SummaryAsked(PRODUCT, id_, days), shape)


@router.get("/user/{user_id}", response_model=Summary, responses=_OF_SUMMARY)
def user(
    request: Request, warehouse: TheWarehouse, id_: TheUser, days: _TheDays, shape: TheShape
) -> Response:
    """What the reviews by a user come to.

    A user without reviews in the range of days has zeros and nulls.
    """
    return _answer(request, warehouse, SummaryAsked(USER, id_, days), shape)


@router.get("/product/{product_id}/reviews", response_model=Reviews, responses=_OF_REVIEWS)
def reviews_of_product(
    request: Request,
    warehouse: TheWarehouse,
    id_: TheProduct,
    shape: TheShape,
    place: _ThePlace,
    limit: _Limit = REVIEWS_ON_A_PAGE,
) -> Response:
    """The reviews of a product within a range of days, newest first."""
    return _answer(request, warehouse, PageAsked(PRODUCT, id_, limit, *place), shape)


@router.get("/user/{user_id}/reviews", response_model=Reviews, responses=_OF_REVIEWS)
def reviews_by_user(
    request: Request,
    warehouse: TheWarehouse,
    id_: TheUser,
    shape: TheShape,
    place: _ThePlace,
    limit: _Limit = REVIEWS_ON_A_PAGE,
) -> Response:
    """The reviews by a user within a range of days, newest first."""
    return _answer(request, warehouse, PageAsked(USER, id_, limit, *place), shape)


def _answer(request: Request, warehouse: Warehouse, question: Question, shape: Shape) -> Response:
    with reading(request, warehouse, [question.table], shape) as found:
        connection = found.connection

        def execute(text: str, values: Any) -> Any:
            return _rows(connection, text, values)

        told = question.told(_QUERIES[connection.dialect.name], execute, shape)
        if told is None:
            raise Refusal(404, f"There are no reviews of a {question.reviewed.name} of that id.")
        links = {"Link": told.link} if told.link else {}
        return response(told.body, shape, {**found.headers, **links})


def _rows(connection: sa.Connection, text: str, values: dict[str, object]) -> Any:
    if connection.dialect.name != "sqlite":
        values = without_nul(values)
    return connection.exec_driver_sql(text, values).fetchall()
