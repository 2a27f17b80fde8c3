"""Catching up with a log: what is taken, what is left, and what is told."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from warehouse_assets import crash_points
from warehouse_assets.defs.school.family import TEST_RUN_LINES
from warehouse_assets.defs.school.tables import TEST_RUNS
from warehouse_assets.errors import ConflictError, SourceError
from warehouse_assets.ingest.load import Loaded, loaded_at
from warehouse_assets.ingest.log import load_log
from warehouse_assets.lake import Lake
from warehouse_assets.progress import Progress, heard_by
from warehouse_assets_tests.crashes import hooked
from warehouse_assets_tests.ingest.logs import Log, run_line

ONE, TWO, THREE, FOUR = (run_line(number) for number in (1, 2, 3, 4))
SIZE = len(ONE)


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
    other = Lake(log.lake.folder, tmp_path / "other", 10**9)

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
