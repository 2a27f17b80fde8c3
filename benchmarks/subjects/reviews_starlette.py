"""A bare handler by hand: Starlette and `sqlite3` over the tables of days.

`uvicorn benchmarks.subjects.reviews_starlette:app`; DATABASE is the file.
"""

import os
import sqlite3

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from benchmarks.subjects.reviews_answer import DAILY, answer

_connection = sqlite3.connect(os.environ["DATABASE"], check_same_thread=False)
_QUERY = "SELECT substr(review_date, 1, 7), {counts} FROM {table} WHERE {key} = ? GROUP BY 1"
_PRODUCT = _QUERY.format(counts=DAILY, table="product_reviews_daily", key="product_id")
_USER = _QUERY.format(counts=DAILY, table="reviewer_reviews_daily", key="user_id")


def _answer(query: str, key: str) -> JSONResponse:
    found = answer(key, _connection.execute(query, (key,)).fetchall())
    return JSONResponse(found, 200 if found else 404)


async def product(request: Request) -> JSONResponse:
    """The reviews of a product."""
    return _answer(_PRODUCT, request.path_params["key"])


async def user(request: Request) -> JSONResponse:
    """The reviews by a user."""
    return _answer(_USER, request.path_params["key"])


app = Starlette(routes=[Route("/product/{key:path}", product), Route("/user/{key:path}", user)])
