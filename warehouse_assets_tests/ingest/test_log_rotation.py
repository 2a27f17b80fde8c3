"""A log that is rotated or truncated: what is finished first, and what is told to be lost."""

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from warehouse_assets.defs.school.family import TEST_RUN_LINES
from warehouse_assets.defs.school.tables import TEST_RUNS
from warehouse_assets.ingest.lines import Lines
from warehouse_assets.ingest.log import LogKind, load_log
from warehouse_assets.ingest.log_files import LogChangedError
from warehouse_assets_tests.crashes import hooked
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
