"""Writing the sources of a sample school: the students' database and the file of batches.

Whatever is written can be written again: rows replace rows, a file is written whole.
"""

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from warehouse_assets.errors import BusyError, SourceError
from warehouse_assets.samples.school import Batch, Student

_APPLICATION_ID = 0x53434F4C  # "SCOL", in the header of the files that are made here
_ATTEMPT_SECONDS = 0.25
_PATIENCE_SECONDS = 60
_TABLE = (
    "CREATE TABLE students(id INTEGER PRIMARY KEY, name TEXT, batch_id INTEGER, "
    "created_at DATETIME)"
)
_RESET = "'warehouse samples --reset' removes what was made, and you can begin anew"


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the operating system says of a failed write to `path` into words for people.

    Raises:
        SourceError: writing failed.
    """
    try:
        yield
    except OSError as error:
        raise SourceError(
            f"{path} cannot be written: {error.strerror}. Make room for it, or see to the "
            "permissions of its folder; then start again, which goes on where it stopped."
        ) from error


def batches_json(batches: Sequence[Batch]) -> bytes:
    """What the file of batches holds: what the server would answer if it had no pages."""
    records = ",\n".join(json.dumps(batch._asdict()) for batch in batches)
    return f"[\n{records}\n]\n".encode()


def holds_batches(path: Path, batches: Sequence[Batch]) -> bool:
    """Whether the file holds the first of the batches, or all, and nothing else."""
    with writing(path):
        content = path.read_bytes()
    try:
        count = len(json.loads(content))
    except (ValueError, TypeError):
        return False
    return content == batches_json(batches[:count])


def write_batches(path: Path, batches: Sequence[Batch]) -> None:
    """Write the file of batches; whoever reads it sees it before or after."""
    partial = path.with_name(f".{path.name}.part")
    with writing(path):
        partial.write_bytes(batches_json(batches))
        partial.replace(path)


class StudentsFile:
    """The SQLite database of the students at `path`, which is made if there is none.

    Raises:
        SourceError: the file was made by something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.exists() and not _is_made_here(path):
            raise SourceError(
                f"The database {path} is not that of a sample school, and is left as it is. Set "
                "STUDENTS_DB to another path, or move the file away."
            )
        with _sqlite(path):
            # Used by one thread at a time, which need not be this one.
            self._connection = sqlite3.connect(
                path, isolation_level=None, timeout=_ATTEMPT_SECONDS, check_same_thread=False
            )
            try:
                self._prepare()
            except BaseException:
                self._connection.close()
                raise

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def count(self) -> int:
        """How many students there are."""
        with _sqlite(self.path):
            (count,) = self._connection.execute("SELECT count(*) FROM students").fetchone()
        return int(count)

    def write(self, students: Iterable[Student]) -> None:
        """Enter students, or put them in place of those of their numbers, in one transaction.

        Raises:
            BusyError: another program kept the file locked for a minute.
        """
        with _sqlite(self.path):
            self._insist("BEGIN IMMEDIATE")
            self._connection.executemany("REPLACE INTO students VALUES (?, ?, ?, ?)", students)
            self._insist("COMMIT")  # which waits for the readers

    def lock(self, seconds: float) -> None:
        """Keep everybody from writing, and in rollback mode from reading, too."""
        with _sqlite(self.path):
            self._insist("BEGIN EXCLUSIVE")
            time.sleep(seconds)
            self._insist("COMMIT")

    def use_wal(self, is_wal: bool) -> None:
        """Go over to the write-ahead log or back, unless somebody is reading at the moment."""
        with _sqlite(self.path):
            try:
                self._connection.execute(f"PRAGMA journal_mode = {'WAL' if is_wal else 'DELETE'}")
            except sqlite3.OperationalError as error:
                if not _is_busy(error):
                    raise

    def _prepare(self) -> None:
        # A kill, unlike a power cut, loses nothing of what the operating system has.
        self._connection.execute("PRAGMA synchronous = OFF")
        # Only beginning and ending a transaction waits for others.
        self._connection.execute("PRAGMA cache_spill = OFF")
        self._insist("BEGIN IMMEDIATE")
        if not self._connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            self._connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            self._connection.execute(_TABLE)
        self._insist("COMMIT")

    def _insist(self, statement: str) -> None:
        patience_ends = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                self._connection.execute(statement)
            except sqlite3.OperationalError as error:
                if not _is_busy(error):
                    raise
                if time.monotonic() > patience_ends:
                    raise BusyError(
                        f"Another program has kept {self.path} locked for {_PATIENCE_SECONDS} "
                        "seconds. End it; then start again, which goes on where it stopped."
                    ) from None
            else:
                return


def students_in(path: Path) -> dict[int, Student] | None:
    """The students of the database at `path` by number; None if it is not one that is made here."""
    if not _is_made_here(path):
        return None
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)
    try:
        if connection.execute("SELECT sql FROM sqlite_master").fetchall() not in ([], [(_TABLE,)]):
            return None
        rows = connection.execute("SELECT id, name, batch_id, created_at FROM students")
        return {row[0]: Student(*row) for row in rows}
    except sqlite3.DatabaseError:
        return None
    finally:
        connection.close()


def _is_made_here(path: Path) -> bool:
    """Whether the header says so; an empty file may become a database of anybody."""
    with writing(path), path.open("rb") as stream:
        header = stream.read(72)
    return not header or header[68:] == _APPLICATION_ID.to_bytes(4, "big")


def _is_busy(error: sqlite3.OperationalError) -> bool:
    return "locked" in str(error) or "busy" in str(error)


@contextmanager
def _sqlite(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise SourceError(
            f"The database {path} cannot be used: {error}. If it was damaged, delete it: it is "
            f"written again. Else free the disk or set the permissions of its folder; {_RESET}."
        ) from error
