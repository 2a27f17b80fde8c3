"""The answer about a product or a user, as a program by hand makes it of what a query gives."""

from collections.abc import Sequence
from typing import Any

DAILY = """sum(reviews), sum(rated_reviews), sum(rating_sum), sum(stars_1), sum(stars_2),
    sum(stars_3), sum(stars_4), sum(stars_5), sum(verified_reviews),
    min(review_date), max(review_date)"""
"""What is counted per month, of the tables of days."""


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
