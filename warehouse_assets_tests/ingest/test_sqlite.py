"""A SQLite table that others write: it is read whole, changes are noticed, nobody is disturbed."""

import os
import sqlite3
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from sqlalchemy import BigInteger, Column, MetaData, Table, Text

from warehouse_assets.errors import BusyError, SourceError
from warehouse_assets.ingest.sql_reader import Limits, SqlSource
from warehouse_assets.ingest.sqlite import SqliteReader
from warehouse_assets.ingest.validate import POSITION, PROBLEM, Validator
from warehouse_assets.progress import heard_by
from warehouse_assets.settings import Settings
from warehouse_assets_tests.ingest.sqlite_databases import (
    MODES,
    STUDENTS,
    another_program_writes,
    change,
    let_a_writer_die,
    make_database,
    rows,
    set_mode,
    student,
    without_privileges,
)

COLUMNS = ("id", "name", "batch_id", "created_at")
HASTY = Limits(patience_seconds=0.3, settled_seconds=-1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_database(tmp_path / "s.db", [student(n) for n in (1, 2, 3)])


def _nowhere(settings: Settings) -> str:
    raise AssertionError("the path is given")


def source(columns: Sequence[str] = COLUMNS, limits: Limits = HASTY) -> SqlSource:
    fields = [
        Column(f"column_{n}", Text if n else BigInteger, info={"field": name}, primary_key=n == 0)
        for n, name in enumerate(columns)
    ]
    validator = Validator(Table("students", MetaData(), *fields))
    return SqlSource(validator, "STUDENTS_DB", _nowhere, limits=limits)


def reader(path: Path, scratch: Path = Path(), **more: Any) -> SqliteReader:
    return SqliteReader(path, source(**more), scratch)


def read(path: Path, **more: Any) -> list[tuple[Any, ...]]:
    """Position, problem and texts of all rows."""
    found: list[tuple[Any, ...]] = []
    with TemporaryDirectory() as scratch:
        for page in reader(path, Path(scratch), **more).pages():
            names = [POSITION, PROBLEM, *page.names]
            columns = (page.rows.column(name).to_pylist() for name in names)
            found += zip(*columns, strict=True)
    return found


def numbers(path: Path, **more: Any) -> list[int]:
    return sorted(int(row[2]) for row in read(path, **more))


def fingerprint(path: Path, limits: Limits = HASTY) -> str | None:
    return reader(path, limits=limits).glance()


def listing(path: Path) -> list[str]:
    return sorted(other.name for other in path.parent.glob(f"{path.name}*"))


@pytest.mark.parametrize("mode", MODES)
def test_a_writer_is_not_disturbed_and_all_is_read(path: Path, mode: str) -> None:
    with another_program_writes(path, mode):
        for _ in range(10):
            found = numbers(path, limits=Limits(patience_seconds=60))
            assert found == list(range(1, len(found) + 1))
    assert numbers(path) == [row[0] for row in rows(path)]


@pytest.mark.parametrize("mode", MODES)
def test_nothing_is_left_beside_a_database_that_nobody_has_open(path: Path, mode: str) -> None:
    set_mode(path, mode)
    before = listing(path)
    assert numbers(path) == [1, 2, 3]
    assert listing(path) == before


@pytest.mark.parametrize("mode", MODES)
def test_what_a_writer_has_not_committed_is_not_read(path: Path, mode: str) -> None:
    set_mode(path, mode)
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM students")
        assert numbers(path) == [1, 2, 3]
        writer.execute("COMMIT")
        assert numbers(path) == []


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
    assert numbers(path) == [1, 2, 3, 1000]
    assert listing(path) == list(before)
    for name, content in before.items():
        assert name.endswith("-shm") or path.with_name(name).read_bytes() == content


def test_committed_changes_in_the_log_of_a_writer_that_died_are_read(path: Path) -> None:
    let_a_writer_die(path, "WAL", "COMMIT")
    path.with_name("s.db-shm").unlink()
    assert len(numbers(path)) == 504
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


def test_a_lock_is_waited_for(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        threading.Timer(0.2, lambda: writer.execute("COMMIT")).start()
        assert numbers(path, limits=Limits(patience_seconds=60)) == [1, 2, 3]


def test_a_lock_is_told_of_and_not_waited_for_without_end(path: Path, tmp_path: Path) -> None:
    told: list[str] = []
    limits = Limits(patience_seconds=1.5)
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        message = r"locked by another program for more than 1\.5 sec"
        with heard_by(told.append), pytest.raises(BusyError, match=message):
            list(SqliteReader(path, source(limits=limits), tmp_path).pages())
    assert told == [f"Waiting for another program that has locked {path}."]


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


def test_rows_come_with_their_names_and_row_numbers(tmp_path: Path) -> None:
    path = make_database(tmp_path / "s.db", [student(1), student(5, None, None)])
    texts = [
        tuple(None if value is None else str(value) for value in row)
        for row in (student(1), student(5, None, None))
    ]
    assert read(path) == [(1, None, *texts[0]), (5, None, *texts[1])]


@pytest.mark.parametrize("first_rows", [1, 2, 3, 6, 7])
def test_all_pages_are_read(tmp_path: Path, first_rows: int) -> None:
    there = [-(2**63), -5, 0, 1, 7, 2**63 - 1, *range(100, 200)]
    path = make_database(tmp_path / "s.db", [student(n) for n in there])
    limits = Limits(first_rows=first_rows, bytes_at_once=1)
    found = reader(path, limits=limits)
    pages = [page.rows.column(POSITION).to_pylist() for page in found.pages()]
    assert [position for page in pages for position in page] == sorted(there)
    assert len(pages) > 9
    assert found.expected == 2**63 - 1


def test_rows_that_come_while_reading_are_read(tmp_path: Path) -> None:
    path = make_database(tmp_path / "s.db", [student(n) for n in range(4)])
    positions: list[int] = []
    for page in reader(path, limits=Limits(first_rows=2)).pages():
        if not positions:
            change(path, "INSERT INTO students VALUES (50, 'new', 1, NULL)")
            change(path, "DELETE FROM students WHERE id = 2")
        positions += page.rows.column(POSITION).to_pylist()
    assert positions == [0, 1, 3, 50]


def test_an_empty_table_has_no_rows(tmp_path: Path) -> None:
    assert read(make_database(tmp_path / "s.db")) == []


COLUMNS_IN_SQL = "name, batch_id, created_at"
VIEW = f"""CREATE TABLE people (id INTEGER PRIMARY KEY, {COLUMNS_IN_SQL});
    CREATE VIEW students AS SELECT * FROM people;
    CREATE TRIGGER entered INSTEAD OF INSERT ON students BEGIN
        INSERT INTO people VALUES (new.id, new.name, new.batch_id, new.created_at); END"""


@pytest.mark.parametrize(
    ("schema", "positions"),
    [
        (f"CREATE TABLE students (id INTEGER PRIMARY KEY, {COLUMNS_IN_SQL})", [20, 30, 40]),
        (f"CREATE TABLE students (id TEXT PRIMARY KEY, {COLUMNS_IN_SQL})", [1, 2, 3]),
        (f"CREATE TABLE STUDENTS (ID INT, {COLUMNS_IN_SQL.upper()})", [1, 2, 3]),
        (f"CREATE TABLE students (id INT PRIMARY KEY, {COLUMNS_IN_SQL}) WITHOUT ROWID", [1, 2, 3]),
        (VIEW, [1, 2, 3]),
    ],
)
@pytest.mark.parametrize("first_rows", [1, 100])
def test_any_kind_of_table_is_read(
    tmp_path: Path, schema: str, positions: list[int], first_rows: int
) -> None:
    path = make_database(tmp_path / "s.db", [student(n) for n in (30, 20, 40)], schema)
    found = read(path, limits=Limits(first_rows=first_rows))
    assert [row[0] for row in found] == positions
    assert sorted(row[2] for row in found) == ["20", "30", "40"]


@pytest.mark.parametrize("hidden", [("rowid",), ("rowid", "_rowid_"), ("rowid", "_rowid_", "oid")])
def test_columns_that_are_called_like_the_row_number_do_not_hide_it(
    tmp_path: Path, hidden: Sequence[str]
) -> None:
    columns = ", ".join(f"{name} TEXT" for name in hidden)
    path = make_database(tmp_path / "s.db", (), f"CREATE TABLE students (id INT, {columns})")
    for number in (7, 8):
        change(path, f"INSERT INTO students (id, rowid) VALUES ({number}, 'x')")
    assert read(path) == [(1, None, "7"), (2, None, "8")]


def test_columns_may_be_missing_computed_or_too_many(tmp_path: Path) -> None:
    schema = """CREATE TABLE students (hobby, "ID" INT, secret,
        name GENERATED ALWAYS AS ('n' || id))"""
    path = make_database(tmp_path / "s.db", (), schema)
    change(path, "INSERT INTO students (id, hobby) VALUES (4, 'chess')")
    assert read(path) == [(1, None, "4", "n4")]
    found = reader(path)
    list(found.pages())
    assert found.unknown == ["hobby", "secret"]


def test_binary_data_and_broken_text_are_problems(tmp_path: Path) -> None:
    path = make_database(tmp_path / "s.db", [(1, b"\x00\xff", 2, None), (2, "a\0b", b"", None)])
    change(path, "INSERT INTO students VALUES (3, CAST(x'41e942' AS TEXT), 1.5, 9e999)")
    change(path, ("INSERT INTO students VALUES (4, ?, 1, NULL)", (b"\x01" * 10**6,)))
    *found, long = read(path)
    assert found == [
        (1, "name is binary data", "1", "x'00ff'", "2", None),
        (2, "batch_id is binary data", "2", "a\0b", "x''", None),
        (3, "name is not valid UTF-8", "3", "x'41e942'", "1.5", "inf"),
    ]
    assert len(long[3]) < 1100
    assert long[3].endswith("01…'")


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (
            "CREATE TABLE pupils (id); CREATE VIEW people AS SELECT 1",
            "Its tables are people, pupils",
        ),
        ("", "It has no tables"),
        (
            "CREATE TABLE students (name, number)",
            "table students without the column id. Its columns are name, number",
        ),
    ],
)
def test_what_is_not_there_is_told_with_what_is(tmp_path: Path, schema: str, words: str) -> None:
    path = make_database(tmp_path / "s.db", (), schema)
    with pytest.raises(SourceError, match=words) as raised:
        read(path)
    assert str(path) in str(raised.value)
    assert "STUDENTS_DB" in str(raised.value)


