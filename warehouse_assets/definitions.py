"""Puts the asset graph together, and says when runs start by themselves.

Only wiring: no data is opened, read or written here.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import dagster as dg

from warehouse_assets import catalogue
from warehouse_assets.errors import SettingError
from warehouse_assets.ingest.inbox import Inbox
from warehouse_assets.lake import Lake
from warehouse_assets.orchestration.families import Family, definitions_of, file_kinds
from warehouse_assets.orchestration.history import dead_runs_sensor, keep_open
from warehouse_assets.orchestration.maintenance import maintenance_job
from warehouse_assets.setting_slips import slips_in_words
from warehouse_assets.settings import Settings
from warehouse_assets.warehouse import warehouse_at

FAMILIES: list[Family] = [
    import_module(f"warehouse_assets.defs.{name}.family").FAMILY for name in catalogue.FAMILIES
]
FILE_KINDS = file_kinds(FAMILIES)
"""All files that are taken from the inbox."""

_CATCH_UP = dg.define_asset_job(
    "catch_up",
    selection=dg.AssetSelection.all(),
    description="Catches every source up and computes all that follows from it.",
)
# Runs that other sensors and schedules start compute what follows by themselves.
_FOLLOW_SOURCES = dg.AutomationConditionSensorDefinition(
    "follow_sources",
    target=dg.AssetSelection.all(),
    description="Materialises what depends on assets that have been materialised.",
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=60,
)


def resources_of(settings: Settings, overrides: Mapping[str, Any]) -> Mapping[str, Any]:
    """What assets ask for, by name: what follows from `settings`, but for the `overrides`."""
    resources = {
        "settings": settings,
        "lake": Lake.of(settings),
        "warehouse": warehouse_at(settings.warehouse_url),
        "inbox": Inbox.of(settings),
        **overrides,
    }
    for family in FAMILIES:
        resources = {**family.resources(settings, resources["lake"]), **resources}
    return resources


def build_defs(overrides: Mapping[str, Any] | None = None) -> dg.Definitions:
    """The whole asset graph.

    Args:
        overrides: resources to use in place of those that the environment's settings give, by
            name; `settings` itself is one of them, and the others then follow from it.

    Raises:
        SettingError: a setting cannot be used.
    """
    overrides = overrides or {}
    settings = overrides.get("settings") or Settings.from_environment()
    resources = resources_of(settings, overrides)
    common = dg.Definitions(
        schedules=[
            _schedule(_CATCH_UP, "CATCH_UP_CRON", settings.catch_up_cron),
            _schedule(maintenance_job, "MAINTENANCE_CRON", settings.maintenance_cron),
        ],
        sensors=[_FOLLOW_SOURCES, dead_runs_sensor],
        executor=dg.in_process_executor,
    )
    return dg.Definitions.merge(definitions_of(FAMILIES, settings, resources), common)


def _schedule(job: Any, setting: str, cron: str) -> dg.ScheduleDefinition:
    """A schedule of `job`, of any kind of job that Dagster has; it runs unless switched off."""
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


for slip in slips_in_words():
    dg.get_dagster_logger().warning(slip)
defs = build_defs()

# Here, since Dagster writes a third of a run's events before the first step begins.
keep_open()
