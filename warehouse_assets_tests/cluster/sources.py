"""Sources of all families that grow from round to round."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from warehouse_assets.samples.deliveries import sample_lines
from warehouse_assets.samples.files import Places
from warehouse_assets.samples.forum import write_forum_samples
from warehouse_assets.samples.reviews import write_reviews
from warehouse_assets.samples.school_sources import write_school_samples
from warehouse_assets.samples.trips import write_trips_samples

ROUNDS = 3
_STEPS, _REVIEWS, _STUDENTS = 400, 100, 30


class Sources:
    """Where the sources are, but for the files that go to an inbox."""

    def __init__(self, folder: Path) -> None:
        whole = Places.in_folder(folder / "whole")
        write_school_samples(whole, _STUDENTS, seed=1)
        with closing(sqlite3.connect(whole.students)) as database:
            self._students = database.execute("SELECT * FROM students ORDER BY id").fetchall()
        self._batches = json.loads(whole.batches.read_text())
        self._lines = whole.log.read_text().splitlines(keepends=True)
        self._steps = list(sample_lines(_STEPS * ROUNDS, seed=1))
        self._places = Places.in_folder(folder / "grown")
        (folder / "grown").mkdir()
        self.environment = {
            "STUDENTS_DB": str(self._places.students),
            "BATCHES_URL": str(self._places.batches),
            "TEST_RUNS_LOG": str(self._places.log),
            "REVIEWS_URL": f"sqlite:///{self._places.reviews}",
            "DELIVERIES_FEED": str(self._places.deliveries),
        }

    def grow(self, number: int) -> None:
        """Let the sources hold what they hold in this round, counted from 1."""

        def part(length: int) -> int:
            return length * number // ROUNDS

        with closing(sqlite3.connect(self._places.students)) as database, database:
            database.execute("DROP TABLE IF EXISTS students")
            database.execute(
                "CREATE TABLE students (id INTEGER PRIMARY KEY, name TEXT, batch_id INTEGER, "
                "created_at TEXT)"
            )
            known = self._students[: part(len(self._students))]
            database.executemany("INSERT INTO students VALUES (?, ?, ?, ?)", known)
        self._places.batches.write_text(json.dumps(self._batches[: part(len(self._batches))]))
        self._places.log.write_text("".join(self._lines[: part(len(self._lines))]))
        steps = self._steps[: part(len(self._steps))]
        self._places.deliveries.write_text("".join(f"{step}\n" for step in steps))
        write_reviews(self.environment["REVIEWS_URL"], _REVIEWS * number, seed=1)

    def deliver(self, number: int, inbox: Path) -> None:
        """Put the files of this round into an inbox; later ones change posts and votes."""
        write_forum_samples(inbox, 100 * number, seed=number)
        write_trips_samples(inbox, 200, seed=number)
