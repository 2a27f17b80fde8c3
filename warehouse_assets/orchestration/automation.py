"""When runs start by themselves: on a schedule, after sources, or for files that have landed."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import dagster as dg

from warehouse_assets.errors import SettingError, WarehouseAssetsError
from warehouse_assets.ingest.file_kinds import FileKind, left_behind, left_in_words
from warehouse_assets.ingest.inbox import DeliveryFile, Inbox, Waiting
from warehouse_assets.orchestration.maintenance import maintenance_job
from warehouse_assets.settings import Settings
from warehouse_assets.terminal_text import visible

# Each tick costs Dagster some 20 ms and a few writes, all day; a run takes ten seconds to begin.
_SECONDS_BETWEEN_TICKS = 15
# Runs that sensors and schedules start compute what follows by themselves.
_SECONDS_BETWEEN_EVALUATIONS = 30
# A run whose process was killed stays unfinished for ever. One that does take longer does no harm:
# the next run waits for it.
_LONGEST_RUN = timedelta(minutes=10)
_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


def catch_up_schedule(cron: str) -> dg.ScheduleDefinition:
    """Catches every source up and computes what follows; runs unless switched off."""
    job = dg.define_asset_job(
        "catch_up",
        selection=dg.AssetSelection.all(),
        description="Catches every source up and computes all that follows from it.",
    )
    return _schedule(job, "CATCH_UP_CRON", cron)


def maintenance_schedule(cron: str) -> dg.ScheduleDefinition:
    """Maintains the lake and the warehouse; runs unless switched off."""
    return _schedule(maintenance_job, "MAINTENANCE_CRON", cron)


def _schedule(job: Any, setting: str, cron: str) -> dg.ScheduleDefinition:
    """A schedule of `job`, of any kind of job that Dagster has."""
    try:
        return dg.ScheduleDefinition(
            name=f"{job.name}_schedule",
            description=f"{job.description} ({setting})",
            job=job,
            cron_schedule=cron,
            execution_timezone="UTC",
            default_status=dg.DefaultScheduleStatus.RUNNING,
        )
    except dg.DagsterInvalidDefinitionError:
        raise SettingError(
            f"The setting {setting} is {cron!r}, which is not a cron expression such as "
            "'0 * * * *'. Unset it to use its default."
        ) from None


def follow_sources_sensor() -> dg.AutomationConditionSensorDefinition:
    """Computes an asset again when those that it reads have changed; runs unless switched off."""
    return dg.AutomationConditionSensorDefinition(
        "follow_sources",
        target=dg.AssetSelection.all(),
        description="Materialises what depends on assets that have been materialised.",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=_SECONDS_BETWEEN_EVALUATIONS,
    )


@dataclass(frozen=True)
class LandedFiles:
    """What one tick of an inbox sensor decides.

    Args:
        names: files to start a run for; none if there is nothing new.
        cursor: what the next tick is given.
        reason: why there is no run.
    """

    names: Sequence[str]
    cursor: str
    reason: str


def landed_files(
    waiting: Waiting, recognises: Callable[[DeliveryFile], bool], cursor: str | None
) -> LandedFiles:
    """Decide whether a run is due.

    A run takes all that waits, so a run is due when a complete file waits that none was started
    for. A file that stays although its run has ended is left to the schedule.

    Args:
        cursor: what the last tick returned; one that cannot be read counts as none.
    """
    files = [file for file in waiting.complete if recognises(file)]
    signatures = sorted(f"{file.name} {file.size} {file.modified_ns}" for file in files)
    started = _started(cursor)
    new = [s for s in signatures if s not in started]
    # Only files still there are remembered: the cursor does not grow.
    following = json.dumps(signatures)
    if new:
        return LandedFiles([file.name for file in files], following, "")
    if files:
        return LandedFiles([], following, "A run was started for all files that wait.")
    if waiting.unfinished:
        return LandedFiles([], following, "Files are still being written.")
    return LandedFiles([], following, "No such file waits in the inbox.")


def _started(cursor: str | None) -> set[str]:
    try:
        started = json.loads(cursor or "[]")
    except ValueError:
        return set()
    return {str(entry) for entry in started} if isinstance(started, list) else set()


def inbox_sensor(
    family: str,
    files: Sequence[FileKind],
    target: dg.AssetSelection,
    kinds: Sequence[FileKind],
) -> dg.SensorDefinition:
    """A sensor that starts one run for what has landed; it runs unless switched off.

    The run is of a job named `take_FAMILY_inbox`, which materialises `target`.

    Args:
        files: which files the sensor is for.
        kinds: all files that are taken from the inbox; others are named when there is no run.
    """
    name = f"{family}_inbox"
    held = " or ".join(kind.name for kind in files if kind.table is not None)
    description = f"Starts a run when {held} have landed in the inbox."

    def recognises(file: DeliveryFile) -> bool:
        return any(kind.recognises(file) for kind in files)

    @dg.sensor(
        name=f"{name}_sensor",
        description=description,
        job=dg.define_asset_job(f"take_{name}", selection=target, description=description),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=_SECONDS_BETWEEN_TICKS,
    )
    def sensor(
        context: dg.SensorEvaluationContext, inbox: dg.ResourceParam[Inbox]
    ) -> dg.SensorResult | dg.SkipReason:
        try:
            waiting = inbox.look()
            landed = landed_files(waiting, recognises, context.cursor)
        except WarehouseAssetsError as error:
            return dg.SkipReason(str(error))
        if not landed.names:
            reason = " ".join([landed.reason, *left_in_words(left_behind(waiting, kinds))])
            return dg.SensorResult(skip_reason=visible(reason), cursor=landed.cursor)
        context.log.info(visible(f"Landed: {', '.join(landed.names)}"))
        return dg.SensorResult(run_requests=[dg.RunRequest()], cursor=landed.cursor)

    return sensor


@dataclass(frozen=True)
class Growth:
    """What one tick of a sensor on a growing file decides: whether a run is due, and why not."""

    is_due: bool
    cursor: str
    reason: str = ""


def growth(path: Path, cursor: str | None, is_running: bool) -> Growth:
    """Decide whether a run is due for the file at `path`.

    Args:
        cursor: what the last tick returned: the file as it was when a run was last due.
        is_running: whether that run, or one like it, has not ended; then the next tick decides.
    """
    before = cursor or ""
    try:
        status = path.stat()
    except FileNotFoundError:
        return Growth(False, before, f"There is no {path}.")
    except OSError as error:
        return Growth(False, before, f"{path} cannot be looked at: {error.strerror}.")
    now = f"{status.st_ino} {status.st_size} {status.st_mtime_ns}"
    if now == before:
        return Growth(False, before, f"{path} has not changed.")
    if is_running:
        return Growth(False, before, "A run that takes what is new has not ended yet.")
    return Growth(True, now)


def growth_sensor(
    name: str, description: str, path: Callable[[Settings], Path], target: dg.AssetSelection
) -> dg.SensorDefinition:
    """A sensor that starts a run when a file has changed; it runs unless switched off.

    The run is of a job named `take_NAME`, which materialises `target`. There is one at a time: a
    file that grows all the time is caught up with in as many lines as have come meanwhile.
    """
    job = f"take_{name}"

    @dg.sensor(
        name=f"{name}_sensor",
        description=description,
        job=dg.define_asset_job(job, selection=target, description=description),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=_SECONDS_BETWEEN_TICKS,
    )
    def sensor(
        context: dg.SensorEvaluationContext, settings: dg.ResourceParam[Settings]
    ) -> dg.SensorResult:
        is_running = has_unfinished_run(context.instance, job)
        found = growth(path(settings), context.cursor, is_running)
        if not found.is_due:
            return dg.SensorResult(skip_reason=found.reason, cursor=found.cursor)
        return dg.SensorResult(run_requests=[dg.RunRequest()], cursor=found.cursor)

    return sensor


def has_unfinished_run(instance: dg.DagsterInstance, job: str) -> bool:
    """Whether a run of `job` that began not long ago has not ended."""
    unfinished = dg.RunsFilter(
        job_name=job,
        statuses=_UNFINISHED,
        created_after=datetime.now(timezone.utc) - _LONGEST_RUN,
    )
    return instance.get_runs_count(unfinished) > 0
