"""The tables of the reviews family: columns, keys, descriptions.

`field` in a column's `info` is the name of the column of the source that it is read from. A review
has no natural key: what tells it apart is a hash of all that the source says of it, and, of
reviews that are the same in everything, their number.
"""

from pathlib import Path
from typing import Any

from sqlalchemy import BigInteger, Column, Date, DateTime, Double, Index, Table, Text

from warehouse_assets.charts import SAID
from warehouse_assets.questions import View
from warehouse_assets.tables import METADATA, LongText

STARS = (1, 2, 3, 4, 5)


def _given(name: str, kind: Any, comment: str) -> Column[Any]:
    return Column(name, kind, info={"field": name}, comment=comment)


REVIEWS = Table(
    "reviews",
    METADATA,
    _given("level_0", BigInteger, "A row number of the source, of no meaning here."),
    _given("index", BigInteger, "Another row number of the source, of no meaning here."),
    _given("overall", Double, "The rating in stars, 1 to 5."),
    _given("verified", BigInteger, "1 if the purchase was verified, else 0."),
    _given("reviewTime", Text, "Day of the review as the source has it, `MM D, YYYY`."),
    _given("reviewerID", Text, "Id of the user who wrote the review."),
    _given("productID", Text, "Id of the product that it is about."),
    _given("reviewerName", Text, "Name of the user."),
    _given("reviewText", LongText, "The review."),
    _given("summary", Text, "Its heading."),
    _given("unixReviewTime", BigInteger, "Time of the review, in seconds since 1970, UTC."),
    _given(
        "vote", Text, "How many found it helpful, as the source has it: a number, maybe `1,234`."
    ),
    Column(
        "reviewed_at",
        DateTime,
        nullable=False,
        comment="Time of the review, in UTC: `unixReviewTime`, or where that is missing the "
        "beginning of the day `reviewTime`.",
    ),
    Column(
        "content_hash",
        BigInteger,
        primary_key=True,
        autoincrement=False,
        comment="A hash of all that the source says of the review.",
    ),
    Column(
        "occurrence",
        BigInteger,
        primary_key=True,
        autoincrement=False,
        comment="Number, from 1, of the review among those of the same `content_hash`.",
    ),
    info={"made_from": "source", "setting": "REVIEWS_URL", "week_of": "reviewed_at"},
    comment="Reviews of products by users, a row for each row of the source.",
    sqlite_with_rowid=False,
)
Index(
    "reviews_by_product",
    REVIEWS.c.productID,
    REVIEWS.c.reviewed_at,
    REVIEWS.c.content_hash,
    REVIEWS.c.occurrence,
)
Index(
    "reviews_by_reviewer",
    REVIEWS.c.reviewerID,
    REVIEWS.c.reviewed_at,
    REVIEWS.c.content_hash,
    REVIEWS.c.occurrence,
)


def _stars() -> list[Column[Any]]:
    return [
        Column(f"stars_{n}", BigInteger, nullable=False, comment=f"Those rated {n}.") for n in STARS
    ]


def _daily(name: str, id_name: str, id_comment: str, comment: str) -> Table:
    return Table(
        name,
        METADATA,
        Column(id_name, Text, primary_key=True, comment=id_comment),
        Column("review_date", Date, primary_key=True, comment="Day of the reviews, in UTC."),
        Column("reviews", BigInteger, nullable=False, comment="Reviews of that day."),
        Column(
            "rating_sum",
            Double,
            nullable=False,
            comment="Sum of their ratings; a review without a rating adds nothing.",
        ),
        *_stars(),
        Column(
            "verified_reviews",
            BigInteger,
            nullable=False,
            comment="Those of a verified purchase.",
        ),
        Column(
            "rated_reviews",
            BigInteger,
            nullable=False,
            comment="Those with a rating, by which `rating_sum` is to be divided for the average.",
        ),
        comment=comment,
        info={"week_of": "review_date"},
        sqlite_with_rowid=False,
    )


PRODUCT_REVIEWS_DAILY = _daily(
    "product_reviews_daily",
    "product_id",
    "Id of the product; empty where the source has none.",
    "The reviews of each product by day; only days with reviews.",
)
REVIEWER_REVIEWS_DAILY = _daily(
    "reviewer_reviews_daily",
    "user_id",
    "Id of the user; empty where the source has none.",
    "The reviews by each user by day; only days with reviews.",
)

_CHART_OF_MONTHS = {
    "transform": [
        {"fold": [f"stars_{n}" for n in STARS], "as": ["stars", "rated"]},
        {"calculate": "slice(datum.stars, -1)", "as": "stars"},
        {
            "calculate": "utcFormat(toDate(datum.month_start), '%B %Y') + ': ' + datum.rated "
            "+ ' reviews with stars: ' + datum.stars",
            "as": "said",
        },
    ],
    "mark": "bar",
    "encoding": {
        "x": {
            "field": "month_start",
            "timeUnit": "utcyearmonth",
            "type": "temporal",
            "title": None,
        },
        "y": {"field": "rated", "type": "quantitative", "title": "Reviews per month"},
        "color": {
            "field": "stars",
            "type": "nominal",
            "title": "Stars",
            "legend": {"columns": len(STARS)},
        },
        "order": {"field": "stars"},
        **SAID,
    },
}

REVIEWS_PER_MONTH = Table(
    "reviews_per_month",
    METADATA,
    Column("month_start", Date, primary_key=True, comment="First day of the month, in UTC."),
    Column("reviews", BigInteger, nullable=False, comment="Reviews of that month."),
    Column(
        "average_rating",
        Double,
        comment="Mean of their ratings, over those that have one; null if none has.",
    ),
    *_stars(),
    Column("rated_reviews", BigInteger, nullable=False, comment="Those with a rating."),
    comment="The reviews of all products by month; only months with reviews.",
    info={"answers": "How were products rated each month?", "chart": _CHART_OF_MONTHS},
    sqlite_with_rowid=False,
)

TABLES = (REVIEWS, PRODUCT_REVIEWS_DAILY, REVIEWER_REVIEWS_DAILY, REVIEWS_PER_MONTH)

REVIEWS_AS_TOLD = View(
    "Reviews of products by users, with the names that they have in the API.",
    Path(__file__).parent / "sql" / "views" / "product_reviews.sql",
    [REVIEWS],
)
