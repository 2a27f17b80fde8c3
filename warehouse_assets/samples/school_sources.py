"""The sources of a sample school: what happens there is put into them at once, and nowhere else.

How far a school has come is read from its sources. A process that is killed leaves at most a line
of the log unfinished; the next one ends it, and goes on.
"""

import json
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random

from filelock import FileLock, Timeout

from warehouse_assets.errors import BusyError, SourceError
from warehouse_assets.samples.files import Made, Places, append, end_line, make_files, writing
from warehouse_assets.samples.school import (
    LINES_PER_STUDENT,
    Batch,
    Change,
    Event,
    Line,
    School,
    Student,
)

_APPLICATION_ID = 0x53434F4C  # "SCOL", in the header of the databases that are made here
_PATIENCE_SECONDS = 60.0
_SCHEMA = f"""
PRAGMA application_id = {_APPLICATION_ID};
CREATE TABLE IF NOT EXISTS students(
    id INTEGER PRIMARY KEY, name TEXT, batch_id INTEGER, created_at DATETIME
);
-- The other sources of the school, relative to this one.
CREATE TABLE IF NOT EXISTS sample_sources(path TEXT PRIMARY KEY);
"""
_FIRST_DAY = datetime.fromisoformat("2025-01-06T08:00:00.125")
_YEAR = timedelta(days=360)
_LONGEST_PAUSE = timedelta(seconds=97.3)  # between events
_INSTANT = timedelta(milliseconds=10)  # between batches that begin together
_GROUP = 2000


class SchoolSources:
    """Opens the sources of the school at `places` to write to them. Use it as a context.

    Args:
        places: where they are.
        chance: where the last line of a group is cut, until the next one; None for whole lines.
        final: where they will be, if that is somewhere else.

    Raises:
        BusyError: another program keeps the students locked.
        SourceError: one of them was made by something else, or cannot be written.
    """

    def __init__(
        self, places: Places, chance: Random | None = None, final: Places | None = None
    ) -> None:
        self._places = places
        self._chance = chance
        self._held_back = b""  # the end of the last line of the log
        _refuse_foreign(places)
        self.batches = _read_batches(places.batches)
        with writing(places.log):
            for path in places.school:
                path.parent.mkdir(parents=True, exist_ok=True)
            end_line(places.log)
        with writing(places.students):
            self._students = _open_students(places.students, _others(final or places))

    def __enter__(self) -> "SchoolSources":
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._end_line()
        finally:
            self._students.close()

    def count(self) -> int:
        """How many students there are."""
        with writing(self._places.students):
            (count,) = self._students.execute("SELECT count(*) FROM students").fetchone()
        return int(count)

    def write(self, events: Sequence[Event]) -> None:
        """Put what happened into the sources.

        Raises:
            SourceError: one of them cannot be written.
            BusyError: another program keeps the students locked for a minute.
        """
        people = [event for event in events if isinstance(event, Student | Change)]
        if people:
            self._write_students(people)
        batches = [event for event in events if isinstance(event, Batch)]
        if batches:
            # Replaced, not changed: a server's thread may be reading the list.
            self.batches = [*self.batches, *batches]
            self._write_batches()
        text = b"".join(event.text + b"\n" for event in events if isinstance(event, Line))
        if text:
            text, self._held_back = self._held_back + text, b""
            if self._chance is not None:
                last_line = text[text.rfind(b"\n", 0, -1) + 1 :]
                cut = len(text) - self._chance.randint(0, len(last_line))
                text, self._held_back = text[:cut], text[cut:]
            with writing(self._places.log):
                append(self._places.log, text)

    def rotate(self, keep: int) -> None:
        """Rename the log to .1, and .1 to .2, and so on; a line that is half written ends in it.

        Args:
            keep: how many rotated logs stay; older ones are deleted.
        """
        self._end_line()
        log = self._places.log
        ages = [log, *(log.with_name(f"{log.name}.{age}") for age in range(1, keep + 1))]
        with writing(log):
            ages[-1].unlink(missing_ok=True)
            for old, older in reversed(list(pairwise(ages))):
                if old.exists():
                    old.replace(older)

    def lock_students(self, seconds: float) -> None:
        """Keep everybody from writing to the students, and in rollback mode from reading them."""
        with writing(self._places.students), self._students:
            self._students.execute("BEGIN EXCLUSIVE")
            time.sleep(seconds)

    def use_wal(self, is_wal: bool) -> None:
        """Have the students' database in WAL mode, or in rollback mode, if nobody reads it."""
        mode = "WAL" if is_wal else "DELETE"
        with writing(self._places.students):
            self._students.execute("PRAGMA busy_timeout = 0")
            try:
                self._students.execute(f"PRAGMA journal_mode = {mode}")
            except sqlite3.OperationalError as error:
                if "locked" not in str(error):
                    raise
            finally:
                self._students.execute(f"PRAGMA busy_timeout = {_PATIENCE_SECONDS * 1000:.0f}")

    def _write_students(self, events: Sequence[Student | Change]) -> None:
        with writing(self._places.students), self._students:
            self._students.execute("BEGIN IMMEDIATE")
            for event in events:
                if isinstance(event, Student):
                    self._students.execute("REPLACE INTO students VALUES (?, ?, ?, ?)", event)
                else:
                    self._students.execute(
                        "UPDATE students SET name = coalesce(?, name), "
                        "batch_id = coalesce(?, batch_id) WHERE id = ?",
                        (event.name, event.batch_id, event.student_id),
                    )

    def _write_batches(self) -> None:
        """Write the file of batches; whoever reads it sees it before or after."""
        records = ",\n".join(json.dumps(batch._asdict()) for batch in self.batches)
        path = self._places.batches
        part = path.with_name(f".{path.name}.part")
        with writing(path):
            part.write_text(f"[\n{records}\n]\n", encoding="utf-8")
            part.replace(path)

    def _end_line(self) -> None:
        with writing(self._places.log):
            append(self._places.log, self._held_back)
        self._held_back = b""


