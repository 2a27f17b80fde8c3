"""Dagster's history: what is open, which runs are ended, and what is deleted of it."""

import os
import shutil
import signal
import sqlite3
import time
from contextlib import closing
from importlib import import_module
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

import warehouse_assets_tests
from warehouse_assets.orchestration.history import (
    HOST_TAG,
    dead_runs_sensor,
    end_dead_runs,
    forget_runs,
    host,
    keep_open,
)
from warehouse_assets_tests.integration.processes import fork

_ROOT = Path(warehouse_assets_tests.__file__).parents[1]
_LAUNCHED = ".dagster/grpc_info"

# Its types are not installed.
yaml: Any = import_module("yaml")


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


def run_for_ever(history: Path, began: Path, tags: dict[str, str]) -> None:
    """Be a run that does not end; `began` then has its id."""

    @dg.op
    def wait(context: dg.OpExecutionContext) -> None:
        began.with_suffix(".part").write_text(context.run_id)
        began.with_suffix(".part").rename(began)
        while True:
            time.sleep(1)

    @dg.job(executor_def=dg.in_process_executor)
    def waiting() -> None:
        wait()

    with dg.DagsterInstance.local_temp(str(history)) as instance:
        waiting.execute_in_process(instance=instance, tags=tags)


def begun(tmp_path: Path, name: str, tags: dict[str, str]) -> tuple[BaseProcess, str]:
    """A process that runs, and the id of its run."""
    note = tmp_path / name
    (tmp_path / "history").mkdir(exist_ok=True)
    process = fork(run_for_ever, tmp_path / "history", note, tags)
    until = time.monotonic() + 300
    while not note.exists():
        assert process.is_alive()
        assert time.monotonic() < until
        time.sleep(0.02)
    return process, note.read_text()


def kill(process: BaseProcess) -> None:
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join(60)


def failed(instance: dg.DagsterInstance) -> set[str]:
    runs = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
    return {run.run_id for run in runs}


def test_runs_whose_process_was_killed_are_ended_and_living_ones_are_not(tmp_path: Path) -> None:
    # As `dagster dev` starts one, and as the command line does.
    launched, first = begun(tmp_path, "launched", {_LAUNCHED: "{}"})
    command, second = begun(tmp_path, "command", host())
    with dg.DagsterInstance.local_temp(str(tmp_path / "history")) as instance:
        try:
            assert end_dead_runs(instance, is_daemon=True) == []
            kill(launched)
            told = dead_runs_sensor(dg.build_sensor_context(instance=instance))
            assert isinstance(told, dg.SkipReason)
            assert told.skip_message == f"Ended runs whose process was gone: {first}."
            assert failed(instance) == {first}
        finally:
            kill(command)
        assert end_dead_runs(instance) == [second]
        assert failed(instance) == {first, second}
        assert end_dead_runs(instance) == []


def test_where_machines_share_a_history_only_runs_of_this_one_are_ended(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    # The history in memory stands for one in PostgreSQL: no file tells that it is of one machine.
    runs = {
        name: instance.add_run(dg.DagsterRun("catch_up", status=status, tags=tags)).run_id
        for name, status, tags in (
            ("launched", dg.DagsterRunStatus.STARTED, {_LAUNCHED: "{}"}),
            ("here", dg.DagsterRunStatus.STARTING, host()),
            ("elsewhere", dg.DagsterRunStatus.STARTED, {HOST_TAG: "another"}),
            ("untold", dg.DagsterRunStatus.STARTED, {}),
            ("waiting", dg.DagsterRunStatus.NOT_STARTED, host()),
            ("done", dg.DagsterRunStatus.SUCCESS, host()),
        )
    }
    # Of a process that is still starting nothing is known.
    assert end_dead_runs(instance, is_daemon=True) == []

    with pytest.MonkeyPatch.context() as patch:
        later = time.time() + 3600
        patch.setattr(time, "time", lambda: later)
        assert end_dead_runs(instance) == [runs["here"]]
        assert end_dead_runs(instance, is_daemon=True) == [runs["launched"]]
    assert failed(instance) == {runs["here"], runs["launched"]}


@dg.asset
def cats(context: dg.AssetExecutionContext) -> None:
    context.log.info("one cat")


def files_of(folder: Path, run_id: str) -> list[Path]:
    """Files that hold something of a run."""
    return [path for path in folder.rglob("*") if run_id in str(path) and path.is_file()]


def test_runs_that_ended_and_what_sensors_printed_long_ago_is_deleted(tmp_path: Path) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as local:
        old = run(local)
        replaced, last = (dg.materialize([cats], instance=local).run_id for _ in range(2))
        status = dg.DagsterRunStatus.STARTED
        unfinished = local.add_run(dg.DagsterRun("a_job", status=status)).run_id
        assert files_of(tmp_path, old)
        printed = Path(local.storage_directory()) / "repository" / "inbox_sensor" / "17"
        printed.mkdir(parents=True)
        for name, hours in (("1.err", 25), ("1.out", 25), ("2.err", 23), ("1.pickle", 25)):
            (printed / name).touch()
            moment = time.time() - hours * 3600
            os.utime(printed / name, (moment, moment))

        assert forget_runs(local, 1) == 0
        assert sorted(path.name for path in printed.iterdir()) == ["1.pickle", "2.err"]
        assert forget_runs(local, 0) == 2

        # Without its last materialisation Dagster would take the asset for one never made.
        assert {run.run_id for run in local.get_runs()} == {last, unfinished}
        assert [*files_of(tmp_path, old), *files_of(tmp_path, replaced)] == []
        event = local.get_latest_materialization_event(cats.key)
        assert event is not None
        assert event.run_id == last
        assert local.all_logs(last) != []


def test_the_homes_of_dagster_keep_no_output_and_skipped_ticks_for_a_day(tmp_path: Path) -> None:
    here, deployed = (
        yaml.safe_load((_ROOT / name).read_text("utf-8"))
        for name in ("dagster.yaml", "deploy/dagster.yaml")
    )
    same = ("compute_logs", "retention")
    assert {name: here[name] for name in same} == {name: deployed[name] for name in same}
    written = {name: part for name, part in here.items() if name != "local_artifact_storage"}
    written.pop("storage", None)
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(written), encoding="utf-8")

    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        kept = instance.get_settings("retention")
        output = instance.compute_log_manager

    assert type(output).__name__ == "NoOpComputeLogManager"
    assert kept["sensor"]["purge_after_days"]["skipped"] == 1
    assert kept["auto_materialize"]["purge_after_days"]["skipped"] == 1
