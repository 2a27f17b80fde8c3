"""The usual service: Flask with SQLAlchemy over the reviews themselves, with an index.

`gunicorn benchmarks.subjects.reviews_flask:app`; DATABASE is the SQLAlchemy URL.
"""

import importlib
import os
from typing import Any

import sqlalchemy as sa

from benchmarks.subjects.reviews_answer import RAW, answer

_flask: Any = importlib.import_module("flask")
_engine = sa.create_engine(os.environ["DATABASE"], pool_size=8)
_MONTH = (
    "strftime('%Y-%m', \"unixReviewTime\", 'unixepoch')"
    if _engine.dialect.name == "sqlite"
    else "to_char(to_timestamp(\"unixReviewTime\") AT TIME ZONE 'UTC', 'YYYY-MM')"
)


def _answer(column: str, key: str) -> Any:
    query = sa.text(
        f'SELECT {_MONTH} AS month, {RAW} FROM reviews WHERE "{column}" = :key '
        "GROUP BY 1 ORDER BY 1"
    )
    with _engine.connect() as connection:
        rows = connection.execute(query, {"key": key}).fetchall()
    found = answer(key, rows)
    return _flask.abort(404) if found is None else _flask.jsonify(found)


def product(key: str) -> Any:
    """The reviews of a product."""
    return _answer("productID", key)


def user(key: str) -> Any:
    """The reviews by a user."""
    return _answer("reviewerID", key)


app: Any = _flask.Flask(__name__)
app.add_url_rule("/product/<path:key>", view_func=product)
app.add_url_rule("/user/<path:key>", view_func=user)
