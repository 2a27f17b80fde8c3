"""Trips: where people went, and when."""

from pathlib import Path

from sqlalchemy import Table

from warehouse_assets.defs.trips.tables import DAILY_TRIPS, TRIP_GROUPS, TRIPS, WEEKLY_TRIPS
from warehouse_assets.ingest.csv import csv_files
from warehouse_assets.orchestration.assets import file_asset, sql_asset
from warehouse_assets.orchestration.checks import Check
from warehouse_assets.orchestration.families import Family
from warehouse_assets.orchestration.standard_checks import no_rows


def _trips_add_up(table: Table, whole: Table) -> Check:
    """Every trip is counted once; of rows without a count each is a trip."""
    count = "sum(trips)" if "trips" in whole.columns else "count(*)"
    return no_rows(
        "trips_add_up",
        f"The trips add up to those of {whole.name}.",
        f"""SELECT * FROM (SELECT coalesce(sum(trips), 0) AS trips_here FROM {table.name}),
            (SELECT coalesce({count}, 0) AS trips_there FROM {whole.name})
        WHERE trips_here <> trips_there""",
        reads=[whole],
        is_warning=True,
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
        no_rows(
            "times_are_plausible",
            "started_at is from 1990 on and not in the future.",
            """SELECT * FROM trips WHERE started_at < TIMESTAMP '1990-01-01'
                OR started_at > now() AT TIME ZONE 'UTC' + INTERVAL 1 DAY""",
            depends_on_time=True,
            is_warning=True,
        ),
    ],
    DAILY_TRIPS: [
        no_rows(
            "values_are_plausible",
            "trips is 1 or more and the last trip was on that day.",
            """SELECT * FROM daily_trips
            WHERE trips < 1 OR CAST(last_trip_at AS DATE) <> day""",
            blocks=True,
        ),
        _trips_add_up(DAILY_TRIPS, TRIPS),
    ],
    WEEKLY_TRIPS: [
        no_rows(
            "values_are_plausible",
            "trips is 1 or more, week_start is a Monday and the last trip was in that week.",
            """SELECT * FROM weekly_trips
            WHERE trips < 1 OR isodow(week_start) <> 1
                OR CAST(last_trip_at AS DATE) - week_start NOT BETWEEN 0 AND 6""",
            blocks=True,
        ),
        _trips_add_up(WEEKLY_TRIPS, DAILY_TRIPS),
    ],
    TRIP_GROUPS: [
        no_rows(
            "values_are_plausible",
            "trips is 1 or more, all were in that hour of the day, the first before the last.",
            """SELECT * FROM trip_groups
            WHERE trips < 1 OR first_trip_at > last_trip_at
                OR hour(first_trip_at) <> hour_of_day OR hour(last_trip_at) <> hour_of_day""",
            blocks=True,
        ),
        _trips_add_up(TRIP_GROUPS, TRIPS),
    ],
}


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
