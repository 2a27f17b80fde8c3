"""What an answer was, and why a row of it is what it is, over HTTP, warm.

The row is one that the delivery changed; it is asked why it changed since, and of what it is made.
"""

import http.client
import json
import statistics
import time
from contextlib import closing
from typing import Any

from benchmarks.context import Context
from benchmarks.servers import HOST, WAREHOUSE_SERVE, serving
from benchmarks.subjects.homes import environment
from warehouse_assets.times import utc_now

_ANSWER = "/v1/answers/mean_votes_per_post_per_week"
_TIMES = 5


def note_moment(context: Context) -> None:
    """Note the moment before the delivery, for the subjects."""
    with context.measuring():
        (context.templates / "moment").write_text(utc_now().isoformat())


def asked(context: Context, what: str) -> None:
    """Measure the answer `as_of` the moment, `why` a row changed `since`, or what it is made of."""
    moment = (context.templates / "moment").read_text()
    with (
        serving(context, WAREHOUSE_SERVE, environment(context.templates / "home")) as port,
        closing(http.client.HTTPConnection(HOST, port)) as connection,
    ):

        def get(path: str) -> Any:
            connection.request("GET", f"{_ANSWER}{path}")
            response = connection.getresponse()
            found = response.read()
            assert response.status == http.client.OK, found
            return json.loads(found)

        changed = get(f"/changes?since={moment}&limit=1")["items"][0]
        week = (changed["after"] or changed["before"])["week_start"]
        path = {
            "as_of": f"?as_of={moment}",
            "since": f"/why?week_start={week}&since={moment}",
            "why": f"/why?week_start={week}",
        }[what]
        taken = []
        for number in range(_TIMES + 1):
            began = time.perf_counter()
            # Nothing is kept of an answer that was asked otherwise.
            found = get(f"{path}&limit={20 + number}")
            taken.append(time.perf_counter() - began)
    context.seconds = statistics.median(taken[1:])
    context.details["seconds of the first"] = taken[0]
    if what != "as_of":
        context.details["rows of votes"] = next(
            step["added"] + step["changed"] + step["removed"]
            for step in found["steps"]
            if step["table"] == "votes"
        )
