"""Whatever step the process dies in, the next catch-ups end as if nothing had happened."""

from contextlib import suppress
from pathlib import Path

import pytest

from warehouse_assets_tests.crashes import Killed, dying_at, killed_at
from warehouse_assets_tests.defs.school.line_model import expected
from warehouse_assets_tests.ingest.logs import Log, run_line

SIZE = len(run_line(1))

STEPS = [
    ("source to be read", 1),
    ("source read", 1),
    ("rejects committed", 1),
    ("rows committed", 1),
    ("source to be read", 2),
    ("rejects committed", 2),
    ("rows committed", 2),
]


@pytest.fixture
def log(tmp_path: Path) -> Log:
    """A log that is loaded in parts of a few lines."""
    return Log(tmp_path, part=2 * SIZE)


def test_dying_again_and_again_changes_nothing(log: Log) -> None:
    # Two parts of the log, with lines that are rejected in each and at its beginning.
    log.write(b"bad 1\n", run_line(1), b"\n", run_line(2), b"bad 2\n", run_line(3), b"bad 3\n")
    for number, (step, call) in enumerate(STEPS):
        # A point at which nothing is left to do is not reached.
        with suppress(Killed), dying_at(step, call):
            log.take()
        log.write(run_line(10 + number), b"bad\n", b"cut")
        if number % 3 == 2:
            log.rotate()
    log.write(b"\n")
    log.take()
    assert (log.rows(), log.rejected()) == expected(log.contents())
    versions = log.versions()
    log.take()
    assert log.versions() == versions


def test_dying_at_the_change_to_the_next_file_gives_it_the_same_positions(log: Log) -> None:
    log.write(run_line(1), b"bad 1\n")
    log.take()
    log.rotate()
    log.write(b"bad 2\n", run_line(2))
    with killed_at("rejects committed"):
        log.take()
    # The one that was finished is gone.
    log.rotated(1).unlink()
    log.write(run_line(3))
    log.take()
    assert log.students() == [(0, 1), (SIZE + 12, 2), (2 * SIZE + 12, 3)]
    assert log.rejected() == [(SIZE, "bad 1"), (SIZE + 6, "bad 2")]


def test_dying_after_a_truncation_was_recorded_does_not_record_it_twice(log: Log) -> None:
    log.write(run_line(1))
    log.take()
    log.truncate()
    log.write(b"bad\n", run_line(2))
    with killed_at("rejects committed"):
        log.take()
    log.write(run_line(3))
    log.take()
    assert log.students() == [(0, 1), (SIZE + 5, 2), (2 * SIZE + 5, 3)]
    assert log.rejected() == [(SIZE, ""), (SIZE + 1, "bad")]


def test_positions_of_rejected_lines_are_not_given_again_after_a_truncation(log: Log) -> None:
    log.write(run_line(1))
    log.take()
    log.write(b"bad 1\n", run_line(2))
    with killed_at("rejects committed"):
        log.take()
    log.truncate()
    log.write(b"bad 2\n", run_line(3))
    log.take()
    lost = 2 * SIZE + 6
    assert log.students() == [(0, 1), (lost + 1 + 6, 3)]
    assert log.rejected() == [(SIZE, "bad 1"), (lost, ""), (lost + 1, "bad 2")]
    assert f"from position {SIZE} on" in log.rejected("reason")[-1][0]


def test_a_truncation_right_after_one_that_was_recorded(log: Log) -> None:
    log.write(run_line(1))
    log.take()
    log.truncate()
    log.write(run_line(2))
    with killed_at("rejects committed"):
        log.take()
    log.truncate()
    log.write(run_line(3))
    log.take()
    assert log.students() == [(0, 1), (2 * SIZE + 2, 3)]
    assert log.rejected() == [(SIZE, ""), (2 * SIZE + 1, "")]


def test_a_copy_that_lacks_what_only_the_rejected_records_hold(
    log: Log,
) -> None:
    log.write(run_line(1))
    log.take()
    log.part = 1000
    log.write(run_line(2))
    copied = log.path.read_bytes()
    log.write(b"bad 1\n")
    with killed_at("rejects committed"):
        log.take()
    log.truncate()
    log.rotated(1).write_bytes(copied)
    log.write(run_line(3))
    log.take()
    end = 2 * SIZE + 6
    assert log.students() == [(0, 1), (SIZE, 2), (end + 1, 3)]
    assert log.rejected() == [(2 * SIZE, "bad 1"), (end, "")]


def test_either_table_may_be_lost(log: Log) -> None:
    log.write(run_line(1), b"bad\n")
    log.take()
    (log.lake.folder / "rejected_records").rename(log.lake.folder.parent / "rejected_records")
    log.write(run_line(2), b"worse\n")
    log.take()
    assert log.students() == [(0, 1), (SIZE + 4, 2)]
    assert log.rejected() == [(2 * SIZE + 4, "worse")]
    (log.lake.folder / "test_runs").rename(log.lake.folder.parent / "test_runs")
    log.write(run_line(3))
    log.take()
    assert log.students() == [(0, 1), (SIZE + 4, 2), (2 * SIZE + 10, 3)]
    assert log.rejected() == [(2 * SIZE + 4, "worse")]
