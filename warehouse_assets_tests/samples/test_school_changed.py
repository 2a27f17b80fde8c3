"""Sources of a school that somebody else has changed: they are refused and left as they are."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from warehouse_assets.errors import SourceError
from warehouse_assets.samples.school_places import Places
from warehouse_assets.samples.school_writer import SchoolWriter, complete
from warehouse_assets_tests.samples.school_life import grown, live
from warehouse_assets_tests.samples.school_truth import (
    assert_sources_are_as_recorded,
)


def test_a_file_in_the_way_of_a_rotation_is_not_overwritten(places: Places) -> None:
    mine = places.log.with_name("test_runs.log.1")
    with SchoolWriter(places) as writer:
        live(writer, 20)
        mine.write_text("mine")
        with pytest.raises(SourceError, match=r"test_runs\.log\.1 is in the way"):
            writer.rotate(keep=9)
    assert mine.read_text() == "mine"


def test_a_log_with_lines_of_others_is_refused(places: Places) -> None:
    grown(places)
    with places.log.open("a") as stream:
        stream.write("mine\n")

    with pytest.raises(SourceError, match=r"test_runs\.log was changed or deleted by another"):
        complete(places)

    assert places.log.read_text().endswith("mine\n")


def test_a_log_changed_while_it_is_written_to_is_refused(places: Places) -> None:
    with SchoolWriter(places) as writer:
        live(writer, 20)
        with places.log.open("a") as stream:
            stream.write("mine\n")
        with pytest.raises(SourceError, match="changed"):
            live(writer, 20)
        places.log.write_bytes(places.log.read_bytes().removesuffix(b"mine\n"))
    assert_sources_are_as_recorded(places)


def other_log(places: Places) -> None:
    places.log.write_bytes(b"x" * places.log.stat().st_size)


def no_log(places: Places) -> None:
    places.log.unlink()


def other_students(places: Places) -> None:
    places.students.unlink()
    with closing(sqlite3.connect(places.students)) as connection:
        connection.execute("CREATE TABLE students(id, name, batch_id, created_at)")


def no_database(places: Places) -> None:
    places.students.write_text("not a database")


def more_students(places: Places) -> None:
    with closing(sqlite3.connect(places.students)) as connection, connection:
        connection.execute("INSERT INTO students VALUES (900, 'mine', 1, '2026-01-01')")


def other_batches(places: Places) -> None:
    places.batches.write_text("[]")
    places.batches.write_text('[{"id": 1}]')


@pytest.mark.parametrize(
    "change", [other_log, no_log, other_students, no_database, more_students, other_batches]
)
def test_a_source_that_somebody_has_changed_is_refused_and_left(
    places: Places, change: Callable[[Places], None]
) -> None:
    grown(places)
    change(places)
    before = [path.read_bytes() if path.exists() else None for path in places.files]

    with pytest.raises(SourceError, match="left as it is"):
        complete(places)

    assert [path.read_bytes() if path.exists() else None for path in places.files] == before


def test_a_school_made_elsewhere_is_not_begun_again(places: Places, tmp_path: Path) -> None:
    grown(places)
    other = Places(tmp_path / "x.db", places.batches, places.log, places.made)

    with pytest.raises(
        SourceError, match=r"was made in students\.db, .*; now it would be /.*x\.db"
    ):
        complete(other)

    assert not (tmp_path / "x.db").exists()


def test_a_record_that_is_damaged_is_named(places: Places) -> None:
    grown(places)
    places.ledger.write_text("no database at all, and long enough for it to be seen")

    with pytest.raises(SourceError, match=r"school\.db, cannot be read"):
        complete(places)
