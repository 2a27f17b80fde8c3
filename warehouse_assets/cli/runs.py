"""Running parts of the asset graph in this process, recorded in Dagster's history."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
from filelock import FileLock

from warehouse_assets.catalogue import TABLES
from warehouse_assets.cli.interruption import when_told_to_end
from warehouse_assets.definitions import build_defs
from warehouse_assets.errors import LakeError, SettingError
from warehouse_assets.graph.dead_runs import end_dead_runs, host
from warehouse_assets.graph.deep_check import DeepCheck, deep_check
from warehouse_assets.graph.history import keep_open
from warehouse_assets.graph.resources import build_resources
from warehouse_assets.lake import Lake, LakeTable
from warehouse_assets.schema import REJECTED_RECORDS
from warehouse_assets.settings import Settings

# Errors are told in words at the end; Dagster's own account of them is in its history.
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
_CHECK_FAILED = "DagsterAssetCheckFailedError"
# What runs print goes nowhere: they say what they do in their events.
_DAGSTER_YAML = """telemetry:
  enabled: false
nux:
  enabled: false
compute_logs:
  module: dagster.core.storage.noop_compute_log_manager
  class: NoOpComputeLogManager
"""


def materialize(
    settings: Settings, overrides: Mapping[str, Any], assets: Sequence[str] | None = None
) -> dg.ExecuteInProcessResult:
    """Materialise `assets` and all that follows from them, or everything, with their checks."""
    selection = (
        dg.AssetSelection.all()
        if assets is None
        else dg.AssetSelection.assets(*assets).downstream()
    )
    return _run(_job("materialize", settings, overrides, selection), settings)


def check(settings: Settings) -> dg.ExecuteInProcessResult | None:
    """Make every asset check; None if there is nothing to check."""
    job = _job("check", settings, {}, dg.AssetSelection.all_asset_checks())
    return None if _is_without_data(settings) else _run(job, settings)


def check_deeply(settings: Settings) -> DeepCheck:
    """Compare every file of the lake with its hash, and the warehouse's rows with the lake's."""
    resources = build_resources(settings)
    return deep_check(resources["lake"], resources["warehouse"], settings)


def results_before_sources(settings: Settings) -> list[LakeTable]:
    """The tables, each before those that it is computed from, and rejected records at the end."""
    lake = Lake(settings.lake, settings.scratch, settings.memory_limit)
    specs = build_defs({"settings": settings}).resolve_all_asset_specs()
    reads = {
        spec.key.to_user_string(): {dep.asset_key.to_user_string() for dep in spec.deps}
        for spec in specs
    }
    # A key that is none of our tables, such as the running average, is of no file.
    known = {str(table.name): table for table in TABLES}
    ordered = [name for name in TopologicalSorter(reads).static_order() if name in known]
    ordered = [*reversed(ordered), *sorted(known.keys() - set(ordered))]
    last = str(REJECTED_RECORDS.name)
    ordered = [*(name for name in ordered if name != last), last]
    return [lake.table(known[name]) for name in ordered]


def _is_without_data(settings: Settings) -> bool:
    """Whether there is nothing to check: no table of the lake has a row or a file."""
    lake = Lake(settings.lake, settings.scratch, settings.memory_limit)
    for table in map(lake.table, TABLES):
        try:
            handle = table.open_existing()
        except LakeError:
            return False  # its checks say what is wrong
        if next(table.path.glob("*.parquet"), None) or (handle and handle.file_uris()):
            return False
    return True


def failed_steps(result: dg.ExecuteInProcessResult) -> list[tuple[str, str]]:
    """The steps that failed, each with the reason in words; not those of failed checks."""
    failures = []
    for event in result.all_events:
        if event.is_step_failure and event.step_key is not None:
            data = event.step_failure_data
            if data.error and data.error.cls_name == _CHECK_FAILED:
                continue  # the check's own evaluation says more
            reason = data.user_failure_data and data.user_failure_data.description
            error = data.error.cause if data.error and data.error.cause else data.error
            failures.append((event.step_key, reason or (error.message.strip() if error else "")))
    return failures


def end_dead(settings: Settings) -> None:
    """End the runs of commands on this machine whose process was killed."""
    with history(settings) as instance:
        end_dead_runs(instance)


def _job(
    name: str, settings: Settings, overrides: Mapping[str, Any], selection: dg.AssetSelection
) -> dg.JobDefinition:
    defs = build_defs({"settings": settings, **overrides})
    job = dg.define_asset_job(name, selection=selection)
    return dg.Definitions.merge(defs, dg.Definitions(jobs=[job])).resolve_job_def(name)


def _run(job: dg.JobDefinition, settings: Settings) -> dg.ExecuteInProcessResult:
    run_id = str(uuid4())
    with history(settings) as instance, when_told_to_end(lambda: _cancel(instance, run_id)):
        return job.execute_in_process(
            instance=instance,
            raise_on_error=False,
            run_config=_QUIET,
            run_id=run_id,
            tags=host(),
        )


def _cancel(instance: dg.DagsterInstance, run_id: str) -> None:
    """Have Dagster's history say that the run, which ends with this process, was canceled."""
    run = instance.get_run_by_id(run_id)
    if run is not None and not run.is_finished:
        instance.report_run_canceled(run, "The command was told to end.")


@contextmanager
def history(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """Dagster's history: where DAGSTER_HOME says, else where `dagster dev` keeps it by default."""
    if not os.environ.get("DAGSTER_HOME"):
        home = settings.dagster_home
        try:
            home.mkdir(parents=True, exist_ok=True)
            configuration = home / "dagster.yaml"
            if not configuration.exists():
                configuration.write_text(_DAGSTER_YAML, encoding="utf-8")
        except OSError as error:
            raise SettingError(
                f"The folder {home} for Dagster's history cannot be written: {error.strerror}. "
                "Check its permissions, or set DAGSTER_HOME or WAREHOUSE_HOME."
            ) from error
        os.environ["DAGSTER_HOME"] = str(home)
    home = Path(os.environ["DAGSTER_HOME"])
    try:
        # Two processes that make a new history at once get in each other's way.
        with FileLock(home / ".opening.lock") if home.is_dir() else nullcontext():
            instance = dg.DagsterInstance.get()
    except (dg.DagsterInvariantViolationError, OSError) as error:
        raise SettingError(f"The setting DAGSTER_HOME cannot be used: {error}") from None
    with instance:
        keep_open(instance)
        yield instance
