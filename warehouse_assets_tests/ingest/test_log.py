"""Catching up with a log, also when it is rotated: what is taken, left, lost and told."""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from warehouse_assets import crash_points
from warehouse_assets.defs.school.family import TEST_RUN_LINES
from warehouse_assets.defs.school.tables import TEST_RUNS
from warehouse_assets.errors import ConflictError, SourceError
from warehouse_assets.ingest.lines import Lines
from warehouse_assets.ingest.load import loaded_at
from warehouse_assets.ingest.loaded import Loaded
from warehouse_assets.ingest.log import LogKind, load_log
from warehouse_assets.ingest.log_files import LogChangedError
from warehouse_assets.lake import Lake
from warehouse_assets.progress import Progress, heard_by
from warehouse_assets_tests.crashes import hooked
from warehouse_assets_tests.folders import folder_of
from warehouse_assets_tests.ingest.logs import Log, run_line

ONE, TWO, THREE, FOUR = (run_line(number) for number in (1, 2, 3, 4))
SIZE = len(ONE)
LOST = (
    "the log was truncated, or it was rotated and the file it became is gone: lines written from "
    "position {} on, if there were any, were never seen"
)


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path)


def test_new_lines_are_taken_once(log: Log) -> None:
    log.write(ONE, b"\n", TWO)
    first = log.take()
    assert log.rows() == [(0, 1, 1, None, 2, 2, True), (SIZE + 1, 2, 1, None, 2, 2, True)]
    assert first.written.inserted == 2
    assert first == Loaded(
        records=2, bytes_read=2 * SIZE + 1, written=first.written, position=2 * SIZE + 1
    )

    versions = log.versions()
    assert log.take() == Loaded(position=2 * SIZE + 1)
    assert log.versions() == versions

    log.write(THREE)
    third = log.take()
    assert (third.records, third.position) == (1, 3 * SIZE + 1)
    assert log.students() == [(0, 1), (SIZE + 1, 2), (2 * SIZE + 1, 3)]
    assert log.told == []
    assert (loaded_at(log.lake.table(TEST_RUNS).open(), "test_runs") or 0) > 1_700_000_000


def test_a_line_without_its_end_is_left_for_next_time(log: Log) -> None:
    log.write(ONE, TWO[:-1])
    taken = log.take()
    assert (taken.records, taken.lag, taken.position) == (1, SIZE - 1, SIZE)
    taken = log.take()
    assert (taken.records, taken.lag, taken.bytes_read) == (0, SIZE - 1, 0)
    log.write(b"\n")
    assert log.take().lag == 0
    assert log.students() == [(0, 1), (SIZE, 2)]


def test_what_cannot_be_used_is_rejected_once(log: Log) -> None:
    log.write(ONE, b"bad\n", TWO, b"\xff\n")
    assert log.take().rejected == 2
    log.write(b"worse\n")
    assert log.take().rejected == 1
    log.take()
    columns = "source, unit, position, reason, raw"
    assert log.rejected(columns) == [
        ("test_runs", "test_runs.log", SIZE, "not valid JSON", "bad"),
        ("test_runs", "test_runs.log", 2 * SIZE + 4, "not valid UTF-8: byte 1", "\ufffd"),
        ("test_runs", "test_runs.log", 2 * SIZE + 6, "not valid JSON", "worse"),
    ]


def test_a_log_is_taken_in_parts(log: Log) -> None:
    log.part = 1000
    log.write(*(run_line(100 + number) for number in range(50)), b"bad\n", ONE[:-1])
    heard: list[Progress] = []

    with heard_by(report=heard.append):
        taken = log.take()

    assert (taken.records, taken.rejected, taken.lag) == (50, 1, SIZE - 1)
    assert [student for _, student in log.students()] == list(range(100, 150))
    assert [position for position, _ in log.students()] == [62 * number for number in range(50)]
    assert log.versions() == (3, 3), "a part is a commit in each table"
    total = 50 * 62 + 4 + SIZE - 1
    assert {(p.table, p.activity, p.total, p.unit) for p in heard} == {
        ("test_runs", "reading", total, "bytes"),
        ("test_runs", "storing", None, ""),
    }
    done = [progress.done for progress in heard if progress.activity == "reading"]
    assert done == sorted(done)
    assert done[-1] == total - (SIZE - 1)


