"""Rows of a SQL table merged by key, as students are, while another program writes them."""

from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from warehouse_assets.defs.school.family import STUDENTS_SOURCE
from warehouse_assets.defs.school.tables import STUDENTS
from warehouse_assets.errors import SourceError
from warehouse_assets.ingest.load import loaded_at
from warehouse_assets.ingest.loaded import Loaded
from warehouse_assets.ingest.sql import load_sql
from warehouse_assets.ingest.sql_source import Limits
from warehouse_assets.lake import Lake, Written
from warehouse_assets.progress import Progress, heard_by
from warehouse_assets_tests.crashes import hooked
from warehouse_assets_tests.ingest.sqlite_databases import (
    change,
    make_database,
    rows,
    student,
)
from warehouse_assets_tests.ingest.stored import make_lake, rejected, stored, version

SETTLED = Limits(settled_seconds=-1)
PAGED = Limits(first_rows=2)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return make_lake(tmp_path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_database(tmp_path / "students.db", [student(n) for n in (1, 2, 3)])


def url(path: Path) -> sa.URL:
    return sa.URL.create("sqlite", database=str(path))


def take(lake: Lake, path: Path, is_given: bool = True, limits: Limits = PAGED) -> Loaded:
    return load_sql(lake, replace(STUDENTS_SOURCE, limits=limits), url(path), is_given)


def in_lake(lake: Lake) -> list[tuple[object, ...]]:
    columns = "id, name, batch_id, strftime(created_at, '%Y-%m-%d %H:%M:%S.%f')"
    return sorted(stored(lake, STUDENTS, columns))


def test_students_are_taken_and_changes_are_not_missed(lake: Lake, path: Path) -> None:
    heard: list[Progress] = []
    with heard_by(report=heard.append):
        taken = take(lake, path, limits=STUDENTS_SOURCE.limits)
    reading = Progress("students", "reading", 3, 3, "rows")
    assert heard == [reading, reading, Progress("students", "storing")]
    assert (taken.records, taken.written.inserted) == (3, 3)
    assert in_lake(lake) == rows(path)
    change(
        path,
        "UPDATE students SET batch_id = 9 WHERE id = 1",
        "UPDATE students SET name = NULL WHERE id = 2",
        "INSERT INTO students VALUES (4, 'Dan', NULL, NULL)",
    )
    taken = take(lake, path)
    assert (taken.records, taken.written.inserted, taken.written.updated) == (4, 1, 2)
    there = rows(path)
    assert in_lake(lake) == there
    before = version(lake, STUDENTS)
    change(path, "DELETE FROM students WHERE id = 2")
    assert take(lake, path).written == Written()
    assert (in_lake(lake), version(lake, STUDENTS)) == (there, before)


def test_an_unchanged_database_is_not_read(lake: Lake, path: Path) -> None:
    assert not take(lake, path, limits=SETTLED).is_unchanged_source
    last = loaded_at(lake.table(STUDENTS).open(), "students")
    assert last is not None
    assert take(lake, path, limits=SETTLED) == Loaded(is_unchanged_source=True)
    assert take(lake, path, limits=Limits(settled_seconds=3600)).records == 3
    change(path, "UPDATE students SET name = 'Bob' WHERE id = 3", "DELETE FROM students WHERE id=1")
    assert take(lake, path, limits=SETTLED).written.updated == 1
    assert in_lake(lake)[1:] == rows(path)
    assert take(lake, path, limits=SETTLED).is_unchanged_source


def test_a_change_while_reading_is_not_missed(lake: Lake, path: Path) -> None:
    def change_when_read(point: str, _: str) -> None:
        if point == "source read":
            change(path, "UPDATE students SET batch_id = batch_id + 1 WHERE id = 1")

    with hooked(change_when_read):
        take(lake, path, limits=SETTLED)
    assert not take(lake, path, limits=SETTLED).is_unchanged_source
    assert in_lake(lake) == rows(path)


@pytest.mark.parametrize("columns", ["id TEXT, name, batch_id, created_at", "hobby, id, name"])
def test_of_rows_with_one_key_the_last_counts(lake: Lake, tmp_path: Path, columns: str) -> None:
    path = make_database(tmp_path / "s.db", (), f"CREATE TABLE students ({columns})")
    change(path, *(f"INSERT INTO students (id, name) VALUES ('7', '{name}')" for name in "abc"))
    assert take(lake, path).written.inserted == 1
    assert stored(lake, STUDENTS) == [(7, "c", None, None)]


def test_values_of_a_wrong_type_are_rejected_with_their_row(lake: Lake, path: Path) -> None:
    change(
        path,
        ("INSERT INTO students VALUES (10, 'a', 'none', NULL)", ()),
        ("INSERT INTO students VALUES (11, ?, 1, NULL)", (b"\x00\xff",)),
        ("INSERT INTO students VALUES (12, 'b', ?, NULL)", (b"\x07",)),
        ("INSERT INTO students VALUES (13, 'c', 1, 1763646714)", ()),
        ("INSERT INTO students VALUES (14, 'd', 2.5, NULL)", ()),
        ("INSERT INTO students VALUES (15, 16, 3.0, '')", ()),
    )
    taken = take(lake, path)
    assert (taken.records, taken.rejected) == (4, 5)
    assert [row[:3] for row in in_lake(lake)][3:] == [(15, "16", 3)]
    assert rejected(lake, "position, reason") == [
        (10, "batch_id is not a whole number: none"),
        (11, "name is binary data"),
        (12, "batch_id is binary data"),
        (13, "created_at is not a date and time: 1763646714"),
        (14, "batch_id is not a whole number: 2.5"),
    ]
    assert {row[:2] for row in rejected(lake, "source, unit")} == {
        ("students", "00000001-students.db")
    }
    assert rejected(lake)[1][2] == ('{"id":11,"name":"x\'00ff\'","batch_id":1,"created_at":null}')
    again = take(lake, path)
    assert (again.rejected, again.rejected_before) == (0, 5)
    change(path, "UPDATE students SET batch_id = 8 WHERE id = 10")
    assert take(lake, path).written.inserted == 1


def test_a_database_that_is_not_there_is_no_error_unless_it_was_given(
    lake: Lake, tmp_path: Path
) -> None:
    told: list[str] = []
    missing = tmp_path / "none" / "students.db"
    with heard_by(told.append):
        taken = load_sql(lake, STUDENTS_SOURCE, url(missing), False)
    assert taken == Loaded(is_missing=True)
    assert str(missing) in told[0]
    with pytest.raises(SourceError, match="STUDENTS_DB") as raised:
        take(lake, missing)
    assert str(missing) in str(raised.value)
    assert not missing.parent.exists()


def test_a_database_that_is_none_is_an_error_even_at_its_default_place(
    lake: Lake, tmp_path: Path
) -> None:
    path = tmp_path / "students.db"
    path.write_text("id,name\n")
    with pytest.raises(SourceError, match="STUDENTS_DB"):
        take(lake, path, is_given=False)
    path.write_text("")
    with pytest.raises(SourceError, match="It has no tables"):
        take(lake, path, is_given=False)
