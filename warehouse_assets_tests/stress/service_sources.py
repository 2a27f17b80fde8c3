"""Sources of reviews and trips that change from version to version, and what must be answered.

The versions follow from a seed alone, so that whoever makes them and whoever holds answers against
them need not speak. What must be answered is computed by plain Python from the rows of a version.
"""

import csv
import io
import json
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import Any
from urllib.parse import quote

from warehouse_assets_tests.api.reviewing import expected, expected_reviews
from warehouse_assets_tests.defs.reviews.databases import Database, Review, review
from warehouse_assets_tests.defs.trips import journeys
from warehouse_assets_tests.defs.trips.journeys import PRAGUE, TURIN, Trip

_PRODUCTS = ("B0", "B1", "B2", "B3", "a/b ü?", "'; DROP TABLE reviews; --")
_USERS = tuple(f"A{number}" for number in range(6))
_PLACES = (PRAGUE, TURIN, (14.5, 50.1))
_REVIEWS_AT_FIRST = 300
_REVIEWS_ADDED, _REVIEWS_CHANGED, _REVIEWS_REMOVED = 8, 6, 6
_TRIPS_ADDED = 10
_REVIEWS_ON_A_PAGE = 20
_WEEK = timedelta(weeks=1)


@dataclass(frozen=True)
class Version:
    """All rows of the sources in a version, and what changed since the one before."""

    reviews: Sequence[Review]
    trips: Sequence[Trip]
    added: Sequence[Review]
    changed: Sequence[Review]
    removed: Sequence[int]
    new_trips: Sequence[Trip]

    def apply(self, database: Database) -> None:
        """Make the changes to the source of reviews."""
        database.execute(
            'DELETE FROM reviews WHERE "index" = ?', [[number] for number in self.removed]
        )
        database.execute(
            'UPDATE reviews SET overall = ? WHERE "index" = ?',
            [(changed["overall"], changed["index"]) for changed in self.changed],
        )
        database.insert(self.added)


class Versions:
    """The versions that follow from a seed, by number from 0."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._made: list[Version] = []
        self._reviews: dict[int, Review] = {}
        self._number = 0

    def __getitem__(self, number: int) -> Version:
        while len(self._made) <= number:
            self._made.append(self._next())
        return self._made[number]

    def _next(self) -> Version:
        removed: list[int] = []
        changed: list[Review] = []
        if self._made:
            removed = self._random.sample(sorted(self._reviews), _REVIEWS_REMOVED)
            for number in removed:
                del self._reviews[number]
            changed = [
                {**self._reviews[number], "overall": self._rating()}
                for number in self._random.sample(sorted(self._reviews), _REVIEWS_CHANGED)
            ]
        added = [self._review() for _ in range(_REVIEWS_ADDED if self._made else _REVIEWS_AT_FIRST)]
        self._reviews.update((found["index"], found) for found in (*changed, *added))
        trips = [self._trip() for _ in range(_TRIPS_ADDED)]
        before = self._made[-1].trips if self._made else ()
        return Version(
            tuple(self._reviews.values()), (*before, *trips), added, changed, removed, trips
        )

    def _rating(self) -> float:
        return float(self._random.randint(1, 5))

    def _review(self) -> Review:
        self._number += 1
        return review(
            self._number,
            overall=self._rating(),
            verified=self._random.randint(0, 1),
            productID=self._random.choice(_PRODUCTS),
            reviewerID=self._random.choice(_USERS),
            # Of no two the time is the same, which would leave their order open.
            unixReviewTime=1_378_684_800 + self._number * 40_007,
        )

    def _trip(self) -> Trip:
        day = date(2018, 1, 1) + timedelta(days=self._random.randrange(300))
        return Trip(
            self._random.choice(["Prague", "Turin"]),
            self._random.choice(_PLACES),
            self._random.choice(_PLACES),
            f"{day} {self._random.choice([0, 9, 23]):02}:00:00",
            self._random.choice(["funny_car", "cheap_mobile"]),
        )


@dataclass(frozen=True)
class Question:
    """Something that can be asked: what is told, as it can be compared, and what must be told."""

    told: Callable[[bytes], Any]
    expected: Callable[[Version], Any]


def questions() -> Mapping[str, Question]:
    """What is asked, by path."""
    found: dict[str, Question] = {}
    for kind, column, ids in (("product", "productID", _PRODUCTS), ("user", "reviewerID", _USERS)):
        for id_ in ids:
            path = f"/{kind}/{quote(id_, safe='')}"
            found[path] = Question(json.loads, partial(_expected_summary, column, id_))
            found[f"{path}/reviews"] = Question(_page, partial(_expected_page, column, id_))
    for region in ("Prague", "Turin"):
        found[f"/trips/weekly-average?region={region}"] = Question(
            json.loads, partial(_weekly_average, region)
        )
    found["/trips/groups?limit=1000"] = Question(_groups, lambda v: journeys.groups(v.trips))
    found["/answers/weekly_trips?format=csv"] = Question(_rows, _weekly_trips)
    return found


def _of(version: Version, column: str, id_: str) -> list[Review]:
    return [found for found in version.reviews if found[column] == id_]


def _expected_summary(column: str, id_: str, version: Version) -> Any:
    return expected(id_, _of(version, column, id_))


def _page(body: bytes) -> Any:
    told = json.loads(body)
    return told["id"], told["reviews"], told["next"] is not None


def _expected_page(column: str, id_: str, version: Version) -> Any:
    newest = expected_reviews(_of(version, column, id_))
    return id_, newest[:_REVIEWS_ON_A_PAGE], len(newest) > _REVIEWS_ON_A_PAGE


def _weekly_average(region: str, version: Version) -> Any:
    of_region = [trip for trip in version.trips if trip.region == region]
    trips = Counter(journeys.monday(trip.time.date()) for trip in of_region)
    weeks = [
        min(trips) + number * _WEEK for number in range((max(trips) - min(trips)) // _WEEK + 1)
    ]
    return {
        "average_trips_per_week": len(of_region) / len(weeks),
        "trips": len(of_region),
        "weeks": len(weeks),
        "series": [{"week_start": str(week), "trips": trips[week]} for week in weeks],
    }


def _groups(body: bytes) -> Any:
    """The groups as the rows of `trip_groups`."""
    rows = []
    for group in json.loads(body)["groups"]:
        *key, first, last, _, _ = group.values()
        rows.append((*key, *(Trip(at=text).time for text in (first, last))))
    return sorted(rows)


def _rows(body: bytes) -> Any:
    return sorted(tuple(row) for row in csv.reader(io.StringIO(body.decode(), newline="")))[:-1]


def _weekly_trips(version: Version) -> Any:
    return sorted(
        (region, str(week), source, str(trips), last.isoformat())
        for region, week, source, trips, last in journeys.by_week(version.trips)
    )
