"""A database that others write: it is read whole, changes are noticed, and nobody is disturbed."""

import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from warehouse_assets.errors import BusyError, SourceError
from warehouse_assets.sources import sqlite_file, sqlite_reader
from warehouse_assets.sources.sqlite_file import SqliteFile
from warehouse_assets_tests.sources.sqlite_sources import (
    MODES,
    another_program_writes,
    let_a_writer_die,
    make_database,
    rows,
    set_mode,
    student,
    without_privileges,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_database(tmp_path / "s.db", [student(n) for n in (1, 2, 3)])


def file(path: Path, patience_seconds: float = 0.3) -> SqliteFile:
    return SqliteFile(path, "STUDENTS_DB", patience_seconds)


def read(path: Path, patience_seconds: float = 0.3) -> list[int]:
    with (
        TemporaryDirectory() as scratch,
        file(path, patience_seconds).opened(Path(scratch), str) as reader,
    ):
        return [number for (number,) in reader.rows("SELECT id FROM students ORDER BY id")]


def listing(path: Path) -> list[str]:
    return sorted(other.name for other in path.parent.glob(f"{path.name}*"))


@pytest.mark.parametrize("mode", MODES)
def test_a_writer_is_not_disturbed_and_all_is_read(path: Path, mode: str) -> None:
    with another_program_writes(path, mode):
        deadline = time.monotonic() + 0.4
        while time.monotonic() < deadline:
            numbers = read(path, patience_seconds=10)
            assert numbers == list(range(1, len(numbers) + 1))
    assert read(path) == [row[0] for row in rows(path)]


@pytest.mark.parametrize("mode", MODES)
def test_nothing_is_left_beside_a_database_that_nobody_has_open(path: Path, mode: str) -> None:
    set_mode(path, mode)
    before = listing(path)
    assert read(path) == [1, 2, 3]
    assert listing(path) == before


@pytest.mark.parametrize("mode", MODES)
def test_what_a_writer_has_not_committed_is_not_read(path: Path, mode: str) -> None:
    set_mode(path, mode)
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM students")
        assert read(path) == [1, 2, 3]
        writer.execute("COMMIT")
        assert read(path) == []


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("lost", [(), ("-shm",)])
def test_a_change_whose_writer_died_did_not_happen(
    path: Path, mode: str, lost: tuple[str, ...]
) -> None:
    let_a_writer_die(path, mode)
    for end in lost:
        path.with_name(path.name + end).unlink(missing_ok=True)
    before = {name: path.with_name(name).read_bytes() for name in listing(path)}
    assert len(before) > 1
    assert read(path) == [1, 2, 3, 1000]
    assert listing(path) == list(before)
    for name, content in before.items():
        assert name.endswith("-shm") or path.with_name(name).read_bytes() == content


def test_committed_changes_in_the_log_of_a_writer_that_died_are_read(path: Path) -> None:
    let_a_writer_die(path, "WAL", "COMMIT")
    path.with_name("s.db-shm").unlink()
    assert len(read(path)) == 504
    assert listing(path) == ["s.db", "s.db-wal"]


@pytest.mark.parametrize("mode", MODES)
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
        before = listing(path)
        Path(name).chmod(0o555)
        with without_privileges():
            found = read(path)
        writer.close()
        Path(name).chmod(0o755)
    assert found == {"closed": [1, 2, 3], "open": [1, 2, 3, 4], "died": [1, 2, 3, 1000]}[how]
    assert "s.db" in before


def test_a_database_that_may_not_be_read_is_told() -> None:
    with TemporaryDirectory() as name:
        path = make_database(Path(name) / "s.db")
        Path(name).chmod(0o755)
        path.chmod(0o000)
        with without_privileges(), pytest.raises(SourceError, match="Permission denied"):
            read(path)
        Path(name).chmod(0o000)
        with without_privileges(), pytest.raises(SourceError, match="Permission denied"):
            file(path).exists()
        Path(name).chmod(0o755)


def test_a_lock_is_waited_for(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        threading.Timer(0.2, lambda: writer.execute("COMMIT")).start()
        assert read(path, patience_seconds=20) == [1, 2, 3]


def test_a_lock_is_not_waited_for_without_end(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with (
            pytest.raises(BusyError, match=r"locked by another program for more than 0\.1 seconds"),
            file(path, 0.1).opened(tmp_path, told.append),
        ):
            pass
    assert told == []
    monkeypatch.setattr(sqlite_reader, "_SECONDS_PER_TRY", 0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(BusyError), file(path, 0.2).opened(tmp_path, told.append):
            pass
    assert told == [f"Waiting for another program that has locked {path}."]


_IS_LOCKED = """
import sqlite3, sys
try:
    sqlite3.connect(sys.argv[1], timeout=0).execute("BEGIN IMMEDIATE")
except sqlite3.OperationalError as error:
    print(error)
"""


@pytest.mark.parametrize("mode", MODES)
def test_locks_of_this_process_are_not_lost(path: Path, mode: str, tmp_path: Path) -> None:
    # Closing any descriptor of a file takes them all away, says POSIX.
    set_mode(path, mode)
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        file(path).fingerprint()
        read(path)
        output = subprocess.check_output([sys.executable, "-c", _IS_LOCKED, path], text=True)
    assert output == "database is locked\n"


def test_files_that_are_gone_are_not_kept_open(path: Path, tmp_path: Path) -> None:
    def kept() -> set[str]:
        return {str(fd.readlink()) for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()}

    for _ in range(3):
        file(path).fingerprint()
        make_database(tmp_path / "new.db").replace(path)
    file(path).fingerprint()
    assert not {name for name in kept() if name.startswith(f"{path} (deleted)")}


def test_a_database_that_is_changed_all_the_time_cannot_be_copied(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sqlite_file, "_TICK_SECONDS", 0.001)
    monkeypatch.setattr(sqlite_file, "_TRIES", 2)
    let_a_writer_die(path, "DELETE")

    def copied(*_: object) -> None:
        path.touch()

    monkeypatch.setattr(SqliteFile, "_copy_files", copied)
    with pytest.raises(BusyError, match="changed each time"), file(path).opened(tmp_path, str):
        pass
