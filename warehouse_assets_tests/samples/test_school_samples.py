"""The finite school: the same from the same size and seed, made once, never over other files."""

import subprocess
import sys
from pathlib import Path

import pytest

from warehouse_assets.errors import SourceError
from warehouse_assets.samples.school import Event, Standing
from warehouse_assets.samples.school_places import Places
from warehouse_assets.samples.school_samples import _Clock, write_school_samples
from warehouse_assets.samples.school_writer import SchoolWriter
from warehouse_assets_tests.samples.school_truth import (
    assert_sources_are_as_recorded,
    batches,
    log_bytes,
    rows,
    students,
)


def contents(places: Places) -> tuple[object, ...]:
    return students(places), batches(places), log_bytes(places)


def made(folder: Path, size: int = 60, seed: int = 3) -> Places:
    places = Places.in_folder(folder)
    assert write_school_samples(places, size, seed) is None
    return places


def test_the_sources_hold_what_was_recorded(places: Places) -> None:
    write_school_samples(places, 100, seed=1)

    assert_sources_are_as_recorded(places)
    assert len(students(places)) == 100
    assert log_bytes(places).count(b"\n") == 4000
    assert sorted(path.name for path in places.log.parent.iterdir()) == [
        ".made",
        "batches.json",
        "students.db",
        "test_runs.log",
    ]


def test_the_same_size_and_seed_make_the_same_content(tmp_path: Path) -> None:
    first, second = made(tmp_path / "a"), made(tmp_path / "b")

    assert contents(first) == contents(second)


def test_another_process_makes_the_same_content(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from warehouse_assets.samples.school_places import Places;"
        "from warehouse_assets.samples.school_samples import write_school_samples;"
        "write_school_samples(Places.in_folder(Path('b')), 60, 3)"
    )
    environment = {"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, env=environment)

    assert contents(Places.in_folder(tmp_path / "b")) == contents(made(tmp_path / "a"))


def test_another_seed_makes_other_students_and_runs(tmp_path: Path) -> None:
    first, other = made(tmp_path / "a", seed=3), made(tmp_path / "b", seed=4)

    assert students(first) != students(other)
    assert log_bytes(first) != log_bytes(other)


def test_making_it_again_changes_nothing(tmp_path: Path) -> None:
    places = made(tmp_path)
    before = contents(places)

    made(tmp_path)

    assert contents(places) == before
    assert_sources_are_as_recorded(places)


def test_times_are_of_the_past_and_in_order(places: Places) -> None:
    write_school_samples(places, 100, seed=1)

    times = [row[3] for row in students(places)]
    assert times == sorted(times)
    created = [row[2] for row in batches(places)]
    assert created == sorted(created)
    assert created[0] == "2025-01-06 08:00:00.125000"
    # Two at a time begin within a second.
    assert len({time[:19] for time in created}) < len(created)


def test_a_million_students_come_within_two_years(places: Places) -> None:
    standing = Standing(events=41_200_000, lines=40_000_000)
    assert _Clock(1_000_000).time(standing) < "2026-02"


def test_a_school_of_another_size_stays_as_it_is(tmp_path: Path) -> None:
    places = made(tmp_path)
    before = contents(places)

    note = write_school_samples(places, 61, 3)

    assert note is not None
    assert "a school already, with 60 students and seed 3: it stays as it is" in note
    assert contents(places) == before


def test_a_school_that_somebody_is_writing_to_stays_as_it_is(tmp_path: Path) -> None:
    places = made(tmp_path)

    with SchoolWriter(places):
        note = write_school_samples(places, 60, 3)

    assert note is not None
    assert "Another process is writing to the sample school" in note


def test_one_whose_making_was_cut_short_is_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = contents(made(tmp_path / "whole", size=150))
    places = Places.in_folder(tmp_path / "cut")
    write = SchoolWriter.write
    groups = []

    def cut_short(writer: SchoolWriter, events: list[Event]) -> None:
        groups.append(events)
        if len(groups) == 3:
            raise KeyboardInterrupt
        write(writer, events)

    monkeypatch.setattr(SchoolWriter, "write", cut_short)
    with pytest.raises(KeyboardInterrupt):
        write_school_samples(places, 150, 3)
    assert 0 < len(students(places)) < 150

    assert write_school_samples(places, 150, 3) is None

    assert contents(places) == whole
    assert_sources_are_as_recorded(places)


@pytest.mark.parametrize("name", ["students.db", "batches.json", "test_runs.log"])
def test_a_file_of_somebody_elses_is_refused_and_nothing_is_made(places: Places, name: str) -> None:
    folder = places.log.parent
    folder.mkdir()
    (folder / name).write_text("mine")

    with pytest.raises(SourceError, match=f"{name} is there already and was not made as a sample"):
        write_school_samples(places, 10, 1)

    assert [path.name for path in folder.iterdir()] == [name]
    assert (folder / name).read_text() == "mine"


def test_a_school_deleted_by_hand_is_made_anew(tmp_path: Path) -> None:
    places = made(tmp_path)
    before = contents(places)
    for path in places.files:
        path.unlink()

    made(tmp_path)

    assert contents(places) == before
    assert_sources_are_as_recorded(places)


@pytest.mark.parametrize("name", ["students.db", "batches.json"])
def test_a_file_deleted_by_hand_is_written_again(tmp_path: Path, name: str) -> None:
    places = made(tmp_path)
    before = contents(places)
    (tmp_path / name).unlink()

    made(tmp_path)

    assert contents(places) == before


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "school").write_text("a file")

    with pytest.raises(SourceError, match=r"school\S* cannot be written: "):
        write_school_samples(Places.in_folder(tmp_path / "school"), 10, 1)


def test_a_home_that_was_moved_still_has_its_school(tmp_path: Path) -> None:
    before = contents(made(tmp_path / "old"))
    (tmp_path / "old").rename(tmp_path / "new")

    places = made(tmp_path / "new")

    assert contents(places) == before


def test_the_record_is_of_the_size_asked_for(places: Places) -> None:
    write_school_samples(places, 12, seed=1)

    assert rows(places.ledger, "SELECT value FROM facts WHERE name = 'students'") == [(12,)]
