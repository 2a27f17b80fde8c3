"""What the answers about a sample school must be, from the content of its sources.

It is plain Python and shares nothing with the warehouse nor with what makes the sources.
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from warehouse_assets.samples.files import Places
from warehouse_assets_tests.defs.school import line_model

Rows = list[tuple[Any, ...]]

_ENOUGH_LESSONS = 3


def students(places: Places) -> Rows:
    with closing(sqlite3.connect(places.students, timeout=60)) as connection:
        return connection.execute("SELECT * FROM students ORDER BY id").fetchall()


def batches(places: Places) -> Rows:
    if not places.batches.exists():  # the first of them are still to be made
        return []
    return [tuple(record.values()) for record in json.loads(places.batches.read_text())]


def log_files(places: Places) -> list[Path]:
    """The log and the rotated ones, the oldest first."""
    rotated = places.log.parent.glob(f"{places.log.name}.*")
    files = sorted(rotated, key=lambda path: -int(path.suffix[1:]))
    return [*files, places.log] if places.log.exists() else files


def log_bytes(places: Places) -> bytes:
    return b"".join(path.read_bytes() for path in log_files(places))


def truth(places: Places) -> dict[str, Rows]:
    """Every row that the warehouse must have, sorted by its text.

    The ranking is batch, students, those of them that completed at least 3 different lessons, and
    the rank, which is one more than there are batches with more such students.
    """
    runs, unusable = line_model.expected([path.read_bytes() for path in log_files(places)])
    found: dict[str, Rows] = {
        "students": [row[:3] for row in students(places)],
        "batches": [row[:2] for row in batches(places)],
        "runs": [row[:-1] for row in runs],
        "unusable": [(position,) for position, _ in unusable],
    }
    found["ranking"] = ranking(found["students"], found["batches"], found["runs"])
    return {name: sorted(rows, key=repr) for name, rows in found.items()}


def ranking(students: Rows, batches: Rows, runs: Iterable[tuple[Any, ...]]) -> Rows:
    """The ranking from the columns that `truth` has of the others, best first."""
    runs = sorted(runs)
    # Of each title the number that came with it last.
    lessons = {title: lesson for _, _, lesson, title, _, _ in runs if None not in (lesson, title)}
    completed: defaultdict[int, set[int | str]] = defaultdict(set)
    for _, student, lesson, title, passed, total in runs:
        if passed == total:
            completed[student].add(lessons.get(title, title) if lesson is None else lesson)
    counts = {batch: [0, 0] for batch, _ in batches}
    for student, _, batch in students:
        if batch in counts:
            counts[batch][0] += 1
            counts[batch][1] += len(completed.get(student, ())) >= _ENOUGH_LESSONS
    strong = sorted((finished for _, finished in counts.values()), reverse=True)
    rows = [
        (batch, n, finished, strong.index(finished) + 1) for batch, (n, finished) in counts.items()
    ]
    return sorted(rows, key=lambda row: (row[3], row[0]))
