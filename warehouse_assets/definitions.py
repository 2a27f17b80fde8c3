"""Puts the asset graph together. Only wiring: no data is opened, read or written here."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

import warehouse_assets.defs
from warehouse_assets.orchestration.automation import (
    catch_up_schedule,
    follow_sources_sensor,
    maintenance_schedule,
)
from warehouse_assets.orchestration.dead_runs import dead_runs_sensor
from warehouse_assets.orchestration.families import definitions_of, file_kinds, find_families
from warehouse_assets.orchestration.history import keep_open
from warehouse_assets.orchestration.resources import build_resources
from warehouse_assets.settings import Settings, slips_in_words

FAMILIES = find_families(warehouse_assets.defs)
FILE_KINDS = file_kinds(FAMILIES)
"""All files that are taken from the inbox."""


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
    resources = {**build_resources(settings), **overrides}
    for family in FAMILIES:
        resources = {**family.resources(settings, resources["lake"]), **resources}
    common = dg.Definitions(
        schedules=[
            catch_up_schedule(settings.catch_up_cron),
            maintenance_schedule(settings.maintenance_cron),
        ],
        sensors=[follow_sources_sensor(), dead_runs_sensor],
        executor=dg.in_process_executor,
    )
    return dg.Definitions.merge(definitions_of(FAMILIES, settings, resources), common)


for slip in slips_in_words():
    dg.get_dagster_logger().warning(slip)
defs = build_defs()

# Here, since Dagster writes a third of a run's events before the first step begins.
keep_open()
