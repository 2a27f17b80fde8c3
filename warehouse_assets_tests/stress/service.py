"""One trial: the service answers without pause while its sources change and are published.

`warehouse serve` is asked over 16 connections for products, users, pages of reviews, answers and
trips. No request may fail, and each answer must be whole: that of one version of the sources, not
an older one than was published when it was asked for, nor than the connection has seen before.

The sources of version N have the reviews of the days N and N + 1, for each day a bad and a good
one of each product by each user, and of each region two trips in each of the weeks up to N. So an
answer tells of which version it is, and a mixture of versions shows.
"""

import csv
import ctypes
import io
import json
import random
import shutil
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import date, timedelta
from functools import partial
from http.client import HTTPConnection, HTTPException
from itertools import product
from multiprocessing.sharedctypes import RawValue
from pathlib import Path
from typing import Any
from urllib.parse import quote

import dagster as dg

from warehouse_assets.defs.reviews.tables import TABLES as REVIEWS_TABLES
from warehouse_assets.defs.trips.tables import TABLES as TRIPS_TABLES
from warehouse_assets.runs import failed_steps
from warehouse_assets_tests.defs.reviews.databases import Database, Review, review
from warehouse_assets_tests.defs.trips import journeys
from warehouse_assets_tests.defs.trips.journeys import Trip
from warehouse_assets_tests.house import House
from warehouse_assets_tests.ports import free_port
from warehouse_assets_tests.postgres import postgres_url
from warehouse_assets_tests.stress.warm import (
    Child,
    DifferenceError,
    command,
    wait_until,
)

KINDS = ("sqlite", "postgresql")
_CONNECTIONS = 16
_SECONDS_BETWEEN_LOOKS = 0.05
# PostgreSQL tells the service what was published; SQLite's file is looked at for each request.
_SECONDS_TO_HEAR = {"sqlite": 0.0, "postgresql": 1.0}

_PRODUCTS = ("B0", "B1", "B2", "a/b ü?", "'; DROP TABLE reviews; --")
_USERS = ("A0", "A1", "A2", "A3", "A4")
_OF_A_DAY = 2 * len(_USERS)  # reviews of a product, and as many by a user
_REGIONS = ("Prague", "Turin")
_FIRST_DAY, _FIRST_WEEK = date(2014, 1, 1), date(2018, 1, 1)
_FIRST_SECOND = 1_388_534_400  # of that day


class _Progress(ctypes.Structure):
    """How far the publishing process is, in memory that it shares: numbers of versions."""

    _fields_ = (("began", ctypes.c_int), ("ended", ctypes.c_int), ("is_over", ctypes.c_int))


def _reviews_of(day: int) -> list[Review]:
    written = product(_PRODUCTS, _USERS, (1.0, 5.0))
    return [
        review(
            day * 1000 + number,
            productID=item,
            reviewerID=user,
            overall=rating,
            summary=str(day),
            unixReviewTime=_FIRST_SECOND + day * 86_400 + number,
        )
        for number, (item, user, rating) in enumerate(written)
    ]


def _trips_of(week: int) -> list[Trip]:
    at = f"{_FIRST_WEEK + timedelta(weeks=week)} 09:00:00"
    return [Trip(region, at=at) for region in _REGIONS for _ in range(2)]


def publish_versions(home: Path, environment: Mapping[str, str], progress: Any) -> None:
    """Change the sources and publish what follows, again and again until it is over."""
    database = Database("sqlite", home / "reviews")
    database.insert(_reviews_of(0))
    assets = [str(table.name) for table in (*REVIEWS_TABLES, *TRIPS_TABLES)]
    with dg.DagsterInstance.ephemeral() as instance:
        house = House(home, instance, REVIEWS_URL=database.url, **environment)
        while not progress.is_over:
            number = progress.began = progress.began + 1
            database.execute('DELETE FROM reviews WHERE "index" < ?', [[number * 1000]])
            database.insert(_reviews_of(number + 1))
            house.deliver(f"trips_{number}.csv", journeys.content(_trips_of(number)))
            result = house.run(*assets, checks=False)
            if not result.success:
                raise AssertionError(f"a run failed: {failed_steps(result)}")
            progress.ended = number


def _only(versions: Sequence[Any]) -> int:
    """The one version that all of an answer is of."""
    (version,) = set(versions)
    return int(version)


def _of_summary(body: bytes) -> int:
    told = json.loads(body)
    first, last = (
        (date.fromisoformat(told[f"{end}_review_date"]) - _FIRST_DAY).days
        for end in ("first", "last")
    )
    stars = [told["stars"][star]["count"] for star in "15"]
    assert (told["average_rating"], stars) == (3.0, [_OF_A_DAY] * 2)
    assert told["reviews"] == sum(month["reviews"] for month in told["months"]) == 2 * _OF_A_DAY
    return _only([first, last - 1])


def _of_page(body: bytes) -> int:
    days = [int(found["summary"]) for found in json.loads(body)["reviews"]]
    assert Counter(days) == {days[0]: _OF_A_DAY, days[-1]: _OF_A_DAY}
    return _only([days[-1], days[0] - 1])


def _of_average(body: bytes) -> int:
    told = json.loads(body)
    assert told["average_trips_per_week"] == 2.0
    assert {week["trips"] for week in told["series"]} == {2}
    return _only([told["weeks"] - 1, told["trips"] / 2 - 1, len(told["series"]) - 1])


def _of_groups(body: bytes) -> int:
    groups = {group["region"]: group["trips"] for group in json.loads(body)["groups"]}
    assert groups.keys() == set(_REGIONS)
    return _only([trips / 2 - 1 for trips in groups.values()])


