"""A change of a database shows in its fingerprint, or the fingerprint is not trusted."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from warehouse_assets.sources import sqlite_file
from warehouse_assets.sources.sqlite_file import SqliteFile
from warehouse_assets_tests.sources.sqlite_sources import (
    MODES,
    change,
    make_database,
    set_mode,
    student,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_database(tmp_path / "s.db", [student(n) for n in (1, 2, 3)])


def file(path: Path) -> SqliteFile:
    return SqliteFile(path, "STUDENTS_DB")


@contextmanager
def settled_after(monkeypatch: pytest.MonkeyPatch, seconds: float) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(sqlite_file, "_SETTLED_SECONDS", seconds)
        yield


@pytest.mark.parametrize("mode", MODES)
def test_a_change_shows_in_the_fingerprint(
    path: Path, mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_mode(path, mode)
    with settled_after(monkeypatch, -1), closing(sqlite3.connect(path)) as writer:
        seen = {file(path).fingerprint()}
        assert file(path).fingerprint() in seen
        for statement in (
            "UPDATE students SET name = 'Bob' WHERE id = 1",
            "UPDATE students SET name = 'Zoe' WHERE id = 1",
            "INSERT INTO students VALUES (4, 'x', 1, NULL)",
        ):
            time.sleep(0.01)
            writer.execute(statement)
            writer.commit()
            seen.add(file(path).fingerprint())
        assert len(seen) == 4
        with file(path).opened(tmp_path, str) as reader:
            reader.rows("SELECT * FROM students")
        assert file(path).fingerprint() in seen


def test_another_file_of_the_same_name_has_another_fingerprint(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with settled_after(monkeypatch, -1):
        before = file(path).fingerprint()
        copy = path.with_name("copy.db")
        copy.write_bytes(path.read_bytes())
        status = path.stat()
        os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))
        copy.replace(path)
        assert file(path).fingerprint() != before
        now = file(path).fingerprint()
        path.write_bytes(path.read_bytes().replace(b"Ann", b"Bob"))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert file(path).fingerprint() != now


def test_the_fingerprint_of_a_file_just_changed_is_not_trusted(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for statement in ("DELETE FROM students WHERE id = 1", "DELETE FROM students"):
        change(path, statement)
        with settled_after(monkeypatch, 3600):
            assert file(path).fingerprint() is None
        time.sleep(0.1)
        with settled_after(monkeypatch, 0.05):
            assert file(path).fingerprint() is not None
