"""What the sample sources say, in plain Python, as an agent's answers must be."""

import csv
import gzip
import json
import math
import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

_POINT = re.compile(r"POINT \((\S+) (\S+)\)")
_SLIP, _RESULT = '"student_id",', re.compile(r"(\d+)\s*(?:/|out of)\s*(\d+)")


def monday(day: date) -> str:
    """The Monday of a day's week."""
    return str(day - timedelta(days=day.weekday()))


def lines_of(path: Path) -> list[str]:
    """The lines of a file, packed or not."""
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return text.decode("utf-8", "replace").splitlines()


def votes_of(path: Path) -> list[dict[str, Any]]:
    """The votes of a file that can be used, in its order."""
    found = []
    for line in lines_of(path):
        with suppress(ValueError, KeyError, TypeError):
            said = json.loads(line)
            at = datetime.fromisoformat(said["CreationDate"])
            found.append({"id": int(said["Id"]), "post": int(said["PostId"]), "at": at})
    return found


@dataclass(frozen=True)
class Trip:
    """A trip, as its line says."""

    region: str
    origin: tuple[float, float]
    destination: tuple[float, float]
    at: datetime
    datasource: str

    @classmethod
    def all_of(cls, paths: list[Path]) -> list["Trip"]:
        """Those of files of CSV that can be used."""
        return [trip for path in paths for trip in cls._of(path)]

    @classmethod
    def _of(cls, path: Path) -> Iterator["Trip"]:
        for row in csv.DictReader(lines_of(path)):
            with suppress(ValueError, TypeError, AttributeError):
                ends = [_POINT.fullmatch(row[f"{end}_coord"]) for end in ("origin", "destination")]
                (lon, lat), (lon_2, lat_2) = (map(float, end.groups()) for end in ends if end)
                if not (abs(lon) <= 180 and abs(lon_2) <= 180 and abs(lat) <= 90 >= abs(lat_2)):
                    continue
                at = datetime.fromisoformat(row.get("datetime") or row["date_time"])
                if row["region"] and row["datasource"]:
                    yield cls(row["region"], (lon, lat), (lon_2, lat_2), at, row["datasource"])

    def tiles(self, zoom: int) -> tuple[int, ...]:
        """The Web-Mercator tiles of both ends."""
        return (*_tile(*self.origin, zoom), *_tile(*self.destination, zoom))


def _tile(lon: float, lat: float, zoom: int) -> tuple[int, int]:
    size, angle = 2**zoom, math.radians(lat)
    return (
        math.floor((lon + 180) / 360 * size),
        math.floor((1 - math.asinh(math.tan(angle)) / math.pi) / 2 * size),
    )


def students_with_lessons(sources: Path, lessons: int) -> Counter[int]:
    """By batch, its students that completed at least so many lessons."""
    runs = list(_runs(sources / "test_runs.log"))
    titles: dict[str, str] = {title: lesson for _, _, lesson, title in runs if lesson and title}
    completed: dict[int, set[str | None]] = defaultdict(set)
    for student, is_completed, lesson, title in runs:
        if is_completed:
            completed[student].add(lesson or titles.get(title or "") or title)
    with closing(sqlite3.connect(sources / "students.db")) as database:
        batches: Mapping[int, int] = dict(database.execute("SELECT id, batch_id FROM students"))
    return Counter(
        batches[student]
        for student, done in completed.items()
        if len(done) >= lessons and batches.get(student) is not None
    )


def _runs(log: Path) -> Iterator[tuple[int, bool, str | None, str | None]]:
    for line in lines_of(log):
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            said = json.loads(line.replace(_SLIP, '"student_id":'))
            result = _RESULT.fullmatch(said["result"])
            lesson, title = said.get("lesson_id"), said.get("lesson_title")
            if result and (lesson is not None or title):
                number = None if lesson is None else str(int(lesson))
                yield int(said["student_id"]), result[1] == result[2], number, title


def durations(feed: Path) -> list[float]:
    """The seconds that each successful delivery took, of a feed."""
    opened: dict[int, datetime] = {}
    ended: dict[int, datetime] = {}
    found = []
    for line in lines_of(feed):
        try:
            said = json.loads(line)
            step, customer = said["Delivery Step"], said["Customer"]
            at = datetime.fromisoformat(said["Timestamp"])
        except (ValueError, KeyError, TypeError):
            continue
        if type(step) is not int or type(customer) is not int or not 1 <= step <= 4:
            continue
        if customer in ended and at <= ended[customer]:
            continue
        if step == 1:
            if customer in opened and at > opened[customer]:
                ended[customer] = opened.pop(customer)
            opened.setdefault(customer, at)
        elif step == 4 and customer in opened and at >= opened[customer]:
            found.append((at - opened.pop(customer)).total_seconds())
            ended[customer] = at
    return found
