"""When runs start by themselves: on a schedule, or after what an asset is computed from.

What sources that change start is in `sources`.
"""

from typing import Any

import dagster as dg

from warehouse_assets.errors import SettingError
from warehouse_assets.orchestration.maintenance import maintenance_job

# Runs that sensors and schedules start compute what follows by themselves.
_SECONDS_BETWEEN_EVALUATIONS = 60


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
