"""Dagster's history is kept open by the process that writes it, and by no other."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest

from warehouse_assets.orchestration.history import keep_open


@dg.job
def a_job() -> None:
    """A run without steps."""


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """A history in files."""
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield instance


def run(instance: dg.DagsterInstance) -> str:
    """Run the job; returns the run's id."""
    result = a_job.execute_in_process(instance=instance)
    assert result.success
    return result.run_id


def is_open(path: Path) -> bool:
    """Whether a write by another connection leaves the log where it is when that closes."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS others (id INTEGER)")
        connection.commit()
    return path.with_name(f"{path.name}-wal").exists()


def test_once_asked_for_the_databases_of_the_last_runs_are_open_and_all_runs_are_there_for_others(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    history = tmp_path / "history"
    before = run(instance)
    assert not is_open(history / "runs" / f"{before}.db")

    keep_open(instance)
    runs = [before, *(run(instance) for _ in range(4))]

    assert is_open(history / "runs.db")
    assert is_open(history / "runs" / "index.db")
    assert is_open(history / "runs" / f"{runs[-1]}.db")
    assert not is_open(history / "runs" / f"{runs[1]}.db")
    assert {record.dagster_run.run_id for record in instance.get_run_records()} == set(runs)
    for identity in runs:
        kinds = [entry.dagster_event_type for entry in instance.all_logs(identity)]
        assert kinds[-1] == dg.DagsterEventType.RUN_SUCCESS
        # As another process sees it.
        with closing(sqlite3.connect(history / "runs" / f"{identity}.db")) as connection:
            (count,) = connection.execute("SELECT count(*) FROM event_logs").fetchone()
        assert count == len(kinds)


def test_a_history_that_is_deleted_begins_anew(tmp_path: Path) -> None:
    for _ in range(2):
        with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
            keep_open(instance)
            identity = run(instance)
            assert [r.dagster_run.run_id for r in instance.get_run_records()] == [identity]
        shutil.rmtree(tmp_path / "history")


def test_a_history_that_is_not_of_files_is_left_alone() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        keep_open(instance)
        run(instance)
