"""A warehouse with the school's sources at their default places, written by hand."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import dagster as dg

from warehouse_assets.defs.school.tables import TABLES
from warehouse_assets_tests.house import House

ALL = (*(str(table.name) for table in TABLES), "rejected_records")


class SchoolHouse(House):
    """A house whose runs are of the school's assets."""

    def __init__(self, home: Path, instance: dg.DagsterInstance, **environment: str) -> None:
        super().__init__(home, instance, **environment)
        self.sources = home / "sources"
        self.sources.mkdir(parents=True, exist_ok=True)

    def catch_up(self, *assets: str, checks: bool = True) -> dg.ExecuteInProcessResult:
        """Materialise the given assets, or the whole family."""
        return self.run(*(assets or ALL), checks=checks)

    def enrol(self, students: Iterable[tuple[int, int | None]]) -> None:
        """Insert students, or give those that are there another batch."""
        with closing(sqlite3.connect(self.sources / "students.db")) as connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS students "
                "(id INTEGER PRIMARY KEY, name TEXT, batch_id INTEGER, created_at TEXT)"
            )
            connection.executemany(
                "INSERT OR REPLACE INTO students VALUES (?, ?, ?, '2026-01-05 08:00:00')",
                [(student, f"student {student}", batch) for student, batch in students],
            )
            connection.commit()

    def open_batches(self, *batches: int) -> None:
        """Record these batches, and no others, as what the server would answer."""
        answer = [
            {"id": b, "name": f"batch {b}", "created_at": f"2026-01-05 08:00:{b:02}.123456"}
            for b in batches
        ]
        (self.sources / "batches.json").write_text(json.dumps(answer))

    def log(self, *lines: str) -> None:
        """Append lines to the log of test runs."""
        with (self.sources / "test_runs.log").open("a") as stream:
            stream.writelines(f"{line}\n" for line in lines)

    def complete(self, student: int, *lessons: int) -> None:
        """Log a completed run of each lesson."""
        self.log(*(run(student, lesson) for lesson in lessons))

    def ranking(self) -> Sequence[tuple[Any, ...]]:
        """Batch, students, students with 3 lessons and rank, as published."""
        rows = self.published("batch_completions")
        return [(row[0], row[2], row[3], row[5]) for row in rows]


def run(student: int, lesson: int | str, result: str = "2 out of 2") -> str:
    """A line as the producers write it: a comma where a colon belongs."""
    if isinstance(lesson, str):
        return f'{{"result": "{result}", "student_id", {student}, "lesson_title": "{lesson}"}}'
    return f'{{"result": "{result}", "student_id", {student}, "lesson_id": "{lesson}"}}'
