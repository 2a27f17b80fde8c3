"""Ends runs whose process is gone.

A run whose process was killed stays "started" in Dagster's history for ever, and each of them holds
a place in the queue of runs: after ten, nothing would run any more. Here they are noted as failed.
What they took is kept; the next run goes on from there. Queued runs stay queued.
"""

import os
import platform
import time
from pathlib import Path

import dagster as dg

# Names the machine, or container, that a run of our commands is in.
HOST_TAG = "warehouse/host"
# Dagster gives it to the runs that the daemon starts, beside itself.
_STARTED_BY_DAEMON = ".dagster/grpc_info"
_BEGUN = [
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_SECONDS_TO_START = 600.0
_SECONDS_BETWEEN_TICKS = 300  # each has to open the history, which takes a tenth of a second
_SECONDS_OF_DOUBT = 2.0  # Linux tells when it was started in whole seconds


def host() -> dict[str, str]:
    """The tag of a run that begins in this process."""
    return {HOST_TAG: platform.node()}


def end_dead_runs(instance: dg.DagsterInstance, is_daemon: bool = False) -> list[str]:
    """Note unfinished runs of this machine whose process is gone as failed; returns their ids.

    Runs of other machines that share a history in PostgreSQL are left alone: nobody sees their
    processes from here.

    Args:
        is_daemon: whether this process runs beside Dagster's daemon.
    """
    # SQLite is of one machine.
    is_here = (Path(instance.storage_directory()).parent / "history" / "runs.db").exists()
    ended = []
    for record in instance.get_run_records(dg.RunsFilter(statuses=_BEGUN)):
        run = record.dagster_run
        is_launched = is_daemon and _STARTED_BY_DAEMON in run.tags
        is_ours = is_here or is_launched or run.tags.get(HOST_TAG) == platform.node()
        if is_ours and _is_dead(instance, record):
            instance.report_run_failed(run, "The process of this run ended before the run did.")
            ended.append(run.run_id)
    return ended


@dg.sensor(
    name="dead_runs",
    description="Ends runs whose process is gone.",
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=_SECONDS_BETWEEN_TICKS,
)
def dead_runs_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Looks for such runs; it starts none."""
    ended = end_dead_runs(context.instance, is_daemon=True)
    return dg.SkipReason(
        f"Ended runs whose process was gone: {', '.join(ended)}." if ended else "There are none."
    )


def _is_dead(instance: dg.DagsterInstance, record: dg.RunRecord) -> bool:
    """Whether the process that runs `record` is gone, or never came."""
    known = _process(instance, record.dagster_run.run_id)
    if known is None:
        return time.time() - record.update_timestamp.timestamp() > _SECONDS_TO_START
    process, seen_at = known
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # another user's
    started_at = _started_at(process)
    # A number is given again to processes that start later.
    return started_at is not None and started_at > seen_at + _SECONDS_OF_DOUBT


def _process(instance: dg.DagsterInstance, run_id: str) -> tuple[int, float] | None:
    """The number of a run's process, and when it was last known to be it."""
    # Not every event tells it, and some are of the daemon.
    begun = instance.all_logs(run_id, of_type=dg.DagsterEventType.RUN_START)
    for entry in reversed(begun):
        if entry.dagster_event and entry.dagster_event.pid:
            return entry.dagster_event.pid, entry.timestamp
    for entry in reversed(instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)):
        told = entry.dagster_event and entry.dagster_event.engine_event_data.metadata.get("pid")
        if told and str(told.value).isdigit():
            return int(str(told.value)), entry.timestamp
    return None


def _started_at(process: int) -> float | None:
    """When a process that exists was started, `inf` where only its remains do; None if unknown."""
    try:
        # After the name, which may hold anything.
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        boot = next(
            int(line.split()[1])
            for line in Path("/proc/stat").read_text().splitlines()
            if line.startswith("btime ")
        )
    except (OSError, StopIteration):
        return None
    if fields[0] == "Z":
        return float("inf")
    return boot + int(fields[19]) / os.sysconf("SC_CLK_TCK")
