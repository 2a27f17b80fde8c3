"""Dagster's history of runs: kept open, rid of runs whose process is gone, and of old ones.

Kept open: for each event Dagster makes an SQLAlchemy engine, opens a database in SQLite and closes
it again, several times over. Every engine compiles each statement anew; and when the last
connection closes, SQLite folds the write-ahead log into the file and removes it. Together that is
most of what an event costs, and a run has hundreds. Here Dagster is given the engine that it had
for a database before, whose connection stays open. What is written reaches the disk with the log's
folding, not with each event. The death of a process loses nothing; a power cut may lose the last
events of a run, which the lake does not rely on.

Dead runs: a run whose process was killed stays "started" for ever, and each of them holds a place
in the queue of runs: after ten, nothing would run any more. Here they are noted as failed. What
they took is kept; the next run goes on from there. Queued runs stay queued.
"""

import os
import platform
import shutil
import sqlite3
import threading
import time
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from importlib import import_module
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy as sa

# The modules of Dagster that make engines for the history, and by what name.
_MAKERS = (
    "dagster._core.storage.event_log.sqlite.sqlite_event_log",
    "dagster._core.storage.runs.sqlite.sqlite_run_storage",
)
_MAKE = "create_engine"
_MOST_ENGINES = 4  # a history has two databases and one for each run, and runs follow each other
# Names the machine, or container, that a run of our commands is in.
HOST_TAG = "warehouse/host"
# Dagster gives it to the runs that the daemon starts, beside itself.
_STARTED_BY_DAEMON = ".dagster/grpc_info"
# Its launchers that start containers, of Docker or Kubernetes, give this one.
_STARTED_IN_CONTAINER = "dagster/image"
_GONE = {"FAILED", "NOT_FOUND"}
_BEGUN = [
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_SECONDS_TO_START = 600.0
_SECONDS_BETWEEN_TICKS = 300  # each has to open the history, which takes a tenth of a second
_SECONDS_OF_DOUBT = 2.0  # Linux tells when it was started in whole seconds
_ENDED = [
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
]
_PRINTED = {".err", ".out", ".complete", ".partial"}

_engines: dict[str, sa.Engine] = {}
_one_at_a_time = threading.Lock()


def keep_open() -> None:
    """Have Dagster take its engines for histories in SQLite from here; nothing depends on it."""
    for name in _MAKERS:
        module = import_module(name)
        if getattr(module, _MAKE, None) is sa.create_engine:
            setattr(module, _MAKE, _engine)


class _OpenPool(sa.pool.QueuePool):
    """Connections that stay open though Dagster disposes of their engine after each event."""

    def dispose(self) -> None:
        """Leave them open."""

    def recreate(self) -> sa.pool.QueuePool:
        """Go on with them."""
        return self

    def close(self) -> None:
        """Close those that are not in use."""
        super().dispose()


def _engine(url: str, **options: Any) -> sa.Engine:
    """The engine that `url` had before, or one as `options` say; the last used are kept."""
    database = Path(sa.make_url(url).database or "")
    if "history" not in database.parts[-3:-1]:
        return sa.create_engine(url, **options)
    with _one_at_a_time:
        engine = _engines.pop(url, None)
        # A history that was deleted begins anew.
        if engine is not None and not database.exists():
            _close(engine)
            engine = None
        if engine is None:
            engine = sa.create_engine(
                url, **{**options, "poolclass": _OpenPool, "max_overflow": -1}
            )
            sa.event.listen(engine, "connect", _sync_seldom)
        _engines[url] = engine
        if len(_engines) > _MOST_ENGINES:
            _close(_engines.pop(next(iter(_engines))))
        return engine


def _sync_seldom(connection: sqlite3.Connection, record: object) -> None:
    connection.execute("PRAGMA synchronous = NORMAL")


def _close(engine: sa.Engine) -> None:
    if isinstance(engine.pool, _OpenPool):
        engine.pool.close()


def host() -> dict[str, str]:
    """The tag of a run that begins in this process."""
    return {HOST_TAG: platform.node()}


def end_dead_runs(instance: dg.DagsterInstance, is_daemon: bool = False) -> list[str]:
    """Note unfinished runs of this machine whose process is gone as failed; returns their ids.

    Runs of other machines that share a history in PostgreSQL are left alone: nobody sees their
    processes from here. Of those that are in a container of their own the launcher knows.

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
        is_contained = is_daemon and _STARTED_IN_CONTAINER in run.tags
        is_dead = (
            _is_dead(instance, record) if is_ours else is_contained and _is_gone(instance, run)
        )
        # It may have come to its end since it was listed.
        if is_dead and instance.get_runs(dg.RunsFilter([run.run_id], statuses=_BEGUN)):
            instance.report_run_failed(run, "The process of this run ended before the run did.")
            ended.append(run.run_id)
    return ended


def _is_gone(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether the container of `run` ended, or is not there any more."""
    launcher = instance.run_launcher
    if not launcher.supports_check_run_worker_health:
        return False
    return launcher.check_run_worker_health(run).status.name in _GONE


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


def forget_runs(instance: dg.DagsterInstance, days: int) -> int:
    """Delete from Dagster's history the runs that ended `days` ago or earlier; returns how many.

    The run that materialised an asset last is kept, for Dagster takes an asset of whose
    materialisation it does not know for one that was never made. What runs and ticks printed goes
    after the same time.
    """
    before = datetime.now(timezone.utc) - timedelta(days=days)
    keys = instance.get_asset_keys()
    last = {
        event.run_id for key in keys if (event := instance.get_latest_materialization_event(key))
    }
    records = instance.get_run_records(dg.RunsFilter(statuses=_ENDED, updated_before=before))
    old = {record.dagster_run.run_id for record in records} - last
    storage = Path(instance.storage_directory())
    for run_id in old:
        instance.delete_run(run_id)
        shutil.rmtree(storage / run_id, ignore_errors=True)
        for path in (storage.parent / "history" / "runs").glob(f"{run_id}.db*"):
            path.unlink(missing_ok=True)
    for folder in (storage, storage.parent / "compute_logs"):
        _remove_logs(folder, before.timestamp())
    return len(old)


def _remove_logs(folder: Path, before: float) -> None:
    """Remove what was printed before a time, and the folders that it leaves empty."""
    for path, folders, names in os.walk(folder, topdown=False):
        for name in names:
            file = Path(path, name)
            with suppress(OSError):  # another maintenance may be at it
                if file.suffix in _PRINTED and file.stat().st_mtime < before:
                    file.unlink()
        for name in folders:
            with suppress(OSError):
                Path(path, name).rmdir()