def write_school_samples(places: Places, students: int, seed: int) -> Made:
    """Make a finite school at `places`, unless one of its sources is there already.

    The same size and seed make the same content.

    Args:
        places: where its sources go.
        students: how many there are, with their batches and test runs.
        seed: another seed makes another school.

    Raises:
        SourceError: a source cannot be written.
    """

    def write(database: Path, batches: Path, log: Path) -> None:
        parts = replace(places, students=database, batches=batches, log=log)
        pause = min(_YEAR / (LINES_PER_STUDENT * max(students, 1)), _LONGEST_PAUSE)
        school, moment = School(seed), _FIRST_DAY
        with SchoolSources(parts, final=places) as sources:
            while not school.is_complete_with(students):
                events: list[Event] = []
                while len(events) < _GROUP and not school.is_complete_with(students):
                    events.append(school.next_event(f"{moment:%Y-%m-%d %H:%M:%S.%f}"))
                    moment += _INSTANT if school.batches % 2 else pause
                sources.write(events)

    return make_files(places.school, write)


@contextmanager
def locked(places: Places) -> Iterator[None]:
    """Let one process at a time write to the sources.

    Raises:
        BusyError: another process does.
    """
    students = places.students
    lock = FileLock(students.with_name(f".{students.name}.lock"))
    with writing(students):
        students.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            raise BusyError(
                f"Another process is writing to the sample school in {students.parent}: a "
                "'warehouse simulate' that is still running, perhaps. Stop it first."
            ) from None
    try:
        yield
    finally:
        lock.release()


def _read_batches(path: Path) -> list[Batch]:
    """The batches in the file at `path`, of which there are none without it."""
    if not path.exists():
        return []
    try:
        batches = [Batch(**record) for record in json.loads(path.read_bytes())]
    except (OSError, ValueError, TypeError):
        raise _foreign(path, "BATCHES_URL") from None
    if [batch.id for batch in batches] != list(range(1, len(batches) + 1)):
        raise _foreign(path, "BATCHES_URL")
    return batches


def _open_students(students: Path, others: Sequence[str]) -> sqlite3.Connection:
    # Used by one thread at a time, which need not be this one. Waiting is SQLite's own business.
    connection = sqlite3.connect(
        students, isolation_level=None, timeout=_PATIENCE_SECONDS, check_same_thread=False
    )
    try:
        # A kill, unlike a power cut, loses nothing of what the operating system has.
        connection.execute("PRAGMA synchronous = OFF")
        # Only beginning and ending a transaction waits for others.
        connection.execute("PRAGMA cache_spill = OFF")
        connection.executescript(_SCHEMA)
        rows = [(path,) for path in others]
        connection.executemany("INSERT OR IGNORE INTO sample_sources VALUES (?)", rows)
    except BaseException:
        connection.close()
        raise
    return connection


def _refuse_foreign(places: Places) -> None:
    """Raise SourceError if one of the files was made by something else."""
    students = places.students
    if not _is_made_here(students):
        settings = ("STUDENTS_DB", "BATCHES_URL", "TEST_RUNS_LOG")
        for path, setting in zip(places.school, settings, strict=True):
            if path.exists() and path.stat().st_size:
                raise _foreign(path, setting)
        return
    with writing(students), closing(sqlite3.connect(students)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
        known = []
        if ("sample_sources",) in tables:  # earlier versions did not note them
            known = [path for (path,) in connection.execute("SELECT path FROM sample_sources")]
    here = _others(places)
    if known and sorted(known) != sorted(here):
        raise SourceError(
            f"The sample school of {students} was made with {' and '.join(known)}; now it "
            f"would be {' and '.join(here)}. Set BATCHES_URL and TEST_RUNS_LOG as they were, "
            "or STUDENTS_DB to another path."
        )


def _others(places: Places) -> list[str]:
    """The other sources of the school, relative to the students: a home may be moved."""
    folder = places.students.parent
    return [os.path.relpath(path, folder) for path in (places.batches, places.log)]


def _is_made_here(students: Path) -> bool:
    """Whether the header of the database says so."""
    if not students.exists():
        return False
    with students.open("rb") as stream:
        return stream.read(72)[68:] == _APPLICATION_ID.to_bytes(4, "big")


def _foreign(path: Path, setting: str) -> SourceError:
    return SourceError(
        f"{path} is there already and was not made as a sample: it is left as it is. Set "
        f"{setting} to another path, or move the file away."
    )
