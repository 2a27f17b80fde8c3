"""A SQLite table that others write: it is read whole, changes are noticed, nobody is disturbed."""

import os
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from warehouse_assets.errors import BusyError, SourceError
from warehouse_assets.ingest.sql_source import Limits
from warehouse_assets.ingest.sqlite import SqliteReader
from warehouse_assets.progress import heard_by
from warehouse_assets_tests.ingest.sqlite_databases import (
    HASTY,
    MODES,
    another_program_writes,
    let_a_writer_die,
    make_database,
    numbers,
    read,
    reader,
    rows,
    set_mode,
    source,
    student,
    without_privileges,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_database(tmp_path / "s.db", [student(n) for n in (1, 2, 3)])


def fingerprint(path: Path, limits: Limits = HASTY) -> str | None:
    return reader(path, limits=limits).glance()


def listing(path: Path) -> list[str]:
    return sorted(other.name for other in path.parent.glob(f"{path.name}*"))


# The others differ from the second only in what becomes of the journal when nobody writes.
@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_a_writer_is_not_disturbed_and_all_is_read(path: Path, mode: str) -> None:
    with another_program_writes(path, mode):
        for _ in range(6):
            found = numbers(path, limits=Limits(patience_seconds=60))
            assert found == list(range(1, len(found) + 1))
    assert numbers(path) == [row[0] for row in rows(path)]


@pytest.mark.parametrize("mode", MODES)
def test_what_is_not_committed_is_not_read_and_nothing_is_left_beside_it(
    path: Path, mode: str
) -> None:
    set_mode(path, mode)
    before = listing(path)
    assert numbers(path) == [1, 2, 3]
    assert listing(path) == before
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM students")
        assert numbers(path) == [1, 2, 3]
        writer.execute("COMMIT")
        assert numbers(path) == []


@pytest.mark.parametrize("mode", MODES)
def test_a_change_whose_writer_died_did_not_happen(path: Path, mode: str) -> None:
    let_a_writer_die(path, mode)
    path.with_name("s.db-shm").unlink(missing_ok=True)
    before = {name: path.with_name(name).read_bytes() for name in listing(path)}
    assert len(before) > 1
    assert numbers(path) == [1, 2, 3, 1000]
    assert listing(path) == list(before)
    for name, content in before.items():
        assert name.endswith("-shm") or path.with_name(name).read_bytes() == content


def test_committed_changes_in_the_log_of_a_writer_that_died_are_read(path: Path) -> None:
    let_a_writer_die(path, "WAL", "COMMIT")
    path.with_name("s.db-shm").unlink()
    assert len(numbers(path)) == 504
    assert listing(path) == ["s.db", "s.db-wal"]


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
@pytest.mark.parametrize("how", ["closed", "open", "died"])
def test_the_folder_need_not_be_writable(mode: str, how: str) -> None:
    with TemporaryDirectory() as name:
        path = make_database(Path(name) / "s.db", [student(n) for n in (1, 2, 3)])
        set_mode(path, mode)
        if how == "died":
            let_a_writer_die(path, mode)
        writer = sqlite3.connect(path, isolation_level=None)
        if how == "open":
            writer.execute("INSERT INTO students VALUES (4, 'x', 1, NULL)")
        Path(name).chmod(0o555)
        with without_privileges():
            found = numbers(path)
        writer.close()
        Path(name).chmod(0o755)
    assert found == {"closed": [1, 2, 3], "open": [1, 2, 3, 4], "died": [1, 2, 3, 1000]}[how]


def test_a_database_that_may_not_be_read_is_told() -> None:
    with TemporaryDirectory() as name:
        path = make_database(Path(name) / "s.db")
        Path(name).chmod(0o755)
        path.chmod(0o000)
        with without_privileges(), pytest.raises(SourceError, match="Permission denied"):
            read(path)
        Path(name).chmod(0o000)
        with without_privileges(), pytest.raises(SourceError, match="Permission denied"):
            reader(path).exists()
        Path(name).chmod(0o755)


def test_a_lock_is_told_of_and_not_waited_for_without_end(path: Path, tmp_path: Path) -> None:
    told: list[str] = []
    limits = Limits(patience_seconds=1.2)
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        message = r"locked by another program for more than 1\.2 sec"
        with heard_by(told.append), pytest.raises(BusyError, match=message):
            list(SqliteReader(path, source(limits=limits), tmp_path).pages())
        assert told == [f"Waiting for another program that has locked {path}."]
        threading.Timer(0.2, lambda: writer.execute("COMMIT")).start()
        assert numbers(path, limits=Limits(patience_seconds=60)) == [1, 2, 3]


def test_a_database_that_is_changed_all_the_time_cannot_be_copied(path: Path) -> None:
    let_a_writer_die(path, "DELETE")
    os.utime(path, (time.time() + 0.05,) * 2)
    is_over = threading.Event()

    def keep_changing() -> None:
        while not is_over.wait(0.001):
            path.touch()

    thread = threading.Thread(target=keep_changing)
    thread.start()
    try:
        with pytest.raises(BusyError, match="changed each time"):
            read(path)
    finally:
        is_over.set()
        thread.join()


@pytest.mark.parametrize("mode", MODES)
def test_a_change_shows_in_the_fingerprint(path: Path, mode: str) -> None:
    set_mode(path, mode)
    with closing(sqlite3.connect(path)) as writer:
        seen = {fingerprint(path)}
        assert fingerprint(path) in seen
        for statement in (
            "UPDATE students SET name = 'Bob' WHERE id = 1",
            "UPDATE students SET name = 'Zoe' WHERE id = 1",
            "INSERT INTO students VALUES (4, 'x', 1, NULL)",
        ):
            time.sleep(0.01)  # the clock of the file system
            writer.execute(statement)
            writer.commit()
            seen.add(fingerprint(path))
        assert len(seen) == 4
        assert len(numbers(path)) == 4
        assert fingerprint(path) in seen


def test_another_file_of_the_same_name_has_another_fingerprint(path: Path) -> None:
    before = fingerprint(path)
    copy = path.with_name("copy.db")
    copy.write_bytes(path.read_bytes())
    status = path.stat()
    os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))
    copy.replace(path)
    assert fingerprint(path) != before
    now = fingerprint(path)
    time.sleep(0.01)
    path.write_bytes(path.read_bytes().replace(b"Ann", b"Bob"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert fingerprint(path) != now


def test_the_fingerprint_of_a_file_just_changed_is_not_trusted(path: Path) -> None:
    assert fingerprint(path, Limits(settled_seconds=3600)) is None
    assert fingerprint(path, Limits(settled_seconds=0)) is not None
    assert fingerprint(path.with_name("none.db")) is None