@pytest.mark.parametrize(
    "content",
    [b"id,name\n1,Ann\n", b"\x93" * 5000, b"SQLite format 3\0" + b"\xff" * 5000],
)
def test_a_file_that_is_no_database_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "s.db"
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"not a SQLite database|malformed") as raised:
        read(path)
    assert f"{path} cannot be read" in str(raised.value)


def test_a_damaged_database_is_told(tmp_path: Path) -> None:
    path = make_database(tmp_path / "s.db", [student(n, "x" * 100) for n in range(500)])
    content = bytearray(path.read_bytes())
    content[8192:] = b"\xff" * (len(content) - 8192)
    path.write_bytes(content)
    with pytest.raises(SourceError, match="malformed"):
        read(path)


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="it is not a file"):
        read(tmp_path)


@pytest.mark.parametrize("name", ["a b.db", "100%.db", "a?mode=rw.db", "#1.db", "é.db", "a%20b"])
def test_a_path_may_have_any_characters(tmp_path: Path, name: str) -> None:
    path = make_database(tmp_path / name, [student(1)])
    assert len(read(path)) == 1
    assert [file.name for file in tmp_path.glob("*.db*")] == [name][: name.endswith(".db")]


def test_a_link_is_followed(tmp_path: Path) -> None:
    set_mode(make_database(tmp_path / "real.db", [student(1)]), "WAL")
    link = tmp_path / "link.db"
    link.symlink_to("real.db")
    assert len(read(link)) == 1


def test_names_of_columns_are_not_executed_as_sql(tmp_path: Path) -> None:
    path = make_database(tmp_path / "s.db", (), STUDENTS.replace("name", '"na""me"'))
    change(path, "INSERT INTO students VALUES (1, 'x', 2, NULL)")
    assert read(path, columns=["id", 'na"me']) == [(1, None, "1", "x")]
