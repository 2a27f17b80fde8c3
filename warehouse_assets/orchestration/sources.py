"""The sensor that looks at all sources and starts a run of what belongs to one that has changed.

It is one for all of them, since it is ticks that cost: each takes Dagster a tenth of a second.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from warehouse_assets.errors import WarehouseAssetsError
from warehouse_assets.ingest.file_kinds import FileKind, left_behind, left_in_words
from warehouse_assets.ingest.log_files import LogSource
from warehouse_assets.ingest.sql import glance
from warehouse_assets.ingest.sql_source import SqlSource
from warehouse_assets.progress import heard_by
from warehouse_assets.settings import Settings
from warehouse_assets.terminal_text import visible

# A run takes ten seconds to begin. Who cannot wait runs a command, or asks the service.
_SECONDS_BETWEEN_TICKS = 30
_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]

Resources = Mapping[str, Any]
"""The resources of the asset graph, by their names."""


@dataclass(frozen=True)
class Seen:
    """What a look at a source found.

    Args:
        signs: one for each thing in the source and its state; one that was not there at the last
            look is new.
        notes: what a person should know of the source, in sentences.
        events: what is reported without a run.
    """

    signs: Collection[str] = ()
    notes: Sequence[str] = ()
    events: Sequence[dg.AssetMaterialization] = ()


@dataclass(frozen=True)
class Watch:
    """A source to be looked at.

    Args:
        name: the job `take_NAME` takes what is new.
        description: when a run of that job starts.
        look: looks at the source, given the resources and the signs of the last look.
        starts_runs: whether a run is started when there is something new.
    """

    name: str
    description: str
    look: Callable[[Resources, Sequence[str]], Seen]
    starts_runs: bool = True

    @property
    def job(self) -> str:
        """The name of the job that takes what is new."""
        return f"take_{self.name}"


def inbox_watch(family: str, files: Sequence[FileKind], kinds: Sequence[FileKind]) -> Watch:
    """Waits for complete files in the inbox.

    A run takes all that waits. A file that stays after its run is left to the schedule.

    Args:
        files: which files belong to the family.
        kinds: all files that are taken from the inbox; others are named.
    """

    def look(resources: Resources, _: Sequence[str]) -> Seen:
        waiting = resources["inbox"].look()
        ours = [f for f in waiting.complete if any(kind.recognises(f) for kind in files)]
        notes = ["Files are still being written."] if waiting.unfinished else []
        return Seen(
            [f"{file.name} {file.size} {file.modified_ns}" for file in ours],
            [*notes, *left_in_words(left_behind(waiting, kinds))],
        )

    held = " or ".join(kind.name for kind in files if kind.table is not None)
    description = f"Takes {held} that have landed in the inbox."
    return Watch(f"{family}_inbox", description, look)


def file_watch(name: str, log: Callable[[Settings], LogSource]) -> Watch:
    """Waits for the file of a log to change."""

    def look(resources: Resources, _: Sequence[str]) -> Seen:
        path = log(resources["settings"]).path
        try:
            status = path.stat()
        except FileNotFoundError:
            return Seen()
        except OSError as error:
            return Seen(notes=[f"{path} cannot be looked at: {error.strerror}."])
        return Seen([f"{status.st_ino} {status.st_size} {status.st_mtime_ns}"])

    return Watch(name, f"Takes what is new in the {name.replace('_', ' ')}.", look)


def sql_watch(source: SqlSource) -> Watch:
    """Waits for a table of a SQL database to change.

    A SQLite file that is written all the time does not settle, and is left to the schedule.
    """

    def look(resources: Resources, before: Sequence[str]) -> Seen:
        now = glance(source, source.url(resources["settings"]))
        return Seen(before if now is None else [now])

    description = f"Takes the {source.name} when their database has changed ({source.setting})."
    return Watch(source.name, description, look)


def sources_sensor(
    targets: Sequence[tuple[Watch, dg.AssetSelection]], resources: Resources
) -> dg.SensorDefinition:
    """The sensor of all sources; it runs unless switched off.

    For each source there is one run at a time: what changes all the time is taken in as many parts
    as have come meanwhile.

    Args:
        targets: each source, with the assets that a run for it materialises.
        resources: what the looks need. Dagster would open its history at each tick to give them.
    """
    watches = [watch for watch, _ in targets]
    jobs = [
        dg.define_asset_job(watch.job, selection=target, description=watch.description)
        for watch, target in targets
        if watch.starts_runs
    ]

    @dg.sensor(
        name="sources_sensor",
        description="Looks whether sources have changed, and starts a run for each that has: "
        + " ".join(watch.description for watch in watches),
        jobs=jobs,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=_SECONDS_BETWEEN_TICKS,
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        cursor, notes = _signs(context.cursor), list[str]()
        requests, events, said = list[dg.RunRequest](), list[dg.AssetMaterialization](), list[str]()
        for watch in watches:
            before = cursor.get(watch.name, [])
            try:
                with heard_by(said.append):
                    seen = watch.look(resources, before)
            except WarehouseAssetsError as error:
                notes.append(str(error))
                continue
            notes += seen.notes
            events += seen.events
            if watch.starts_runs and set(seen.signs) - set(before):
                if _is_running(context.instance, watch.job):
                    notes.append(f"The last run of {watch.job} has not ended yet.")
                    continue
                requests.append(dg.RunRequest(job_name=watch.job))
            cursor[watch.name] = sorted(seen.signs)
        for sentence in said:
            context.log.info(sentence)
        told = visible(" ".join(dict.fromkeys(notes)) or "Nothing new.")
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else told,
            asset_events=events,
            cursor=json.dumps({watch.name: cursor.get(watch.name, []) for watch in watches}),
        )

    return sensor


def _signs(cursor: str | None) -> dict[str, list[str]]:
    """What the last tick saw of each source; of a cursor that cannot be read, nothing."""
    try:
        stored = json.loads(cursor or "{}")
    except ValueError:
        return {}
    if not isinstance(stored, Mapping):
        return {}
    return {str(k): [str(s) for s in v] for k, v in stored.items() if isinstance(v, list)}


def _is_running(instance: dg.DagsterInstance, job: str) -> bool:
    return instance.get_runs_count(dg.RunsFilter(job_name=job, statuses=_UNFINISHED)) > 0
