"""A run whose process was killed is ended, and no other."""

import os
import signal
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import dagster as dg
import pytest

from warehouse_assets.orchestration.history import (
    HOST_TAG,
    dead_runs_sensor,
    end_dead_runs,
    host,
)
from warehouse_assets_tests.integration.processes import fork

_LAUNCHED = ".dagster/grpc_info"


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
