"""What tables of SQLite may look like, and what is no database."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from warehouse_assets.errors import SourceError
from warehouse_assets.ingest.sql_source import Limits
from warehouse_assets_tests.ingest.sqlite_databases import (
    STUDENTS,
    TIME,
    change,
    make_database,
    read,
    reader,
    set_mode,
    student,
)


@pytest.mark.parametrize("first_rows", [1, 7])
def test_all_pages_are_read(tmp_path: Path, first_rows: int) -> None:
    there = [-(2**63), -5, 0, 1, 7, 2**63 - 1, *range(100, 200)]
    path = make_database(tmp_path / "s.db", [student(n) for n in there])
    limits = Limits(first_rows=first_rows, bytes_at_once=1)
    found = reader(path, limits=limits)
    pages = [page.rows.column("position").to_pylist() for page in found.pages()]
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
        positions += page.rows.column("position").to_pylist()
    assert positions == [0, 1, 3, 50]


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
def test_any_kind_of_table_is_read(tmp_path: Path, schema: str, positions: list[int]) -> None:
    assert read(make_database(tmp_path / "empty.db", (), schema)) == []
    path = make_database(tmp_path / "s.db", [student(n) for n in (30, 20, 40)], schema)
    found = read(path, limits=Limits(first_rows=2))
    assert [row[0] for row in found] == positions
    assert sorted(row[1:] for row in found) == [
        (None, n, "Ann", "7", TIME) for n in ["20", "30", "40"]
    ]


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


def test_what_is_no_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    for content in (b"id,name\n1,Ann\n", b"\x93" * 5000, b"SQLite format 3\0" + b"\xff" * 5000):
        path.write_bytes(content)
        with pytest.raises(SourceError, match=r"not a SQLite database|malformed") as raised:
            read(path)
        assert f"{path} cannot be read" in str(raised.value)
    with pytest.raises(SourceError, match="it is not a file"):
        read(tmp_path)


def test_a_damaged_database_is_told(tmp_path: Path) -> None:
    path = make_database(tmp_path / "s.db", [student(n, "x" * 100) for n in range(500)])
    content = bytearray(path.read_bytes())
    content[8192:] = b"\xff" * (len(content) - 8192)
    path.write_bytes(content)
    with pytest.raises(SourceError, match="malformed"):
        read(path)


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
