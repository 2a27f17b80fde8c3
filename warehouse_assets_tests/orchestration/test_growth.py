"""When a growing file is due for a run."""

import os
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from warehouse_assets.orchestration import automation
from warehouse_assets.orchestration.automation import Growth, growth, growth_sensor
from warehouse_assets_tests.defs.school.schoolhouse import SchoolHouse


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "runs.log"
    path.write_text("one\n")
    return path


def test_a_file_is_due_once_for_each_state(log: Path) -> None:
    first = growth(log, None, is_running=False)
    assert first.is_due
    assert growth(log, first.cursor, is_running=False) == Growth(
        False, first.cursor, f"{log} has not changed."
    )
    with log.open("a") as stream:
        stream.write("two\n")
    assert growth(log, first.cursor, is_running=False).is_due


def test_a_file_that_was_replaced_by_one_as_long_is_due(log: Path) -> None:
    cursor = growth(log, None, is_running=False).cursor
    other = log.with_name("other")
    other.write_text("two\n")
    status = log.stat()
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(log)
    assert growth(log, cursor, is_running=False).is_due


def test_while_a_run_has_not_ended_none_is_started_and_nothing_is_forgotten(log: Path) -> None:
    waiting = growth(log, "before", is_running=True)
    assert not waiting.is_due
    assert "has not ended" in waiting.reason
    assert growth(log, waiting.cursor, is_running=False).is_due


def test_no_file_is_no_reason_to_run(tmp_path: Path) -> None:
    found = growth(tmp_path / "none", "before", is_running=False)
    assert found == Growth(False, "before", f"There is no {tmp_path / 'none'}.")


@pytest.mark.parametrize("cursor", ["", "not a cursor", "1 2"])
def test_a_cursor_that_cannot_be_read_counts_as_none(log: Path, cursor: str) -> None:
    assert growth(log, cursor, is_running=False).is_due


def test_the_sensor_starts_one_run_at_a_time(
    tmp_path: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    school = SchoolHouse(tmp_path / "home", instance)
    sensor = growth_sensor("runs", "Runs.", lambda s: s.test_runs_log, dg.AssetSelection.all())

    def tick(cursor: str | None) -> dg.SensorResult:
        context = dg.build_sensor_context(instance=instance, cursor=cursor)
        result = sensor(context, settings=school.settings)
        assert isinstance(result, dg.SensorResult)
        return result

    assert tick(None).run_requests in (None, [])
    school.log("one")
    first = tick(None)
    assert len(first.run_requests or []) == 1

    instance.add_run(dg.DagsterRun("take_runs", status=dg.DagsterRunStatus.STARTED))
    school.log("two")
    second = tick(first.cursor)
    assert second.run_requests in (None, [])
    assert second.cursor == first.cursor

    # A run that was killed stays so; it does not stop the others for ever.
    monkeypatch.setattr(automation, "_LONGEST_RUN", timedelta(seconds=-60))
    assert len(tick(first.cursor).run_requests or []) == 1
