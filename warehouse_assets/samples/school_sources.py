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
from itertools import pairwise
from pathlib import Path
from random import Random

from filelock import FileLock, Timeout

from warehouse_assets.errors import BusyError, SourceError
from warehouse_assets.samples.files import append, end_line, writing
from warehouse_assets.samples.places import Places
from warehouse_assets.samples.school import Batch, Change, Event, Line, Student

_APPLICATION_ID = 0x53434F4C  # "SCOL", in the header of the databases that are made here
_PATIENCE_SECONDS = 60.0
_SHARE_OF_LINES_IN_PARTS = 0.05
_SECONDS_BETWEEN_PARTS = 0.002
_SHARE_OF_GROUPS_CUT = 0.5
_SCHEMA = f"""
PRAGMA application_id = {_APPLICATION_ID};
CREATE TABLE IF NOT EXISTS students(
    id INTEGER PRIMARY KEY, name TEXT, batch_id INTEGER, created_at DATETIME
);
-- The other sources of the school, relative to this one.
CREATE TABLE IF NOT EXISTS sample_sources(path TEXT PRIMARY KEY);
"""


class SchoolSources:
    """Opens the sources of the school at `places` to write to them. Use it as a context.

    Args:
        places: where they are.
        chance: where lines are cut while they are written; None for whole groups.
        is_slow: whether some milliseconds pass between the parts of a line.
        final: where they will be, if that is somewhere else.

    Raises:
        BusyError: another program keeps the students locked.
        SourceError: one of them was made by something else, or cannot be written.
    """

    def __init__(
        self,
        places: Places,
        chance: Random | None = None,
        is_slow: bool = False,
        final: Places | None = None,
    ) -> None:
        self._places = places
        self._chance = chance
        self._is_slow = is_slow
        self._held_back = b""  # the end of the last line of the log
        _refuse_foreign(places)
        self.batches = read_batches(places.batches)
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
            SourceError: one of them cannot be written; other programs that keep the students
                locked for a minute are a reason, too.
        """
        people = [event for event in events if isinstance(event, Student | Change)]
        if people:
            self._write_students(people)
        batches = [event for event in events if isinstance(event, Batch)]
        if batches:
            # Replaced, not changed: a server's thread may be reading the list.
            self.batches = [*self.batches, *batches]
            write_batches(self._places.batches, self.batches)
        text = b"".join(event.text + b"\n" for event in events if isinstance(event, Line))
        if text:
            self._write_lines(text)

    def rotate(self, keep: int) -> None:
        """Rename the log to .1, and .1 to .2, and so on; a line that is half written ends in it.

        Args:
            keep: how many rotated logs stay; older ones are deleted.
        """
        self._end_line()
        log = self._places.log
        for age in range(keep, -1, -1):
            old = log.with_name(f"{log.name}.{age}") if age else log
            with writing(old):
                if age == keep:
                    old.unlink(missing_ok=True)
                elif old.exists():
                    old.replace(log.with_name(f"{log.name}.{age + 1}"))

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

    def _write_lines(self, text: bytes) -> None:
        """Append the text, or all of it but the end of its last line."""
        text, self._held_back = self._held_back + text, b""
        if self._chance is not None and self._chance.random() < _SHARE_OF_GROUPS_CUT:
            last_line = text[text.rfind(b"\n", 0, -1) + 1 :]
            cut = len(text) - self._chance.randint(1, len(last_line))
            text, self._held_back = text[:cut], text[cut:]
        with writing(self._places.log):
            for number, part in enumerate(self._parts(text)):
                if number and self._is_slow:
                    time.sleep(_SECONDS_BETWEEN_PARTS)
                append(self._places.log, part)

    def _parts(self, text: bytes) -> list[bytes]:
        """`text` as it is written: now and then a line in two parts."""
        if self._chance is None:
            return [text]
        count = round(text.count(b"\n") * _SHARE_OF_LINES_IN_PARTS + self._chance.random())
        cuts = sorted(self._chance.randrange(len(text) + 1) for _ in range(count))
        return [text[begin:end] for begin, end in pairwise([0, *cuts, len(text)])]

    def _end_line(self) -> None:
        with writing(self._places.log):
            append(self._places.log, self._held_back)
        self._held_back = b""


def read_batches(path: Path) -> list[Batch]:
    """The batches in the file at `path`, of which there are none without it.

    Raises:
        SourceError: it is not a file of sample batches.
    """
    if not path.exists():
        return []
    try:
        batches = [Batch(**record) for record in json.loads(path.read_bytes())]
    except (OSError, ValueError, TypeError):
        batches = [Batch(0, "", "")]
    if any(batch.id != number for number, batch in enumerate(batches, start=1)):
        raise _foreign(path, "BATCHES_URL")
    return batches


def write_batches(path: Path, batches: Sequence[Batch]) -> None:
    """Write the file of batches; whoever reads it sees it before or after."""
    records = ",\n".join(json.dumps(batch._asdict()) for batch in batches)
    part = path.with_name(f".{path.name}.part")
    with writing(path):
        part.write_text(f"[\n{records}\n]\n", encoding="utf-8")
        part.replace(path)


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


def _refuse_foreign(places: Places) -> None:
    """Raise SourceError if one of the files was made by something else."""
    students = places.students
    if _is_made_here(students):
        with writing(students), closing(sqlite3.connect(students)) as connection:
            tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
            listed = "SELECT path FROM sample_sources" if ("sample_sources",) in tables else None
            known = [path for (path,) in connection.execute(listed)] if listed else []
        here = _others(places)
        if known and sorted(known) != sorted(here):
            raise SourceError(
                f"The sample school of {students} was made with {' and '.join(known)}; now it "
                f"would be {' and '.join(here)}. Set BATCHES_URL and TEST_RUNS_LOG as they were, "
                "or STUDENTS_DB to another path."
            )
        return
    if students.exists() and students.stat().st_size:
        raise _foreign(students, "STUDENTS_DB")
    for path, setting in ((places.batches, "BATCHES_URL"), (places.log, "TEST_RUNS_LOG")):
        if path.exists():
            raise _foreign(path, setting)


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
