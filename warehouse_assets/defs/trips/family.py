"""Trips: where people went, and when."""

from pathlib import Path

from warehouse_assets.defs.trips.checks import CHECKS
from warehouse_assets.defs.trips.tables import DAILY_TRIPS, TRIP_GROUPS, TRIPS, WEEKLY_TRIPS
from warehouse_assets.ingest.csv import csv_files
from warehouse_assets.orchestration.assets import file_asset, sql_asset
from warehouse_assets.orchestration.families import Family

_SQL = Path(__file__).parent / "sql"

TRIPS_FILES = csv_files(
    TRIPS, answers=[str(table.name) for table in (DAILY_TRIPS, WEEKLY_TRIPS, TRIP_GROUPS)]
)

FAMILY = Family(
    "trips",
    [
        file_asset(TRIPS_FILES, "csv"),
        sql_asset(DAILY_TRIPS, [TRIPS], _SQL),
        sql_asset(WEEKLY_TRIPS, [DAILY_TRIPS], _SQL),
        sql_asset(
            TRIP_GROUPS,
            [TRIPS],
            _SQL,
            constants=lambda settings: {"tiles": 2.0**settings.trip_groups_zoom},
        ),
    ],
    CHECKS,
)