def test_a_log_may_be_missing_at_its_default_place_alone(tmp_path: Path) -> None:
    log = Log(tmp_path, is_given=False)
    given = replace(log.source, is_given=True)
    for line in (ONE, TWO):
        assert log.take().is_missing
        assert log.told == [
            f"There is no log at {log.path}, the default of TEST_RUNS_LOG: nothing to take."
        ]
        with pytest.raises(SourceError, match=rf"no log at {log.path}.*TEST_RUNS_LOG"):
            load_log(log.lake, given, TEST_RUN_LINES)
        log.write(line)
        assert log.take().records == 1
        log.path.unlink()
        log.told.clear()


def test_a_log_may_be_a_link_and_have_any_name(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.path = log.path.with_name("te?st [*] 'run\udcff")
    log.source = replace(log.source, path=log.path)
    target = log.path.with_name("target")
    log.path.symlink_to(target)
    log.write(ONE, b"bad\n")
    log.take()
    log.write(TWO)
    log.take()
    assert log.students() == [(0, 1), (SIZE + 4, 2)]
    assert log.rejected("unit") == [("te?st [*] 'run\N{REPLACEMENT CHARACTER}",)]


def test_what_another_machine_took_meanwhile_is_not_taken_twice(log: Log, tmp_path: Path) -> None:
    other = Lake(folder_of(log.lake.folder), tmp_path / "other", 10**9)

    def be_second(point: str, _: str) -> None:
        if point == "source read":
            crash_points.hook = None
            load_log(other, log.source, TEST_RUN_LINES)

    log.write(ONE, b"bad\n")
    with pytest.MonkeyPatch.context() as patch:
        # The locks are of one machine.
        patch.setattr(Lake, "lock", lambda *_, **__: nullcontext())
        with hooked(be_second), pytest.raises(ConflictError):
            log.take()
    assert log.take().records == 0
    assert log.students() == [(0, 1)]
    assert log.rejected() == [(SIZE, "bad")]


def test_a_rotated_log_is_finished_first(log: Log) -> None:
    log.write(ONE)
    log.take()
    log.write(TWO, b"cut")
    log.rotate()
    taken = log.take()
    assert (taken.records, taken.lag, taken.is_missing) == (1, 3, False)
    assert log.take().lag == 3
    log.write(THREE)
    taken = log.take()
    assert (taken.records, taken.rejected, taken.restarts) == (1, 1, 1)
    assert log.students() == [(0, 1), (SIZE, 2), (2 * SIZE + 3, 3)]
    assert log.rejected() == [(2 * SIZE, "cut")]
    assert log.told == [
        f"The log {log.path} was rotated: what is left in {log.rotated(1)} comes first.",
        f"The log {log.path} was rotated: what is left in {log.rotated(1)} comes first.",
        f"The log {log.path} was rotated: it is taken from its beginning.",
    ]


def test_a_last_line_may_lack_its_end_in_a_log_that_was_rotated(log: Log) -> None:
    log.write(ONE, TWO[:-1])
    log.take()
    log.rotate()
    log.path.touch()
    assert log.take().lag == SIZE - 1, "whoever writes to it may not have finished"
    log.write(THREE)
    log.take()
    assert log.students() == [(0, 1), (SIZE, 2), (2 * SIZE - 1, 3)]


def test_a_log_may_be_rotated_several_times_in_between(log: Log) -> None:
    log.write(ONE)
    log.take()
    log.rotate()
    log.rotate()
    log.write(TWO)
    log.rotate()
    log.path.touch()
    log.rotate()
    log.write(THREE, b"cut")
    log.rotate()
    log.write(FOUR)
    taken = log.take()
    assert (taken.records, taken.rejected) == (3, 1)
    assert [student for _, student in log.students()] == [1, 2, 3, 4]
    assert log.students()[-1] == (3 * SIZE + 3, 4)


def test_a_log_that_was_copied_and_truncated_is_finished_first(log: Log) -> None:
    log.write(ONE)
    log.take()
    log.write(TWO)
    log.rotate_by_copy()
    assert log.take().records == 1
    log.write(THREE, FOUR)
    assert log.take().records == 2
    assert log.students() == [(0, 1), (SIZE, 2), (2 * SIZE, 3), (3 * SIZE, 4)]
    assert log.rejected() == []


def test_a_truncated_log_begins_anew_and_what_may_be_lost_is_recorded(log: Log) -> None:
    log.write(ONE, TWO)
    log.take()
    log.write(THREE)
    log.truncate()
    versions = log.versions()
    assert log.take().restarts == 0, "it says so when something comes"
    assert log.versions() == versions
    log.write(FOUR, b"\n" * 5 * SIZE)

    taken = log.take()

    assert (taken.records, taken.rejected, taken.restarts) == (1, 1, 1)
    assert log.students() == [(0, 1), (SIZE, 2), (2 * SIZE + 1, 4)]
    columns = "source, unit, position, reason, raw"
    assert log.rejected(columns) == [
        ("test_runs", "test_runs.log", 2 * SIZE, LOST.format(2 * SIZE), "")
    ]
    assert "truncated" in log.told[0]
    assert f"position {2 * SIZE}" in log.told[0]
    log.write(ONE)
    log.take()
    assert len(log.rejected()) == 1


def test_a_log_of_equal_lines_that_was_rotated_is_told_from_one_that_grew(log: Log) -> None:
    log.write(ONE, ONE)
    log.take()
    log.rotate()
    log.write(ONE, ONE, ONE)
    log.take()
    assert log.students() == [(number * SIZE, 1) for number in range(5)]


def test_a_log_that_moved_to_another_disk_goes_on(log: Log) -> None:
    log.write(ONE)
    log.take()
    content = log.path.read_bytes()
    log.path.rename(log.path.with_name("elsewhere"))
    log.path.write_bytes(content + TWO)
    log.take()
    assert log.students() == [(0, 1), (SIZE, 2)]


def test_a_log_may_be_a_link_to_the_newest_of_dated_ones(log: Log) -> None:
    for day, lines in (("20", [ONE, TWO]), ("21", [THREE])):
        dated = log.path.with_name(f"test_runs.log-202611{day}")
        log.path.unlink(missing_ok=True)
        log.path.symlink_to(dated)
        log.write(*lines)
        log.take()
    log.write(FOUR)
    log.take()
    assert log.students() == [(0, 1), (SIZE, 2), (2 * SIZE, 3), (3 * SIZE, 4)]
    assert log.rejected() == []


def test_a_log_that_is_truncated_before_it_is_read_is_left_alone(log: Log) -> None:
    def truncate(point: str, _: str) -> None:
        if point == "source to be read":
            log.truncate()
            log.write(FOUR, FOUR, FOUR, FOUR)

    log.write(ONE, TWO)
    log.take()
    log.write(THREE)
    with (
        hooked(truncate),
        pytest.raises(LogChangedError, match="truncated or overwritten while it was read"),
    ):
        log.take()
    assert log.students() == [(0, 1), (SIZE, 2)]
    log.take()
    assert [student for _, student in log.students()] == [1, 2, 4, 4, 4, 4]


def test_a_truncation_after_lines_were_read_is_noticed(log: Log) -> None:
    def truncating(lines: Iterator[Lines]) -> Iterator[Lines]:
        for part in lines:
            log.truncate()
            log.write(FOUR, FOUR)
            yield part

    def stage(connection: duckdb.DuckDBPyConnection, lines: Iterator[Lines]) -> None:
        TEST_RUN_LINES.stage(connection, truncating(lines))

    log.write(ONE, TWO)
    kind = LogKind("test_runs", TEST_RUNS, stage)
    with pytest.raises(LogChangedError):
        load_log(log.lake, log.source, kind)
    log.take()
    assert log.students() == [(0, 4), (SIZE, 4)]