def _of_weeks(body: bytes) -> int:
    rows = list(csv.DictReader(io.StringIO(body.decode(), newline="")))
    assert {row["trips"] for row in rows} == {"2"}
    weeks = Counter(row["region"] for row in rows)
    return _only([weeks[region] - 1 for region in _REGIONS])


def _questions() -> Mapping[str, Callable[[bytes], int]]:
    """What is asked, and of which version an answer is; not whole, it raises an error."""
    found: dict[str, Callable[[bytes], int]] = {
        "/trips/groups?limit=1000": _of_groups,
        "/answers/weekly_trips?format=csv": _of_weeks,
    }
    for kind, ids in (("product", _PRODUCTS), ("user", _USERS)):
        for id_ in ids:
            path = f"/{kind}/{quote(id_, safe='')}"
            found |= {path: _of_summary, f"{path}/reviews?limit=100": _of_page}
    return found | {f"/trips/weekly-average?region={name}": _of_average for name in _REGIONS}


class _Judge:
    """Knows which version must be answered with at least; every connection asks it."""

    def __init__(self, progress: Any, seconds_to_hear: float) -> None:
        self.questions = _questions()
        self.progress = progress
        self._seconds_to_hear = seconds_to_hear
        self._ends: list[tuple[float, int]] = []

    def note(self) -> None:
        """Note the time at which a version was seen to be published."""
        if not self._ends or self._ends[-1][1] < self.progress.ended:
            self._ends.append((time.monotonic(), self.progress.ended))

    def oldest(self) -> int:
        """The oldest version that may still be answered with."""
        if not self._seconds_to_hear:
            return int(self.progress.ended)
        heard = time.monotonic() - self._seconds_to_hear
        return max((number for at, number in self._ends if at < heard), default=0)


class _Connection(threading.Thread):
    """Asks without pause until the first difference, sometimes whether what it knows holds."""

    def __init__(self, port: int, seed: int, judge: _Judge, stop: threading.Event) -> None:
        super().__init__()
        self._http = HTTPConnection("127.0.0.1", port, timeout=30)
        self._random = random.Random(seed)
        self._judge = judge
        self._is_over = stop
        self._known: dict[str, tuple[str, bytes]] = {}
        self._seen: dict[str, int] = {}
        self.requests = 0
        self.unchanged = 0
        self.difference: str | None = None

    def run(self) -> None:
        paths = sorted(self._judge.questions)
        while not self._is_over.is_set() and self.difference is None:
            path = self._random.choice(paths)
            try:
                self.difference = self._ask(path)
            except (OSError, HTTPException) as error:
                self.difference = f"{path}: {error!r}"
            self.requests += 1
        self._http.close()

    def _ask(self, path: str) -> str | None:
        """Ask once; returns what is wrong with the answer."""
        tag, body = self._known.get(path, ("", b""))
        headers = {"If-None-Match": tag} if tag and self._random.random() < 0.5 else {}
        oldest = max(self._seen.get(path, 0), self._judge.oldest())
        self._http.request("GET", path, headers=headers)
        response = self._http.getresponse()
        told = response.read()
        if response.status == 304 and headers and not told:
            self.unchanged += 1
        elif response.status == 200:
            body = told
        else:
            return f"{path}: {response.status} {told[:500]!r}"
        try:
            version = self._judge.questions[path](body)
        except (ValueError, KeyError, AssertionError) as error:
            return f"{path}: {response.status}, of no version: {error!r} {body[:2000]!r}"
        if not oldest <= version <= self._judge.progress.began:
            return f"{path}: {response.status}, of version {version}, not of {oldest} or later"
        self._known[path] = response.headers["ETag"], body
        self._seen[path] = version
        return None


def trial(seed: int, folder: Path, figures: Counter[str], seconds: float, kind: str) -> None:
    """Ask the service over a warehouse of this kind for so long.

    Raises:
        DifferenceError: a request failed, or an answer is not that of one version.
    """
    home, children = folder / "home", folder / "children"
    environment = {"WAREHOUSE_URL": postgres_url()} if kind == "postgresql" else {}
    progress: Any = RawValue(_Progress, -1, -1, 0)
    publisher = Child(partial(publish_versions, home, environment, progress), children)
    judge = _Judge(progress, _SECONDS_TO_HEAR[kind])
    port = free_port()
    try:
        wait_until(
            lambda: progress.ended >= 0, lambda: publisher.wait(0) is None, "nothing was published"
        )
        with command(home, environment, "serve", "--port", str(port)) as service:
            said = f"the service does not listen, see {home}"
            wait_until(lambda: _listens(port), lambda: service.poll() is None, said)
            _ask(seed, port, judge, figures, seconds, kind)
            progress.is_over = 1
            publisher.result()
    finally:
        publisher.kill()
    figures["publications"] += progress.ended + 1
    shutil.rmtree(folder)


def _ask(
    seed: int, port: int, judge: _Judge, figures: Counter[str], seconds: float, kind: str
) -> None:
    """Ask over all connections until the time is up or an answer differs."""
    stop = threading.Event()
    connections = [
        _Connection(port, seed * _CONNECTIONS + number, judge, stop)
        for number in range(_CONNECTIONS)
    ]
    for connection in connections:
        connection.start()
    until = time.monotonic() + seconds
    while time.monotonic() < until and all(c.difference is None for c in connections):
        judge.note()
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    stop.set()
    for connection in connections:
        connection.join()
        figures["requests"] += connection.requests
        figures["requests unchanged"] += connection.unchanged
    if differences := [c.difference for c in connections if c.difference]:
        raise DifferenceError(f"{kind}: {differences[0]} ({len(differences)} connections)")


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
