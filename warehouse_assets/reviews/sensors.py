"""The sensor of the reviews family."""

from datetime import datetime, timedelta, timezone

import dagster as dg

from warehouse_assets.errors import WarehouseAssetsError
from warehouse_assets.reviews.source import SETTING, glance_at_reviews
from warehouse_assets.settings import Settings

_JOB = "take_reviews"
_DESCRIPTION = f"Starts a run when the database of reviews has changed ({SETTING})."
# Of PostgreSQL each look is a connection.
_SECONDS_BETWEEN_TICKS = 30
# A run whose process was killed stays unfinished for ever; it is waited for no longer than this.
_LONGEST_RUN = timedelta(minutes=30)
_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


def reviews_sensor(target: dg.AssetSelection) -> dg.SensorDefinition:
    """Starts a run of `target` when the database of reviews has changed; one at a time.

    A SQLite file that is written all the time does not settle, and is left to the schedule.
    """

    @dg.sensor(
        name="reviews_sensor",
        description=_DESCRIPTION,
        job=dg.define_asset_job(_JOB, selection=target, description=_DESCRIPTION),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=_SECONDS_BETWEEN_TICKS,
    )
    def sensor(
        context: dg.SensorEvaluationContext, settings: dg.ResourceParam[Settings]
    ) -> dg.SensorResult:
        before = context.cursor or ""
        try:
            now = glance_at_reviews(settings.reviews_url)
        except WarehouseAssetsError as error:
            return dg.SensorResult(skip_reason=str(error), cursor=before)
        if now is None:
            reason = "There are no reviews to look at, or they are being written."
            return dg.SensorResult(skip_reason=reason, cursor=before)
        if now == before:
            reason = "The database of reviews has not changed."
            return dg.SensorResult(skip_reason=reason, cursor=before)
        if _is_running(context.instance):
            reason = "A run that takes the reviews has not ended yet."
            return dg.SensorResult(skip_reason=reason, cursor=before)
        return dg.SensorResult(run_requests=[dg.RunRequest()], cursor=now)

    return sensor


def _is_running(instance: dg.DagsterInstance) -> bool:
    unfinished = dg.RunsFilter(
        job_name=_JOB,
        statuses=_UNFINISHED,
        created_after=datetime.now(timezone.utc) - _LONGEST_RUN,
    )
    return instance.get_runs_count(unfinished) > 0
