"""Running parts of the asset graph in this process, recorded in Dagster's history."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from uuid import uuid4

import dagster as dg
import sqlalchemy as sa
from filelock import FileLock

from warehouse_assets.definitions import build_defs
from warehouse_assets.errors import SettingError, WarehouseError
from warehouse_assets.interruption import when_told_to_end
from warehouse_assets.orchestration.history import end_dead_runs, host
from warehouse_assets.orchestration.recomputing import RECOMPUTE_WEEKS, tags_of
from warehouse_assets.settings import Settings
from warehouse_assets.times import Weeks

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
    settings: Settings, assets: Sequence[str] | None = None
) -> dg.ExecuteInProcessResult:
    """Materialise `assets` and all that follows from them, or everything, with their checks."""
    selection = (
        dg.AssetSelection.all()
        if assets is None
        else dg.AssetSelection.assets(*assets).downstream()
    )
    return run(job_of("materialize", settings, selection), settings)


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


def failed_checks(result: dg.ExecuteInProcessResult) -> list[dg.AssetCheckEvaluation]:
    """The evaluations of checks that failed and are not warnings."""
    evaluations = result.get_asset_check_evaluations()
    return [e for e in evaluations if not e.passed and e.severity.value == "ERROR"]


def end_dead(settings: Settings) -> None:
    """End the runs of commands on this machine whose process was killed."""
    with history(settings) as instance:
        end_dead_runs(instance)


def recompute(settings: Settings, weeks: Weeks) -> dg.ExecuteInProcessResult:
    """Compute weeks anew, of all tables that have any, with what follows from them."""
    job = build_defs({"settings": settings}).resolve_job_def(RECOMPUTE_WEEKS)
    return run(job, settings, tags_of(weeks))


def job_of(name: str, settings: Settings, selection: dg.AssetSelection) -> dg.JobDefinition:
    """A job of the asset graph that does what is selected."""
    defs = build_defs({"settings": settings})
    job = dg.define_asset_job(name, selection=selection)
    return dg.Definitions.merge(defs, dg.Definitions(jobs=[job])).resolve_job_def(name)


def run(
    job: dg.JobDefinition, settings: Settings, tags: Mapping[str, str] | None = None
) -> dg.ExecuteInProcessResult:
    """Run a job in this process."""
    run_id = str(uuid4())
    with history(settings) as instance, when_told_to_end(lambda: _cancel(instance, run_id)):
        return job.execute_in_process(
            instance=instance,
            raise_on_error=False,
            run_config=_QUIET,
            run_id=run_id,
            tags={**host(), **(tags or {})},
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
        with FileLock(home / ".opening.lock") if os.access(home, os.W_OK) else nullcontext():
            instance = dg.DagsterInstance.get()
    except (dg.DagsterInvariantViolationError, OSError) as error:
        raise SettingError(f"The setting DAGSTER_HOME cannot be used: {error}") from None
    except dg.DagsterInvalidConfigError as error:
        # Traces follow the first line.
        reasons = " ".join(reason.message.partition("\n")[0] for reason in error.errors or ())
        raise SettingError(
            f"{home / 'dagster.yaml'} (setting DAGSTER_HOME) cannot be used: {reasons} Set the "
            "variables that it names."
        ) from None
    except Exception as error:
        # Dagster's own error is of a module that is not public.
        if not isinstance(error.__cause__, sa.exc.OperationalError):
            raise
        raise WarehouseError(
            f"Dagster's history, which {home / 'dagster.yaml'} (setting DAGSTER_HOME) places, "
            f"cannot be opened: {str(error.__cause__.orig).strip()}. Check that its server runs, "
            "lets this user in and has the database."
        ) from None
    with instance:
        yield instance
