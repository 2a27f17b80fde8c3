"""The ledger of a sample school: everything that was made, recorded before the sources have it.

It is a SQLite database beside the sources, written by one process at a time. A group of events
is one transaction, which also holds as `Pending` what the sources are to get. So a process that
is killed leaves at most one group that is recorded but not, or not wholly, in the sources; what
is pending says which, and writing it again, as the next start does, makes both agree.
A kill loses nothing; a power cut may.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from warehouse_assets.errors import SourceError
from warehouse_assets.samples.school import Batch, Change, Event, Line, Standing, Student
from warehouse_assets.samples.school_pending import Log, Pending, Rename, Totals

_HEAD_BYTES = 256

# The first log begins with the ledger.
_SCHEMA = """
BEGIN;
CREATE TABLE facts(name TEXT PRIMARY KEY, value);
CREATE TABLE students(id INTEGER PRIMARY KEY, name TEXT, batch_id INTEGER, created_at TEXT);
CREATE TABLE batches(id INTEGER PRIMARY KEY, name TEXT, created_at TEXT);
CREATE TABLE runs(
    position INTEGER PRIMARY KEY, student_id INTEGER, lesson_id INTEGER, lesson_title TEXT,
    passed INTEGER, total INTEGER
);
CREATE TABLE unusable(position INTEGER PRIMARY KEY, flaw TEXT, raw BLOB);
CREATE TABLE logs(number INTEGER PRIMARY KEY, first INTEGER, head BLOB);
CREATE TABLE pending(students TEXT, log INTEGER, first INTEGER, text BLOB, renames TEXT);
INSERT INTO logs VALUES (1, 0, x'');
COMMIT;
"""


@dataclass
class _Rows:
    """What a group adds to the tables, and the lines of it."""

    runs: list[tuple[object, ...]] = field(default_factory=list)
    unusable: list[tuple[object, ...]] = field(default_factory=list)
    students: list[int] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)


class Ledger:
    """The ledger in the file `path`, which is made if there is none.

    `standing`, `totals`, `log` and `pending` are as after the last group.

    Raises:
        SourceError: the file is no ledger.
    """

    log: Log
    pending: Pending

    def __init__(self, path: Path) -> None:
        self._path = path
        # Used by one thread at a time, which need not be this one.
        self._connection = sqlite3.connect(
            path, isolation_level=None, timeout=30, check_same_thread=False
        )
        try:
            # Whoever reads does not hold up the simulation; a kill, unlike a power cut, loses
            # nothing of what was given to the operating system.
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = OFF")
            if not self._connection.execute("SELECT 1 FROM sqlite_master").fetchone():
                self._connection.executescript(_SCHEMA)
            self._load()
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise SourceError(
                f"The record of the sample school, {path}, cannot be read: {error}. Delete it and "
                f"the files that were made, which are in {path.parent.parent}."
            ) from error

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def settle(self) -> None:
        """Record that the sources have everything: nothing is pending any more."""
        with self._transaction():
            self._keep(Pending(log=self.log.number, first=self.totals.end))

    def forget(self) -> None:
        """Forget everything, as if nothing had been made."""
        with self._transaction():
            for table in ("facts", "students", "batches", "runs", "unusable", "pending"):
                self._connection.execute(f"DELETE FROM {table}")
            self._connection.execute("DELETE FROM logs WHERE number > 1")
            self._connection.execute("UPDATE logs SET head = x''")
        self._load()

    def fact(self, name: str) -> str | None:
        """What was remembered under `name`."""
        row = self._connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def remember(self, **facts: str) -> None:
        """Remember `facts`."""
        with self._transaction():
            self._remember(facts)

    def students(self) -> Iterator[Student]:
        """Every student as it is last, by number."""
        rows = self._connection.execute("SELECT * FROM students ORDER BY id")
        return (Student(*row) for row in rows)

    def batches(self) -> list[Batch]:
        """Every batch in the order of creation."""
        return [
            Batch(*row) for row in self._connection.execute("SELECT * FROM batches ORDER BY id")
        ]

    def logs(self) -> list[Log]:
        """Every log, the first one first."""
        return [Log(*row) for row in self._connection.execute("SELECT * FROM logs ORDER BY number")]

    def first_position(self, log: int) -> int:
        """The position of the first byte of the log of that number."""
        row = self._connection.execute("SELECT first FROM logs WHERE number = ?", (log,)).fetchone()
        return int(row[0])

    def record(self, events: Iterable[Event], unwritten: bytes) -> Pending:
        """Record a group of events; everything pending before it must be in the sources.

        Args:
            unwritten: the end of the log's text that is recorded but not written yet.
        """
        with self._transaction():
            rows = self._rows(events)
            text = b"".join(rows.lines)
            first = self.totals.end - len(unwritten)
            self._connection.executemany("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?)", rows.runs)
            self._connection.executemany("INSERT INTO unusable VALUES (?, ?, ?)", rows.unusable)
            students = [self._student(number) for number in dict.fromkeys(rows.students)]
            self.totals.runs += len(rows.runs)
            self.totals.unusable += len(rows.unusable)
            self.totals.end += len(text)
            self._extend_head(text)
            self._keep(Pending(students, self.log.number, first, unwritten + text))
        return self.pending

    def record_rotation(self, renames: Sequence[Rename], unwritten: bytes) -> Pending:
        """Record that the log is about to be renamed, and that another one begins."""
        with self._transaction():
            pending = Pending(
                log=self.log.number,
                first=self.totals.end - len(unwritten),
                text=unwritten,
                renames=renames,
            )
            self.log = Log(self.log.number + 1, self.totals.end, b"")
            self._connection.execute("INSERT INTO logs VALUES (?, ?, ?)", self.log)
            self.totals.rotations += 1
            self.totals.rotated_logs_deleted += sum(rename.new is None for rename in renames)
            self._keep(pending)
        return self.pending

    def _rows(self, events: Iterable[Event]) -> _Rows:
        rows = _Rows()
        position = self.totals.end
        for event in events:
            if isinstance(event, Line):
                if event.run is not None:
                    rows.runs.append((position, *event.run))
                elif event.flaw is not None:
                    rows.unusable.append((position, event.flaw, event.text))
                rows.lines.append(event.text + b"\n")
                position += len(event.text) + 1
            elif isinstance(event, Batch):
                self._connection.execute("INSERT INTO batches VALUES (?, ?, ?)", event)
            else:
                rows.students.append(self._enter(event))
        return rows

    def _enter(self, event: Student | Change) -> int:
        if isinstance(event, Student):
            self._connection.execute("INSERT INTO students VALUES (?, ?, ?, ?)", event)
            return event.id
        self._connection.execute(
            "UPDATE students SET name = coalesce(?, name), batch_id = coalesce(?, batch_id) "
            "WHERE id = ?",
            (event.name, event.batch_id, event.student_id),
        )
        return event.student_id

    def _student(self, number: int) -> Student:
        row = self._connection.execute("SELECT * FROM students WHERE id = ?", (number,)).fetchone()
        return Student(*row)

    def _extend_head(self, text: bytes) -> None:
        missing = _HEAD_BYTES - len(self.log.head)
        if missing > 0 and text:
            self.log = Log(self.log.number, self.log.first, self.log.head + text[:missing])
            self._connection.execute(
                "UPDATE logs SET head = ? WHERE number = ?", (self.log.head, self.log.number)
            )

    def _keep(self, pending: Pending) -> None:
        """Put `pending` in place of what was pending before, with how far the school has come."""
        self.pending = pending
        self._connection.execute("DELETE FROM pending")
        self._connection.execute("INSERT INTO pending VALUES (?, ?, ?, ?, ?)", pending.row())
        self._remember({**asdict(self.standing), **asdict(self.totals)})

    def _load(self) -> None:
        facts = dict(self._connection.execute("SELECT name, value FROM facts"))
        self.standing = Standing(
            **{f.name: facts[f.name] for f in fields(Standing) if f.name in facts}
        )
        self.totals = Totals(**{f.name: facts[f.name] for f in fields(Totals) if f.name in facts})
        self.log = self.logs()[-1]
        row = self._connection.execute("SELECT * FROM pending").fetchone()
        self.pending = Pending() if row is None else Pending.of_row(*row)

    def _remember(self, facts: Mapping[str, object]) -> None:
        self._connection.executemany("REPLACE INTO facts VALUES (?, ?)", facts.items())

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        try:
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                yield
        except sqlite3.DatabaseError as error:
            raise SourceError(
                f"The record of the sample school, {self._path}, cannot be written: {error}. Free "
                "the disk; then start again, which goes on where it stopped."
            ) from error
