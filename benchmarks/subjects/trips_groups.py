"""The groups of similar trips and the trips per week, against plain queries of DuckDB.

The baseline asks the Parquet file that DuckDB alone has made, and writes Parquet. The project
computes all four tables that follow from the trips, `daily_trips` among them, from the lake into
the lake, as its assets do.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import duckdb

import warehouse_assets.defs.trips
from benchmarks.context import Context
from benchmarks.subjects.homes import copy_home, environment, lake_of, settings_of
from benchmarks.subjects.trips_sql import GROUPS, WEEKS
from warehouse_assets.defs.trips.tables import (
    DAILY_TRIPS,
    TRIP_GROUPS,
    TRIP_GROUPS_FINE,
    TRIPS,
    WEEKLY_TRIPS,
    constants_of,
    fine_zoom,
)
from warehouse_assets.lake.storage import place_of, write_whole
from warehouse_assets.orchestration.computation import compute, compute_added
from warehouse_assets.settings import Settings
from warehouse_assets_tests.object_store import Bucket, ObjectStore
from warehouse_assets_tests.sail import Sail

_SQL = Path(warehouse_assets.defs.trips.__file__).parent / "sql"


def duckdb_alone(context: Context) -> None:
    """Measure DuckDB, with its defaults, in a process with nothing else to do."""
    trips = f"read_parquet('{context.templates / 'trips.parquet'}')"
    files = {name: f"'{context.folder / name}.parquet'" for name in ("weeks", "groups")}
    with duckdb.connect() as connection:
        with context.measuring():
            connection.execute("SET enable_progress_bar = false")
            for name, query in (("groups", GROUPS), ("weeks", WEEKS)):
                connection.execute(
                    f"COPY ({query.format(trips=trips)}) TO {files[name]} "
                    "(FORMAT parquet, COMPRESSION zstd)"
                )
        _check(context, connection, files["weeks"], files["groups"])


def computed(context: Context) -> None:
    """Measure what the assets compute."""
    _compute(context, settings_of(context.folder / "home"))


def on_sail(context: Context) -> None:
    """Measure the same on an engine of its own on this machine, which is running already."""
    server = Sail(context.folder / "sail.log")
    server.start()
    try:
        home = environment(context.folder / "home")
        _compute(context, Settings.from_environment({**home, "ENGINE_URL": server.url}))
    finally:
        server.kill()


def in_a_bucket(context: Context) -> None:
    """Measure what the assets compute with the lake in object storage, a process of its own."""
    with _lake_in_a_bucket(context) as home:
        _compute(context, Settings.from_environment(home))


def on_sail_in_a_bucket(context: Context) -> None:
    """Measure the same with both."""
    with _lake_in_a_bucket(context) as home:
        server = Sail(context.folder / "sail.log")
        server.start()
        try:
            _compute(context, Settings.from_environment({**home, "ENGINE_URL": server.url}))
        finally:
            server.kill()


@contextmanager
def _lake_in_a_bucket(context: Context) -> Iterator[Mapping[str, str]]:
    """The environment of a warehouse whose lake is in a bucket, with all trips."""
    store = ObjectStore(context.folder / "store.log")
    try:
        bucket = Bucket(store.port)
        os.environ.update(bucket.environment)  # for this process, and for an engine
        lake, place = context.templates / "trips-lake" / "lake", place_of(bucket.uri)
        for file in (path for path in lake.rglob("*") if path.is_file()):
            write_whole(place / file.relative_to(lake).as_posix(), file.read_bytes())
        yield {**environment(context.folder / "home"), "LAKE_URI": bucket.uri}
    finally:
        store.kill()


def _compute(context: Context, settings: Settings) -> None:
    copy_home(context.templates / "trips-lake", settings.home)
    lake = lake_of(settings)
    queries = {
        table: (_SQL / f"{table.name}.sql").read_text(encoding="utf-8")
        for table in (DAILY_TRIPS, WEEKLY_TRIPS, TRIP_GROUPS_FINE, TRIP_GROUPS)
    }
    zoom = fine_zoom(settings)
    with context.measuring():
        compute_added(lake, lake.table(DAILY_TRIPS), TRIPS, queries[DAILY_TRIPS], {})
        compute(lake, lake.table(WEEKLY_TRIPS), [DAILY_TRIPS], queries[WEEKLY_TRIPS])
        fine = lake.table(TRIP_GROUPS_FINE)
        compute_added(lake, fine, TRIPS, queries[TRIP_GROUPS_FINE], constants_of(zoom, zoom, 1))
        constants = constants_of(settings.trip_groups_zoom, zoom, settings.trip_groups_hours)
        query = queries[TRIP_GROUPS]
        compute_added(lake, lake.table(TRIP_GROUPS), TRIP_GROUPS_FINE, query, constants)
    with lake.connect() as connection:
        for table in (WEEKLY_TRIPS, TRIP_GROUPS_FINE):
            lake.view_newest(connection, table)
        _check(context, connection, "weekly_trips", "trip_groups_fine")


def _check(
    context: Context, connection: duckdb.DuckDBPyConnection, weeks: str, groups: str
) -> None:
    query = f"SELECT count(*), sum(trips) FROM {groups} UNION ALL SELECT 0, sum(trips) FROM {weeks}"
    (rows, grouped), (_, weekly) = connection.execute(query).fetchall()
    assert grouped == weekly == context.data.trips
    context.details["groups"] = rows
