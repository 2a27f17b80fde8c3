"""One trial: the service answers without pause while its sources change and are published.

`warehouse serve` is asked over 16 connections for products, users, pages of reviews, answers and
trips. No request may fail, and each answer must be whole: that of one version of the sources, not
an older one than was published when it was asked for, nor than the connection has seen before.
"""

import ctypes
import random
import shutil
import socket
import threading
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from http.client import HTTPConnection, HTTPException
from multiprocessing.sharedctypes import RawValue
from pathlib import Path
from typing import Any

import dagster as dg

from warehouse_assets.defs.reviews.tables import TABLES as REVIEWS_TABLES
from warehouse_assets.defs.trips.tables import TABLES as TRIPS_TABLES
from warehouse_assets.runs import failed_steps
from warehouse_assets_tests.defs.reviews.databases import Database
from warehouse_assets_tests.defs.trips import journeys
from warehouse_assets_tests.house import House
from warehouse_assets_tests.postgres import postgres_url
from warehouse_assets_tests.stress.service_sources import Versions, questions
from warehouse_assets_tests.stress.warm import (
    Child,
    DifferenceError,
    command,
    free_port,
    wait_until,
)

KINDS = ("sqlite", "postgresql")
_CONNECTIONS = 16
_SECONDS_BETWEEN_LOOKS = 0.05
# PostgreSQL tells the service what was published; SQLite's file is looked at for each request.
_SECONDS_TO_HEAR = {"sqlite": 0.0, "postgresql": 1.0}


class _Progress(ctypes.Structure):
    """How far the publishing process is, in memory that it shares: numbers of versions."""

    _fields_ = (("began", ctypes.c_int), ("ended", ctypes.c_int), ("is_over", ctypes.c_int))


def publish_versions(home: Path, seed: int, environment: Mapping[str, str], progress: Any) -> None:
    """Change the sources and publish what follows, again and again until it is over."""
    database = Database("sqlite", home / "reviews")
    versions = Versions(seed)
    assets = [str(table.name) for table in (*REVIEWS_TABLES, *TRIPS_TABLES)]
    with dg.DagsterInstance.ephemeral() as instance:
        house = House(home, instance, REVIEWS_URL=database.url, **environment)
        while not progress.is_over:
            number = progress.began + 1
            version = versions[number]
            progress.began = number
            version.apply(database)
            house.deliver(f"trips_{number}.csv", journeys.content(version.new_trips))
            result = house.run(*assets, checks=False)
            if not result.success:
                raise AssertionError(f"a run failed: {failed_steps(result)}")
            progress.ended = number


class _Judge:
    """Knows what must be answered; every connection asks it."""

    def __init__(self, seed: int, progress: Any, seconds_to_hear: float) -> None:
        self.questions = questions()
        self._progress = progress
        self._versions = Versions(seed)
        self._seconds_to_hear = seconds_to_hear
        self._ends: list[tuple[float, int]] = []
        self._lock = threading.Lock()
        self._verdicts: dict[tuple[str, bytes, int], bool] = {}

    def note(self) -> None:
        """Note the time at which a version was seen to be published."""
        if not self._ends or self._ends[-1][1] < self._progress.ended:
            self._ends.append((time.monotonic(), self._progress.ended))

    def oldest(self) -> int:
        """The oldest version that may still be answered with."""
        if not self._seconds_to_hear:
            return int(self._progress.ended)
        heard = time.monotonic() - self._seconds_to_hear
        return max((number for at, number in self._ends if at < heard), default=0)

    def version(self, path: str, body: bytes, oldest: int) -> int | None:
        """The first version from `oldest` on of which this is the answer; None if of none."""
        newest = int(self._progress.began)
        with self._lock:
            found = (n for n in range(oldest, newest + 1) if self._is_of(path, body, n))
            return next(found, None)

    def _is_of(self, path: str, body: bytes, number: int) -> bool:
        key = path, body, number
        if key not in self._verdicts:
            question = self.questions[path]
            expected = question.expected(self._versions[number])
            self._verdicts[key] = question.told(body) == expected
        return self._verdicts[key]


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
            except (OSError, HTTPException, ValueError, KeyError) as error:
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
        version = self._judge.version(path, body, oldest)
        if version is None:
            return f"{path}: {response.status}, of no version from {oldest} on: {body[:2000]!r}"
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
    publisher = Child(partial(publish_versions, home, seed, environment, progress), children)
    judge = _Judge(seed, progress, _SECONDS_TO_HEAR[kind])
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
