"""The assets of the trips family."""

from pathlib import Path

from warehouse_assets.graph.assets import added_asset, file_asset, sql_asset
from warehouse_assets.ingest.csv import csv_files
from warehouse_assets.trips.tables import DAILY_TRIPS, TRIP_GROUPS, TRIPS, WEEKLY_TRIPS

GROUP = "trips"
_SQL = Path(__file__).parent / "sql"

TRIPS_FILES = csv_files(
    TRIPS, answers=[str(table.name) for table in (DAILY_TRIPS, WEEKLY_TRIPS, TRIP_GROUPS)]
)

trips = file_asset(TRIPS_FILES, GROUP, "csv")
daily_trips = added_asset(DAILY_TRIPS, TRIPS, GROUP, _SQL)
weekly_trips = sql_asset(WEEKLY_TRIPS, [DAILY_TRIPS], GROUP, _SQL)
trip_groups = added_asset(
    TRIP_GROUPS,
    TRIPS,
    GROUP,
    _SQL,
    lambda settings: {"tiles": 2.0**settings.trip_groups_zoom},
)

ASSETS = (trips, daily_trips, weekly_trips, trip_groups)
