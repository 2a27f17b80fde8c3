"""How many trips per week an area has: the service over HTTP, warm, and others on the same trips.

What is measured is the median of many questions about different areas, one after the other, after
a first pass that nobody counts. Each answer is compared with DuckDB's over the Parquet file that
DuckDB alone has made of the trips. The service is a process of its own, started as people start
it, on a warehouse that maintenance has put in order.
"""

import csv
import http.client
import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from urllib.parse import urlencode

import duckdb

from benchmarks.context import Context
from benchmarks.servers import HOST, WAREHOUSE_SERVE, serving
from benchmarks.subjects.homes import environment
from benchmarks.subjects.trips_runs import HOME
from benchmarks.subjects.trips_sql import AREA
from warehouse_assets.samples.trips import CITIES

Question = Mapping[str, str | float]
"""The parameters of one request."""

Answer = tuple[int, int]
"""The trips of an area, and the weeks from its first trip to its last."""

_PASSES = 5
_LIKENESSES = [(14, 1), (12, 4), (10, 4), (8, 6), (5, 24)]  # zoom and hours
_EVERY = 4  # of the districts, one in so many is asked for
_KM_PER_DEGREE = 111.32


def service(context: Context, match: str = "") -> None:
    """Measure the service: boxes on the ends that `match` tells, or regions if it tells none."""
    with _serving(context) as connection:

        def ask(question: Question) -> Answer:
            connection.request("GET", f"/trips/weekly-average?{urlencode(question)}")
            response = connection.getresponse()
            text = response.read()
            assert response.status == http.client.OK, text
            answer = json.loads(text)
            return answer["trips"], answer["weeks"]

        _measure(context, ask, _questions(match))


def duckdb_alone(context: Context, match: str = "") -> None:
    """Measure DuckDB on its own Parquet file, the connection open already."""
    with _duckdb(context) as ask:
        _measure(context, ask, _questions(match))


def groups(context: Context) -> None:
    """Measure the groups of similar trips of each region, over HTTP, by likenesses in turn."""
    taken = []
    with _serving(context) as connection, duckdb.connect() as judge:
        trips = f"read_parquet('{context.templates / 'trips.parquet'}')"
        query = f"SELECT region, count(*) FROM {trips} GROUP BY region"
        expected = dict(judge.execute(query).fetchall())
        # Another `limit` each time, so that none is answered from memory.
        for number, (zoom, hours) in enumerate([(10, 4), *_LIKENESSES]):
            for region, count in expected.items():
                asked = {"region": region, "zoom": zoom, "hours": hours, "limit": 100 + number}
                started = time.perf_counter()
                connection.request("GET", f"/trips/groups?{urlencode(asked)}")
                response = connection.getresponse()
                found = json.loads(response.read())
                assert (response.status, found["trips"]) == (http.client.OK, count), found
                if number:
                    taken.append(time.perf_counter() - started)
    context.seconds = statistics.median(taken)
    context.details["seconds of the slowest"] = max(taken)
    context.details["trips in the greatest region"] = max(expected.values())


def _questions(match: str) -> Sequence[Question]:
    """A box about every fourth district, as far as one standard deviation; or every region."""
    with CITIES.open(encoding="utf-8", newline="") as stream:
        districts = list(csv.DictReader(stream))
    if not match:
        return [{"region": region} for region in dict.fromkeys(d["region"] for d in districts)]
    return [
        {
            f"{side}_{axis}": round(
                float(district[axis]) + sign * float(district["spread_km"]) / _KM_PER_DEGREE, 4
            )
            for side, sign in (("min", -1), ("max", 1))
            for axis in ("lon", "lat")
        }
        | {"match": match}
        for district in districts[::_EVERY]
    ]


def _area(question: Question) -> str:
    """SQL of the condition that `question` puts, whose values are bound by name."""
    if "region" in question:
        return "region = $region"
    ends = ["origin", "destination"] if question["match"] == "both" else [question["match"]]
    return " AND ".join(
        f"{end}_{axis} BETWEEN $min_{axis} AND $max_{axis}"
        for end in ends
        for axis in ("lon", "lat")
    )


@contextmanager
def _duckdb(context: Context) -> Iterator[Callable[[Question], Answer]]:
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        trips = f"read_parquet('{context.templates / 'trips.parquet'}')"

        def ask(question: Question) -> Answer:
            values = {name: value for name, value in question.items() if name != "match"}
            query = AREA.format(trips=trips, area=_area(question))
            ((count, weeks),) = connection.execute(query, values).fetchall()
            return count, int(weeks)

        yield ask


def _measure(
    context: Context, ask: Callable[[Question], Answer], questions: Sequence[Question]
) -> None:
    with _duckdb(context) as judge:
        expected = [judge(question) for question in questions]
    taken = []
    for number in range(_PASSES + 1):
        for question, answer in zip(questions, expected, strict=True):
            started = time.perf_counter()
            found = ask(question)
            seconds = time.perf_counter() - started
            assert found == answer, (question, found, answer)
            if number:
                taken.append(seconds)
    context.seconds = statistics.median(taken)
    context.details["seconds of the slowest of 20"] = statistics.quantiles(taken, n=20)[-1]
    context.details["trips in the median area"] = statistics.median(n for n, _ in expected)


@contextmanager
def _serving(context: Context) -> Iterator[http.client.HTTPConnection]:
    settings = environment(context.templates / HOME)
    with (
        serving(context, WAREHOUSE_SERVE, settings) as port,
        closing(http.client.HTTPConnection(HOST, port)) as connection,
    ):
        yield connection
