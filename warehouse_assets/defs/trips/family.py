"""Trips: where people went, and when."""

from pathlib import Path

from sqlalchemy import Table

from warehouse_assets.defs.trips.tables import (
    DAILY_TRIPS,
    TRIP_GROUPS,
    TRIP_GROUPS_FINE,
    TRIPS,
    WEEKLY_TRIPS,
)
from warehouse_assets.ingest.csv import csv_files
from warehouse_assets.orchestration.assets import file_asset, sql_asset
from warehouse_assets.orchestration.checks import Check
from warehouse_assets.orchestration.families import Family
from warehouse_assets.orchestration.standard_checks import (
    adds_up,
    no_rows,
    times_are_plausible,
    values_are_plausible,
)

CHECKS: dict[Table, list[Check]] = {
    TRIPS: [
        no_rows(
            "places_are_on_earth",
            "Longitudes are from -180 to 180 and latitudes from -90 to 90.",
            """SELECT * FROM trips
            WHERE NOT (origin_lon BETWEEN -180 AND 180 AND destination_lon BETWEEN -180 AND 180
                AND origin_lat BETWEEN -90 AND 90 AND destination_lat BETWEEN -90 AND 90)""",
            blocks=True,
        ),
        times_are_plausible(TRIPS.c.started_at, 1990),
    ],
    DAILY_TRIPS: [
        values_are_plausible(
            DAILY_TRIPS,
            "trips is 1 or more and the last trip was on that day.",
            "trips < 1 OR CAST(last_trip_at AS DATE) <> day",
        ),
        adds_up(DAILY_TRIPS.c.trips, TRIPS),
    ],
    WEEKLY_TRIPS: [
        values_are_plausible(
            WEEKLY_TRIPS,
            "trips is 1 or more, week_start is a Monday and the last trip was in that week.",
            """trips < 1 OR isodow(week_start) <> 1
                OR CAST(last_trip_at AS DATE) - week_start NOT BETWEEN 0 AND 6""",
        ),
        adds_up(WEEKLY_TRIPS.c.trips, DAILY_TRIPS),
    ],
    TRIP_GROUPS_FINE: [
        values_are_plausible(
            TRIP_GROUPS_FINE,
            "trips is 1 or more, all were in that hour of the day, the first before the last.",
            """trips < 1 OR first_trip_at > last_trip_at
                OR hour(first_trip_at) <> hour_of_day OR hour(last_trip_at) <> hour_of_day""",
        ),
        adds_up(TRIP_GROUPS_FINE.c.trips, TRIPS),
    ],
    TRIP_GROUPS: [
        values_are_plausible(
            TRIP_GROUPS,
            "trips is 1 or more, none was before that hour of the day, the first before the last.",
            """trips < 1 OR first_trip_at > last_trip_at
                OR hour(first_trip_at) < hour_of_day OR hour(last_trip_at) < hour_of_day""",
        ),
        adds_up(TRIP_GROUPS.c.trips, TRIP_GROUPS_FINE),
    ],
}


_SQL = Path(__file__).parent / "sql"

TRIPS_FILES = csv_files(TRIPS)

FAMILY = Family(
    "trips",
    [
        file_asset(TRIPS_FILES, "csv"),
        sql_asset(DAILY_TRIPS, [TRIPS], _SQL, is_of_week=True),
        sql_asset(WEEKLY_TRIPS, [DAILY_TRIPS], _SQL, is_of_week=True),
        sql_asset(TRIP_GROUPS_FINE, [TRIPS], _SQL),
        sql_asset(TRIP_GROUPS, [TRIP_GROUPS_FINE], _SQL),
    ],
    CHECKS,
)
