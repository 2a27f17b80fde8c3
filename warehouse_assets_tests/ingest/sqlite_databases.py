"""Databases of students, and other programs that write them."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import BigInteger, Column, MetaData, Table, Text

from warehouse_assets.ingest.sql_source import Limits, SqlSource
from warehouse_assets.ingest.sqlite import SqliteReader
from warehouse_assets.ingest.validate import Validator
from warehouse_assets.settings import Settings

STUDENTS = "CREATE TABLE students (id INTEGER PRIMARY KEY, name TEXT, batch_id INTEGER, created_at)"
TIME = "2026-11-20 13:51:54.463573"
MODES = ["WAL", "DELETE", "TRUNCATE", "PERSIST"]
COLUMNS = ("id", "name", "batch_id", "created_at")
HASTY = Limits(patience_seconds=0.3, settled_seconds=-1)
Row = tuple[Any, ...]

# Inserts, updates and replaces in small transactions until it is told to stop; it waits for a
# lock for a second, and fails when it does not get it.
_WRITER = """
import sqlite3, sys, threading
path, mode = sys.argv[1:]
database = sqlite3.connect(path, timeout=1.0, isolation_level=None)
database.execute(f"PRAGMA journal_mode = {mode}")
database.execute("PRAGMA synchronous = OFF")
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
number = database.execute("SELECT coalesce(max(id), 0) FROM students").fetchone()[0]
print("writing", flush=True)
while not stop.is_set():
    database.execute("BEGIN IMMEDIATE")
    for _ in range(20):
        number += 1
        row = (number, f"student {number}", number % 10, "2026-11-20 13:51:54.463573")
        database.execute("INSERT INTO students VALUES (?, ?, ?, ?)", row)
    database.execute("UPDATE students SET batch_id = 99 WHERE id % 97 = ?", (number % 97,))
    database.execute("COMMIT")
print(number, flush=True)
"""

# Dies in the middle of a transaction, part of which is in the file already, or after one.
_DYING = """
import os, sqlite3, sys
path, mode, end = sys.argv[1:]
database = sqlite3.connect(path, isolation_level=None)
database.execute(f"PRAGMA journal_mode = {mode}")
database.execute("INSERT INTO students VALUES (1000, 'committed', 1, NULL)")
database.execute("PRAGMA cache_size = 5")
database.execute("BEGIN")
database.executemany("INSERT INTO students VALUES (?, ?, 1, NULL)",
    ((n, "x" * 500) for n in range(2000, 2500)))
database.execute(end)
os._exit(0)
"""


def make_database(path: Path, rows: Iterable[Row] = (), schema: str = STUDENTS) -> Path:
    """A database with one table of students."""
    with closing(sqlite3.connect(path)) as database:
        database.executescript(schema)
        change(path, *((_insert(row), row) for row in rows))
    return path


def _insert(row: Row) -> str:
    return f"INSERT INTO students VALUES ({', '.join('?' * len(row))})"


def set_mode(path: Path, mode: str) -> None:
    """Have a database keep its journal in another way."""
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA journal_mode = {mode}")


def change(path: Path, *statements: str | tuple[str, Row]) -> None:
    """Change a database in one transaction."""
    with closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            sql, values = (statement, ()) if isinstance(statement, str) else statement
            database.execute(sql, values)


def student(number: int, name: str | None = "Ann", batch: int | None = 7) -> Row:
    """A row of the table."""
    return number, name, batch, TIME


@contextmanager
def another_program_writes(path: Path, mode: str) -> Iterator[None]:
    """A process that writes while the block runs; that it fails is an error."""
    with subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(path), mode],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        try:
            yield
        finally:
            out, err = process.communicate("stop\n")
        assert process.returncode == 0, err
        assert int(out) > 20


def let_a_writer_die(path: Path, mode: str, end: str = "SELECT 1") -> None:
    """Run a program that dies in the middle of a change, or after `end` has been executed."""
    subprocess.run([sys.executable, "-c", _DYING, str(path), mode, end], check=True)


@contextmanager
def without_privileges() -> Iterator[None]:
    """Have this process be nobody, if it is root, while the block runs."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


def rows(path: Path) -> list[Row]:
    """What the table holds now, sorted by id."""
    with closing(sqlite3.connect(path)) as database:
        return database.execute(
            "SELECT id, name, batch_id, created_at FROM students ORDER BY id"
        ).fetchall()


def _nowhere(settings: Settings) -> str:
    raise AssertionError("the path is given")


def source(columns: Sequence[str] = COLUMNS, limits: Limits = HASTY) -> SqlSource:
    """A declaration that reads columns of the table."""
    fields = [
        Column(f"column_{n}", Text if n else BigInteger, info={"field": name}, primary_key=n == 0)
        for n, name in enumerate(columns)
    ]
    validator = Validator(Table("students", MetaData(), *fields))
    return SqlSource(validator, "STUDENTS_DB", _nowhere, limits=limits)


def reader(path: Path, scratch: Path = Path(), **more: Any) -> SqliteReader:
    """What reads it; for `more` see `source`."""
    return SqliteReader(path, source(**more), scratch)


def read(path: Path, **more: Any) -> list[tuple[Any, ...]]:
    """Position, problem and texts of all rows."""
    found: list[tuple[Any, ...]] = []
    with TemporaryDirectory() as scratch:
        for page in reader(path, Path(scratch), **more).pages():
            # The first column is the number of an arrival.
            columns = (column.to_pylist() for column in page.rows.columns[1:])
            found += zip(*columns, strict=True)
    return found


def numbers(path: Path, **more: Any) -> list[int]:
    """The numbers of all rows, sorted."""
    return sorted(int(row[2]) for row in read(path, **more))
