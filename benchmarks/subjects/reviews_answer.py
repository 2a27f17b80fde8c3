"""The answer about a product or a user, as a program by hand makes it of what a query gives."""

from collections.abc import Sequence
from typing import Any

_COUNTS = """sum({one}), sum({rated}), sum({rating}), sum({star1}), sum({star2}), sum({star3}),
    sum({star4}), sum({star5}), sum({verified}), min({day}), max({day})"""

DAILY = _COUNTS.format(
    one="reviews",
    rated="rated_reviews",
    rating="rating_sum",
    verified="verified_reviews",
    day="review_date",
    **{f"star{n}": f"stars_{n}" for n in range(1, 6)},
)
"""What is counted per month, of the tables of days."""

RAW = _COUNTS.format(
    one="1",
    rated="CASE WHEN overall IS NULL THEN 0 ELSE 1 END",
    rating="overall",
    verified="verified",
    day='"unixReviewTime"',
    **{f"star{n}": f"CASE WHEN overall = {n} THEN 1 ELSE 0 END" for n in range(1, 6)},
)
"""What is counted per month, of the reviews themselves."""


def answer(key: str, months: Sequence[Sequence[Any]]) -> dict[str, Any] | None:
    """The answer of rows of months, each a month and its counts; None if there is none."""
    if not months:
        return None
    reviews, rated, rating, *stars, verified = (
        sum(float(month[column] or 0) for month in months) for column in range(1, 10)
    )
    return {
        "id": key,
        "reviews": int(reviews),
        "average_rating": rating / rated if rated else None,
        "stars": {
            str(star): {"count": int(count), "share": count / rated if rated else None}
            for star, count in enumerate(stars, start=1)
        },
        "verified_share": verified / reviews,
        "first_review_date": str(months[0][10]),
        "last_review_date": str(months[-1][11]),
        "months": [
            {
                "month": str(month[0]),
                "reviews": int(month[1]),
                "average_rating": float(month[3]) / float(month[2]) if month[2] else None,
            }
            for month in months
        ],
    }
