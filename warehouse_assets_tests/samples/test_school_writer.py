"""Writing a school: how its sources grow while others read them."""

import sqlite3
import threading
from contextlib import closing
from random import Random

import pytest

from warehouse_assets.errors import BusyError
from warehouse_assets.samples import school_files
from warehouse_assets.samples.school_log import LogFiles
from warehouse_assets.samples.school_places import Places
from warehouse_assets.samples.school_writer import SchoolInUseError, SchoolWriter, complete
from warehouse_assets_tests.samples.school_life import grown, live
from warehouse_assets_tests.samples.school_truth import (
    assert_sources_are_as_recorded,
    log_bytes,
    log_files,
    rows,
    students,
)


def test_the_log_is_cut_in_the_middle_of_a_line_at_moments(places: Places) -> None:
    ends = set()
    with SchoolWriter(places, Random(1)) as writer:
        for _ in range(40):
            live(writer, 3)
            ends.add(log_bytes(places)[-1:])
    assert len(ends) > 5
    assert b"\n" in ends
    assert_sources_are_as_recorded(places)


def test_lines_are_written_in_parts(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[list[bytes]] = []
    append = LogFiles.append

    def watched(logs: LogFiles, age: int, parts: list[bytes], is_slow: bool = False) -> None:
        written.append(parts)
        append(logs, age, parts, is_slow)

    monkeypatch.setattr(LogFiles, "append", watched)
    grown(places)

    (parts, *_) = written
    assert sum(not part.endswith(b"\n") for part in parts) > 5
    assert_sources_are_as_recorded(places)


def test_a_line_that_is_half_written_ends_in_the_rotated_log(places: Places) -> None:
    with SchoolWriter(places, Random(1)) as writer:
        while log_bytes(places).endswith(b"\n") or not places.log.exists():
            live(writer, 2)
        writer.rotate(keep=9)
        assert not places.log.exists()
        assert log_bytes(places).endswith(b"\n")
        live(writer, 60)
    assert len(log_files(places)) == 2
    assert_sources_are_as_recorded(places)


def test_the_oldest_logs_are_deleted(places: Places) -> None:
    with SchoolWriter(places, Random(1)) as writer:
        for _ in range(5):
            live(writer, 20)
            writer.rotate(keep=2)
        assert writer.ledger.totals.rotations == 5
        assert writer.ledger.totals.rotated_logs_deleted == 3
        live(writer, 20)
    assert [path.suffix for path in log_files(places)] == [".2", ".1", ".log"]
    with SchoolWriter(places):
        pass


def test_two_cannot_write_at_once(places: Places) -> None:
    with SchoolWriter(places), pytest.raises(SchoolInUseError, match="Stop it first"):
        SchoolWriter(places)
    complete(places)


def test_writing_waits_for_a_reader_of_the_students(places: Places) -> None:
    grown(places)
    with closing(sqlite3.connect(places.students, check_same_thread=False)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM students").fetchall()
        has_read = threading.Event()

        def end_reading() -> None:
            has_read.set()
            reader.rollback()

        timer = threading.Timer(0.6, end_reading)
        timer.start()
        with SchoolWriter(places) as writer:
            live(writer, 100)
        assert has_read.is_set()
        timer.join()
    assert_sources_are_as_recorded(places)


def test_a_reader_who_never_ends_is_told_of(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown(places)
    monkeypatch.setattr(school_files, "_PATIENCE_SECONDS", 0.1)
    with closing(sqlite3.connect(places.students)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM students").fetchall()
        with pytest.raises(BusyError, match="locked"), SchoolWriter(places) as writer:
            live(writer, 100)
    complete(places)
    assert_sources_are_as_recorded(places)


@pytest.mark.parametrize("is_wal", [True, False])
def test_the_students_are_written_in_either_mode(places: Places, is_wal: bool) -> None:
    with SchoolWriter(places) as writer:
        writer.use_wal(is_wal)
        live(writer, 100)
        assert rows(places.students, "PRAGMA journal_mode") == [("wal" if is_wal else "delete",)]
        assert places.students.with_name("students.db-wal").exists() == is_wal
        assert len(students(places)) > 1
        writer.use_wal(False)
    assert_sources_are_as_recorded(places)


def test_the_mode_stays_while_somebody_reads(places: Places) -> None:
    with SchoolWriter(places) as writer:
        live(writer, 100)
        with closing(sqlite3.connect(places.students)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM students").fetchall()
            writer.use_wal(True)
        assert rows(places.students, "PRAGMA journal_mode") == [("delete",)]


def test_locked_students_cannot_be_read(places: Places) -> None:
    seen: list[str] = []
    unlocked = threading.Event()

    def read() -> None:
        while not seen and not unlocked.is_set():
            with closing(sqlite3.connect(places.students, timeout=0)) as reader:
                try:
                    reader.execute("SELECT * FROM students").fetchall()
                except sqlite3.OperationalError as error:
                    seen.append(str(error))

    with SchoolWriter(places) as writer:
        live(writer, 100)
        reader = threading.Thread(target=read)
        reader.start()
        writer.lock_students(0.4)
        unlocked.set()
        reader.join()
    assert seen == ["database is locked"]


def test_events_are_recorded_before_they_are_in_a_source(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int]] = []
    append = LogFiles.append

    def watched(logs: LogFiles, age: int, parts: list[bytes], is_slow: bool = False) -> None:
        seen.extend(rows(places.ledger, "SELECT max(position) FROM runs"))
        append(logs, age, parts, is_slow)

    monkeypatch.setattr(LogFiles, "append", watched)
    with SchoolWriter(places) as writer:
        live(writer, 50)

    assert len(seen) == 1
    assert places.log.stat().st_size > 0
