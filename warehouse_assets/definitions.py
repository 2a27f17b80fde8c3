"""Puts the asset graph together. Only wiring: no data is opened, read or written here."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from warehouse_assets.deliveries.assets import ASSETS as DELIVERIES_ASSETS
from warehouse_assets.deliveries.catch_up import DeliveryAverage
from warehouse_assets.deliveries.checks import CHECKS as DELIVERIES_CHECKS
from warehouse_assets.deliveries.sensors import feed_sensor
from warehouse_assets.forum.assets import ASSETS as FORUM_ASSETS
from warehouse_assets.forum.checks import CHECKS as FORUM_CHECKS
from warehouse_assets.forum.files import POSTS_FILES, UNRECOGNISED_FILES, VOTES_FILES
from warehouse_assets.forum.sensors import forum_inbox_sensor
from warehouse_assets.graph.assets import collected_asset
from warehouse_assets.graph.automation import (
    catch_up_schedule,
    follow_sources_sensor,
    maintenance_schedule,
)
from warehouse_assets.graph.checks import checks_of
from warehouse_assets.graph.dead_runs import dead_runs_sensor
from warehouse_assets.graph.history import keep_open_in
from warehouse_assets.graph.resources import build_resources
from warehouse_assets.graph.sql_sources import sql_source_sensor
from warehouse_assets.graph.standard_checks import declared_checks
from warehouse_assets.misspelt import tell_misspelt_settings
from warehouse_assets.reviews.assets import ASSETS as REVIEWS_ASSETS
from warehouse_assets.reviews.checks import CHECKS as REVIEWS_CHECKS
from warehouse_assets.reviews.source import REVIEWS_SOURCE
from warehouse_assets.schema import REJECTED_RECORDS, UNKNOWN_FIELDS
from warehouse_assets.school.assets import ASSETS as SCHOOL_ASSETS
from warehouse_assets.school.checks import CHECKS as SCHOOL_CHECKS
from warehouse_assets.school.sensors import log_sensor
from warehouse_assets.settings import Settings
from warehouse_assets.trips.assets import ASSETS as TRIPS_ASSETS
from warehouse_assets.trips.assets import TRIPS_FILES
from warehouse_assets.trips.checks import CHECKS as TRIPS_CHECKS
from warehouse_assets.trips.sensors import trips_inbox_sensor

# The assets that reject records.
_SOURCES = ("posts", "votes", "students", "batches", "test_runs", "trips", "reviews", "deliveries")
FILE_KINDS = (POSTS_FILES, VOTES_FILES, TRIPS_FILES, UNRECOGNISED_FILES)
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
    quality = dg.AssetSelection.groups("quality")
    resources = {**build_resources(settings), **overrides}
    average = DeliveryAverage.of(settings, resources["lake"])
    return dg.Definitions(
        assets=[
            *FORUM_ASSETS,
            *SCHOOL_ASSETS,
            *TRIPS_ASSETS,
            *REVIEWS_ASSETS,
            *DELIVERIES_ASSETS,
            collected_asset(REJECTED_RECORDS, _SOURCES, "quality", FILE_KINDS),
            collected_asset(UNKNOWN_FIELDS, _SOURCES, "quality"),
        ],
        asset_checks=[
            *FORUM_CHECKS,
            *SCHOOL_CHECKS,
            *TRIPS_CHECKS,
            *REVIEWS_CHECKS,
            *DELIVERIES_CHECKS,
            checks_of(REJECTED_RECORDS, declared_checks(REJECTED_RECORDS)),
            checks_of(UNKNOWN_FIELDS, declared_checks(UNKNOWN_FIELDS)),
        ],
        schedules=[
            catch_up_schedule(settings.catch_up_cron),
            maintenance_schedule(settings.maintenance_cron),
        ],
        sensors=[
            forum_inbox_sensor(dg.AssetSelection.groups("forum") | quality, FILE_KINDS),
            trips_inbox_sensor(dg.AssetSelection.groups("trips") | quality, FILE_KINDS),
            log_sensor(dg.AssetSelection.groups("school") | quality),
            sql_source_sensor(REVIEWS_SOURCE, dg.AssetSelection.groups("reviews") | quality),
            feed_sensor(),
            follow_sources_sensor(),
            dead_runs_sensor,
        ],
        resources={"delivery_average": average, **resources},
        executor=dg.in_process_executor,
    )


tell_misspelt_settings(dg.get_dagster_logger().warning)
defs = build_defs()

# Here, since Dagster writes a third of a run's events before the first step begins.
keep_open_in(Settings.from_environment().dagster_home)
