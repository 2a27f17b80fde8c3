"""Requests for the reviews of random products and users, on 16 connections at once.

The services are processes of their own, on the same data; half of the requests are for products,
half for users, each id as likely as any other. What is measured is the time that a number of
requests takes, after ten seconds of them that nobody counts: so much of the project's answers as
was asked for in that time is kept, and the rest is made while it is measured. The answers of a few
ids are compared with those that a program by hand gets from the rows of the source.
"""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import isclose
from urllib.parse import quote
from urllib.request import urlopen

import sqlalchemy as sa

from benchmarks.context import Context
from benchmarks.load_generator import load
from benchmarks.servers import HOST, WAREHOUSE_SERVE, serving
from benchmarks.subjects import reviews_homes as homes
from benchmarks.subjects.homes import environment

_CONNECTIONS = 16
_SECONDS = 10.0
_SECONDS_TO_WARM_UP = 10.0
_REQUESTS = 10_000  # as many the seconds reported are for
_IDS = 20_000  # of each kind, at most
_IDS_COMPARED = 20
_UVICORN = (
    *("-m", "uvicorn", "--no-access-log", "--log-level", "error", "--port", "{port}"),
    "benchmarks.subjects.reviews_starlette:app",
)


def service(context: Context, database: str) -> None:
    """Measure `warehouse serve` on a warehouse in `database`, sqlite or postgresql."""
    with homes.warehouse_of(context, database) as more:
        settings = environment(homes.home_of(context, database)) | more
        _measure(context, WAREHOUSE_SERVE, settings)


def starlette(context: Context, database: str) -> None:
    """Measure a bare handler over the tables of days in `database`."""
    file = str(homes.home_of(context, "sqlite") / "warehouse.db")
    with homes.warehouse_of(context, database) as settings:
        _measure(context, _UVICORN, {"DATABASE": settings.get("WAREHOUSE_URL", file)})


def _measure(context: Context, command: Sequence[str], settings: Mapping[str, str]) -> None:
    source = homes.source_of(context)
    ids = _ids(source)
    paths = [f"/{kind}/{quote(key, safe='')}" for kind, keys in ids.items() for key in keys]
    with serving(context, command, settings) as port:
        _compare(port, source, ids)
        load(HOST, port, paths, _CONNECTIONS, _SECONDS_TO_WARM_UP)
        found = load(HOST, port, paths, _CONNECTIONS, _SECONDS, seed=2)
    assert not found.failures
    context.seconds = _REQUESTS / found.requests_per_second
    context.details["requests per second"] = found.requests_per_second
    context.details["milliseconds, median"] = found.p50
    context.details["milliseconds, 99 of 100"] = found.p99


def _ids(source: str) -> dict[str, list[str]]:
    """As many products as users, chosen at random."""
    chosen = {}
    with _connected(source) as connection:
        for kind, column in (("product", "productID"), ("user", "reviewerID")):
            query = f'SELECT DISTINCT "{column}" FROM reviews WHERE "{column}" <> \'\''
            keys = sorted(key for (key,) in connection.exec_driver_sql(query))
            chosen[kind] = random.Random(1).sample(keys, min(len(keys), _IDS))
    fewest = min(map(len, chosen.values()))
    return {kind: keys[:fewest] for kind, keys in chosen.items()}


def _compare(port: int, source: str, ids: Mapping[str, Sequence[str]]) -> None:
    columns = {"product": "productID", "user": "reviewerID"}
    with _connected(source) as connection:
        for kind, keys in ids.items():
            query = sa.text(
                f'SELECT count(*), avg(overall) FROM reviews WHERE "{columns[kind]}" = :key'
            )
            for key in keys[:_IDS_COMPARED]:
                reviews, average = connection.execute(query, {"key": key}).one()
                with urlopen(f"http://{HOST}:{port}/{kind}/{quote(key, safe='')}") as response:
                    answer = json.load(response)
                assert answer["reviews"] == reviews, (kind, key, answer, reviews)
                assert isclose(answer["average_rating"], average), (kind, key, answer, average)


@contextmanager
def _connected(source: str) -> Iterator[sa.Connection]:
    engine = sa.create_engine(source, poolclass=sa.NullPool)
    with engine.connect() as connection:
        yield connection
