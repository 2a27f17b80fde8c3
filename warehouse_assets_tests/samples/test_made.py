"""Removing what was made: all of it, and nothing else."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from warehouse_assets.errors import SourceError
from warehouse_assets.samples.forum import write_forum_samples
from warehouse_assets.samples.made import remove_samples
from warehouse_assets.samples.school_log import LogFiles
from warehouse_assets.samples.school_places import Places
from warehouse_assets.samples.school_samples import write_school_samples
from warehouse_assets.samples.school_writer import SchoolInUseError, SchoolWriter
from warehouse_assets_tests.samples.school_life import Killed, grown, killed, live


def files(folder: Path) -> list[str]:
    """What is in `folder`, but for the current folder that every test has."""
    names = (str(path.relative_to(folder)) for path in folder.rglob("*"))
    return sorted(name for name in names if name != "work")


def test_everything_that_was_made_is_removed(places: Places, tmp_path: Path) -> None:
    write_forum_samples(tmp_path / "inbox", 40, 1)
    grown(places, rotations=3)

    removal = remove_samples(places, tmp_path / "inbox")

    assert files(tmp_path) == ["inbox"]
    assert removal.left == []
    assert [path.name for path in removal.removed] == [
        "students.db",
        "batches.json",
        "test_runs.log.3",
        "test_runs.log.2",
        "test_runs.log.1",
        "test_runs.log",
        "posts-sample-40-1.json",
        "votes-sample-40-1-1.jsonl",
        "votes-sample-40-1-2.jsonl.gz",
    ]


def test_where_nothing_was_made_nothing_is_removed(places: Places, tmp_path: Path) -> None:
    places.students.parent.mkdir()
    for path in places.files:
        path.write_text("mine")
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "votes-sample.json").write_text("mine")
    before = files(tmp_path)

    removal = remove_samples(places, tmp_path / "inbox")

    assert (removal.removed, removal.left) == ([], [])
    assert files(tmp_path) == before


def test_files_beside_those_that_were_made_stay(places: Places, tmp_path: Path) -> None:
    grown(places, rotations=1)
    for name in ("test_runs.log.2", "test_runs.log.old", "more.db", "batches.json.bak"):
        (places.log.parent / name).write_text("mine")

    remove_samples(places, tmp_path / "inbox")

    assert files(places.log.parent) == [
        "batches.json.bak",
        "more.db",
        "test_runs.log.2",
        "test_runs.log.old",
    ]


@pytest.mark.parametrize(
    ("name", "is_sample"),
    [
        ("posts-sample-40-1.json", True),
        ("votes-sample-40--1-2.jsonl.gz", True),
        (".votes-sample-40-1-1.jsonl.part", True),
        ("votes-sample-40-1-1.jsonl.gz", False),
        ("votes-sample-40-1-3.jsonl", False),
        ("posts-sample-40.json", False),
        ("my-posts-sample-40-1.json", False),
        ("posts-sample-40-1.json.bak", False),
    ],
)
def test_waiting_files_of_the_forum_are_known_by_their_names(
    places: Places, tmp_path: Path, name: str, is_sample: bool
) -> None:
    (tmp_path / name).write_text("[]")

    remove_samples(places, tmp_path)

    assert (tmp_path / name).exists() != is_sample


def change_students(places: Places) -> Path:
    with closing(sqlite3.connect(places.students)) as connection, connection:
        connection.execute("UPDATE students SET name = 'mine' WHERE id = 1")
    return places.students


def add_a_table(places: Places) -> Path:
    with closing(sqlite3.connect(places.students)) as connection, connection:
        connection.execute("CREATE TABLE mine(id)")
    return places.students


def replace_students(places: Places) -> Path:
    places.students.write_text("mine")
    return places.students


def replace_batches(places: Places) -> Path:
    places.batches.write_text('[{"id": 1}]')
    return places.batches


def break_batches(places: Places) -> Path:
    places.batches.write_text("mine")
    return places.batches


def add_lines(places: Places) -> Path:
    with places.log.open("a") as stream:
        stream.write("mine\n")
    return places.log


def replace_a_rotated_log(places: Places) -> Path:
    path = places.log.with_name("test_runs.log.1")
    path.write_text("mine")
    return path


@pytest.mark.parametrize(
    "change",
    [
        change_students,
        add_a_table,
        replace_students,
        replace_batches,
        break_batches,
        add_lines,
        replace_a_rotated_log,
    ],
)
def test_what_somebody_has_changed_stays_and_is_told_of(
    places: Places, tmp_path: Path, change: Callable[[Places], Path]
) -> None:
    grown(places, rotations=1)
    path = change(places)
    content = path.read_bytes()

    removal = remove_samples(places, tmp_path / "inbox")

    assert removal.left == [path]
    assert path.read_bytes() == content
    assert files(places.log.parent) == [path.name]


def test_a_school_whose_writer_was_killed_is_removed(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise Killed

    def change(writer: SchoolWriter) -> None:
        writer.use_wal(True)
        with monkeypatch.context() as patch:
            patch.setattr(LogFiles, "append", die)
            live(writer, 500)

    killed(places, change)

    assert remove_samples(places, tmp_path / "inbox").left == []
    assert files(tmp_path) == []


def test_a_school_is_not_removed_while_it_is_written_to(places: Places, tmp_path: Path) -> None:
    write_forum_samples(tmp_path / "inbox", 40, 1)
    with SchoolWriter(places) as writer:
        live(writer, 100)
        before = files(tmp_path)
        with pytest.raises(SchoolInUseError, match="Stop it first"):
            remove_samples(places, tmp_path / "inbox")
        assert files(tmp_path) == before


def test_a_school_is_removed_from_where_it_was_made(places: Places, tmp_path: Path) -> None:
    elsewhere = Places(tmp_path / "far" / "s.db", places.batches, places.log, places.made)
    grown(elsewhere)

    remove_samples(places, tmp_path / "inbox")

    assert files(tmp_path) == ["far"]


def test_after_the_removal_a_school_can_be_made(places: Places, tmp_path: Path) -> None:
    write_school_samples(places, 20, 1)
    remove_samples(places, tmp_path / "inbox")

    assert write_school_samples(places, 30, 2) is None


def test_a_record_that_is_damaged_removes_nothing(places: Places, tmp_path: Path) -> None:
    grown(places)
    places.ledger.write_text("no database at all, and long enough for it to be seen")
    before = files(tmp_path)

    with pytest.raises(SourceError, match="cannot be read"):
        remove_samples(places, tmp_path / "inbox")

    assert files(tmp_path) == before
