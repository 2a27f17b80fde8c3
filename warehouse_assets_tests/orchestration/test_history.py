"""Dagster's history is kept open by the process that writes it."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import dagster as dg

from warehouse_assets.orchestration.history import keep_open


@dg.job
def a_job() -> None:
    """A run without steps."""


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


def test_the_last_used_databases_are_open_and_others_see_all_runs_until_they_are_deleted(
    tmp_path: Path,
) -> None:
    keep_open()
    keep_open()  # as each process that loads the graph does
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        history = tmp_path / "history"
        runs = [run(instance) for _ in range(4)]

        assert is_open(history / "runs.db")
        assert is_open(history / "runs" / "index.db")
        assert is_open(history / "runs" / f"{runs[-1]}.db")
        assert not is_open(history / "runs" / f"{runs[0]}.db")
        assert {record.dagster_run.run_id for record in instance.get_run_records()} == set(runs)
        for identity in runs:
            kinds = [entry.dagster_event_type for entry in instance.all_logs(identity)]
            assert kinds[-1] == dg.DagsterEventType.RUN_SUCCESS
            # As another process sees it.
            with closing(sqlite3.connect(history / "runs" / f"{identity}.db")) as connection:
                (count,) = connection.execute("SELECT count(*) FROM event_logs").fetchone()
            assert count == len(kinds)

    shutil.rmtree(history)
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        assert run(instance) == instance.get_run_records()[0].dagster_run.run_id
