"""A bare handler by hand: Starlette and the driver of the database over the tables of days.

`uvicorn benchmarks.subjects.reviews_starlette:app`; DATABASE is a file of SQLite or the URL of a
database of PostgreSQL. It has one connection, for which it waits.
"""

import importlib
import os
import sqlite3
from collections.abc import Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

_DATABASE = os.environ["DATABASE"]
_connection: Any
if "://" in _DATABASE:
    _connection = importlib.import_module("psycopg2").connect(_DATABASE)
    _connection.autocommit = True
    _MONTH, _MARK = "to_char(review_date, 'YYYY-MM')", "%s"
else:
    _connection = sqlite3.connect(_DATABASE, check_same_thread=False)
    _MONTH, _MARK = "substr(review_date, 1, 7)", "?"
_COUNTS = """sum(reviews), sum(rated_reviews), sum(rating_sum), sum(stars_1), sum(stars_2),
    sum(stars_3), sum(stars_4), sum(stars_5), sum(verified_reviews),
    min(review_date), max(review_date)"""
_QUERY = f"""SELECT {_MONTH}, {_COUNTS} FROM {{table}} WHERE {{key}} = {_MARK}
    GROUP BY 1 ORDER BY 1"""
_PRODUCT = _QUERY.format(table="product_reviews_daily", key="product_id")
_USER = _QUERY.format(table="reviewer_reviews_daily", key="user_id")


def _answer(query: str, key: str) -> JSONResponse:
    cursor = _connection.cursor()
    cursor.execute(query, (key,))
    months = cursor.fetchall()
    return JSONResponse(_account(key, months)) if months else JSONResponse(None, 404)


async def product(request: Request) -> JSONResponse:
    """The reviews of a product."""
    return _answer(_PRODUCT, request.path_params["key"])


async def user(request: Request) -> JSONResponse:
    """The reviews by a user."""
    return _answer(_USER, request.path_params["key"])


def _account(key: str, months: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """The answer of rows of months, each a month and its counts."""
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


app = Starlette(routes=[Route("/product/{key:path}", product), Route("/user/{key:path}", user)])
