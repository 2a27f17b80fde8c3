"""Pages and whole files of published tables with millions of rows, over HTTP, warm.

A page is the median of many that differ; that of an index is by the first column of a key that has
two. The baseline of whole files has DuckDB write the rows of the lake as its own CSV, in order.
"""

import http.client
import statistics
import time
from collections.abc import Sequence
from contextlib import closing

from benchmarks.context import Context
from benchmarks.servers import HOST, WAREHOUSE_SERVE, serving
from benchmarks.subjects.homes import environment, lake_of, settings_of
from warehouse_assets.defs.forum.tables import VOTES

_ASKED = 200
_ASKED_WITHOUT_INDEX = 10


def page(context: Context, by: str) -> None:
    """Measure a page: by `key`, by an `index`, or by a column without one (`none`)."""
    step = context.data.votes // _ASKED
    paths: Sequence[str] = {
        "key": [f"/v1/tables/votes?id={1 + n * step}" for n in range(_ASKED)],
        "index": [f"/v1/tables/votes_per_post_per_week?post_id={1 + n}" for n in range(_ASKED)],
        "none": [f"/v1/tables/votes?user_id={-n - 1}" for n in range(_ASKED_WITHOUT_INDEX)],
    }[by]
    taken = []
    with (
        serving(context, WAREHOUSE_SERVE, environment(context.templates / "home")) as port,
        closing(http.client.HTTPConnection(HOST, port)) as connection,
    ):
        for path in (paths[0], *paths):
            began = time.perf_counter()
            connection.request("GET", path)
            response = connection.getresponse()
            found = response.read()
            taken.append(time.perf_counter() - began)
            assert (response.status, b"{" in found[1:]) == (http.client.OK, by != "none"), found
    context.seconds = statistics.median(taken[1:])
    context.details["seconds of the slowest of 20"] = statistics.quantiles(taken[1:], n=20)[-1]


def whole(context: Context, text: str) -> None:
    """Measure all votes as `csv` or `ndjson`."""
    with serving(context, WAREHOUSE_SERVE, environment(context.templates / "home")) as port:
        connection = http.client.HTTPConnection(HOST, port)
        with closing(connection), context.measuring():
            connection.request("GET", f"/v1/tables/votes?format={text}")
            response = connection.getresponse()
            lines = sum(piece.count(b"\n") for piece in iter(lambda: response.read(1 << 20), b""))
    assert lines == context.data.votes + (text == "csv")


def duckdb_alone(context: Context) -> None:
    """Measure DuckDB's own CSV of the same rows."""
    lake = lake_of(settings_of(context.templates / "home"))
    with lake.connect() as connection:
        lake.view_newest(connection, VOTES)
        with context.measuring():
            rows = connection.table("votes").order("id")
            rows.write_csv(str(context.folder / "votes.csv"), header=True)
