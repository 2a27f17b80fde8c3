"""The rows of a table that others write: which ones come, in whatever form the table has."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from warehouse_assets.errors import SourceError
from warehouse_assets.sources.record_spool import Record
from warehouse_assets.sources.sqlite_file import SqliteFile
from warehouse_assets.sources.sqlite_rows import SqliteRows
from warehouse_assets_tests.sources.sqlite_sources import STUDENTS, change, make_database, student

COLUMNS = ("id", "name", "batch_id", "created_at")


@contextmanager
def scratch() -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        yield Path(folder)


def source(path: Path, columns: Sequence[str] = COLUMNS, **more: Any) -> SqliteRows:
    return SqliteRows(
        SqliteFile(path, "STUDENTS_DB", patience_seconds=0.3),
        "students",
        columns,
        ["id"],
        scratch,
        str,
        **more,
    )


def read(path: Path, **more: Any) -> list[Record]:
    return list(source(path, **more).records())


def values(records: Sequence[Record]) -> list[tuple[object, ...]]:
    return [
        (record.position, *record.content.values())
        for record in records
        if isinstance(record.content, dict)
    ]


def test_rows_come_with_their_names_and_row_numbers(tmp_path: Path) -> None:
    path = make_database(tmp_path / "s.db", [student(1), student(5, None, None)])
    assert read(path) == [
        Record(1, dict(zip(COLUMNS, student(1), strict=True))),
        Record(5, dict(zip(COLUMNS, student(5, None, None), strict=True))),
    ]
    assert source(path).unit == "s.db"


@pytest.mark.parametrize("rows_at_once", [1, 2, 3, 6, 7])
def test_all_pages_are_read(tmp_path: Path, rows_at_once: int) -> None:
    numbers = [-(2**63), -5, 0, 1, 7, 2**63 - 1]
    path = make_database(tmp_path / "s.db", [student(n) for n in numbers])
    found = source(path, rows_at_once=rows_at_once)
    records = list(found.records())
    assert [record.position for record in records] == numbers
    assert found.expected == 2**63 - 1


def test_rows_that_come_while_reading_are_read(tmp_path: Path) -> None:
    path = make_database(tmp_path / "s.db", [student(n) for n in range(4)])
    records = source(path, rows_at_once=2).records()
    positions = [next(records).position]
    change(path, "INSERT INTO students VALUES (50, 'new', 1, NULL)")
    change(path, "DELETE FROM students WHERE id = 2")
    assert positions + [record.position for record in records] == [0, 1, 3, 50]


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
@pytest.mark.parametrize("rows_at_once", [1, 100])
def test_any_kind_of_table_is_read(
    tmp_path: Path, schema: str, positions: list[int], rows_at_once: int
) -> None:
    path = make_database(tmp_path / "s.db", [student(n) for n in (30, 20, 40)], schema)
    found = values(read(path, rows_at_once=rows_at_once))
    assert [position for position, *_ in found] == positions
    assert sorted(str(number) for _, number, *_ in found) == ["20", "30", "40"]


@pytest.mark.parametrize("hidden", [("rowid",), ("rowid", "_rowid_"), ("rowid", "_rowid_", "oid")])
def test_columns_that_are_called_like_the_row_number_do_not_hide_it(
    tmp_path: Path, hidden: Sequence[str]
) -> None:
    columns = ", ".join(f"{name} TEXT" for name in hidden)
    path = make_database(tmp_path / "s.db", (), f"CREATE TABLE students (id INT, {columns})")
    for number in (7, 8):
        change(path, f"INSERT INTO students (id, rowid) VALUES ({number}, 'x')")
    assert values(read(path)) == [(1, 7), (2, 8)]


def test_columns_may_be_missing_computed_or_too_many(tmp_path: Path) -> None:
    schema = """CREATE TABLE students (hobby, "ID" INT, secret,
        name GENERATED ALWAYS AS ('n' || id))"""
    path = make_database(tmp_path / "s.db", (), schema)
    change(path, "INSERT INTO students (id, hobby) VALUES (4, 'chess')")
    assert read(path) == [Record(1, {"id": 4, "name": "n4"})]


def test_binary_data_and_broken_text_are_problems(tmp_path: Path) -> None:
    path = make_database(tmp_path / "s.db", [(1, b"\x00\xff", 2, None), (2, "a\0b", b"", None)])
    change(path, "INSERT INTO students VALUES (3, CAST(x'41e942' AS TEXT), 1.5, 9e999)")
    first, second, third = read(path)
    assert first == Record(
        1, {"id": 1, "name": "x'00ff'", "batch_id": 2, "created_at": None}, "name is binary data"
    )
    assert second.problem == "batch_id is binary data"
    assert isinstance(second.content, dict)
    assert second.content["name"] == "a\0b"
    assert third == Record(
        3,
        {"id": 3, "name": "A�B", "batch_id": 1.5, "created_at": float("inf")},
        "name is not valid UTF-8",
    )


def test_long_binary_data_is_shown_in_part(tmp_path: Path) -> None:
    path = make_database(tmp_path / "s.db", [(1, b"\x01" * 10**6, 2, None)])
    ((_, _, shown, _, _),) = values(read(path))
    assert isinstance(shown, str)
    assert len(shown) < 1100
    assert shown.endswith("01…'")


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
def test_a_database_without_the_table_says_what_it_has(
    tmp_path: Path, schema: str, words: str
) -> None:
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
    make_database(tmp_path / "real.db", [student(1)])
    link = tmp_path / "link.db"
    link.symlink_to("real.db")
    with sqlite3.connect(tmp_path / "real.db") as database:
        database.execute("PRAGMA journal_mode = WAL")
    database.close()
    assert len(read(link)) == 1


def test_statements_of_the_table_are_not_executed_as_sql(tmp_path: Path) -> None:
    path = make_database(tmp_path / "s.db", (), STUDENTS.replace("name", '"na""me"'))
    change(path, "INSERT INTO students VALUES (1, 'x', 2, NULL)")
    (record,) = read(path, columns=["id", 'na"me'])
    assert record.content == {"id": 1, 'na"me': "x"}
