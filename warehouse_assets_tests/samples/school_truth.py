"""The sources of a sample school read independently, and held against its ledger."""

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from warehouse_assets.samples.school_places import Places

Rows = list[tuple[Any, ...]]

_SCORE = re.compile(r"(\d+)(?:/| out of )(\d+)")


def rows(database: Path, query: str) -> Rows:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(query).fetchall()


def students(places: Places) -> Rows:
    return rows(places.students, "SELECT * FROM students ORDER BY id")


def batches(places: Places) -> Rows:
    return [tuple(record.values()) for record in json.loads(places.batches.read_text())]


def log_files(places: Places) -> list[Path]:
    """The log and the rotated ones, the oldest first."""
    name = places.log.name
    rotated = {
        int(path.suffix[1:]): path
        for path in places.log.parent.glob(f"{name}.*")
        if path.suffix[1:].isdigit()
    }
    files = [rotated[age] for age in sorted(rotated, reverse=True)]
    return [*files, places.log] if places.log.exists() else files


def log_bytes(places: Places) -> bytes:
    return b"".join(path.read_bytes() for path in log_files(places))


def run_of(line: bytes) -> tuple[Any, ...] | None:
    """The run that a line tells of; None if it is not usable."""
    try:
        record = json.loads(line.decode().replace('"student_id",', '"student_id":', 1))
        score = _SCORE.fullmatch(record["result"])
        student, lesson, title = (
            record["student_id"],
            record.get("lesson_id"),
            record.get("lesson_title"),
        )
        number = None if lesson is None else int(lesson)
    except (ValueError, KeyError, TypeError):
        return None
    if score is None or not isinstance(student, int) or number is None is title:
        return None
    return student, number, title, int(score[1]), int(score[2])


def lines(log: bytes) -> tuple[Rows, Rows]:
    """The runs and the unusable lines of a log, with their positions; blank lines are nothing."""
    assert log.endswith(b"\n") or not log
    runs: Rows = []
    unusable: Rows = []
    position = 0
    for line in log.split(b"\n")[:-1]:
        run = run_of(line)
        if run is not None:
            runs.append((position, *run))
        elif line.strip():
            unusable.append((position, line))
        position += len(line) + 1
    return runs, unusable


def assert_sources_are_as_recorded(places: Places) -> None:
    ledger = places.ledger
    assert students(places) == rows(ledger, "SELECT * FROM students ORDER BY id")
    assert batches(places) == rows(ledger, "SELECT * FROM batches ORDER BY id")
    runs, unusable = lines(log_bytes(places))
    assert runs == rows(ledger, "SELECT * FROM runs ORDER BY position")
    assert unusable == rows(ledger, "SELECT position, raw FROM unusable ORDER BY position")
