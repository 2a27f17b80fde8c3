"""A service by hand: FastAPI and asyncpg over the tables of days in PostgreSQL.

`uvicorn benchmarks.subjects.reviews_asyncpg:app`; DATABASE is a URL of PostgreSQL.
"""

import importlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, HTTPException

from benchmarks.subjects.reviews_answer import DAILY, answer

_asyncpg: Any = importlib.import_module("asyncpg")
_QUERY = """SELECT to_char(review_date, 'YYYY-MM'), {counts} FROM {table} WHERE {key} = $1
    GROUP BY 1 ORDER BY 1"""
_PRODUCT = _QUERY.format(counts=DAILY, table="product_reviews_daily", key="product_id")
_USER = _QUERY.format(counts=DAILY, table="reviewer_reviews_daily", key="user_id")


@asynccontextmanager
async def _connected(app: FastAPI) -> AsyncIterator[None]:
    async with _asyncpg.create_pool(os.environ["DATABASE"], min_size=8, max_size=8) as pool:
        app.state.pool = pool
        yield


app = FastAPI(lifespan=_connected)


async def _answer(query: str, key: str) -> dict[str, Any]:
    found = answer(key, await app.state.pool.fetch(query, key))
    if found is None:
        raise HTTPException(404)
    return found


@app.get("/product/{key:path}")
async def product(key: str) -> dict[str, Any]:
    """The reviews of a product."""
    return await _answer(_PRODUCT, key)


@app.get("/user/{key:path}")
async def user(key: str) -> dict[str, Any]:
    """The reviews by a user."""
    return await _answer(_USER, key)
