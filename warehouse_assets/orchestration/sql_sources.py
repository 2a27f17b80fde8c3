"""A table of a SQL database as an asset, and its sensor: a family declares a `SqlSource`."""

from collections.abc import Sequence

import dagster as dg

from warehouse_assets.errors import WarehouseAssetsError
from warehouse_assets.ingest.load import Loaded
from warehouse_assets.ingest.sql import glance, load_sql
from warehouse_assets.ingest.sql_reader import SqlSource
from warehouse_assets.orchestration.assets import source_asset
from warehouse_assets.orchestration.automation import has_unfinished_run
from warehouse_assets.orchestration.step import Step
from warehouse_assets.settings import Settings

# Of PostgreSQL each look is a connection.
_SECONDS_BETWEEN_TICKS = 30


def sql_source_asset(
    source: SqlSource, kind: str = "sql"
) -> Sequence[dg.AssetSpec | dg.AssetsDefinition]:
    """The asset of a table that is loaded from a table of a SQL database, and that database.

    Args:
        kind: what Dagster shows of the database.
    """
    database = dg.AssetSpec(
        f"{source.name}_database",
        description=f"The database that has the table of {source.name} (`{source.setting}`).",
        kinds={kind},
    )

    def load(step: Step) -> Loaded:
        is_given = source.setting in step.settings.given
        return load_sql(step.lake, source, source.url(step.settings), is_given)

    return source_asset(source.table, database, load)


def sql_source_sensor(source: SqlSource, target: dg.AssetSelection) -> dg.SensorDefinition:
    """Starts a run of `target` when the database of `source` has changed; one at a time.

    A SQLite file that is written all the time does not settle, and is left to the schedule.
    """
    job = f"take_{source.name}"
    description = f"Starts a run when the database of {source.name} has changed ({source.setting})."

    @dg.sensor(
        name=f"{source.name}_sensor",
        description=description,
        job=dg.define_asset_job(job, selection=target, description=description),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=_SECONDS_BETWEEN_TICKS,
    )
    def sensor(
        context: dg.SensorEvaluationContext, settings: dg.ResourceParam[Settings]
    ) -> dg.SensorResult:
        before = context.cursor or ""
        try:
            now = glance(source, source.url(settings))
        except WarehouseAssetsError as error:
            return dg.SensorResult(skip_reason=str(error), cursor=before)
        if now is None:
            reason = f"There are no {source.name} to look at, or they are being written."
        elif now == before:
            reason = f"The database of {source.name} has not changed."
        elif has_unfinished_run(context.instance, job):
            reason = f"A run that takes the {source.name} has not ended yet."
        else:
            return dg.SensorResult(run_requests=[dg.RunRequest()], cursor=now)
        return dg.SensorResult(skip_reason=reason, cursor=before)

    return sensor
