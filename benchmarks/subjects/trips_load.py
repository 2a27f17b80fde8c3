"""A large file of trips into an empty lake, against DuckDB alone.

The baseline is what a person would write in DuckDB: it reads the file, takes the coordinates apart
and writes Parquet, compressed like the lake's; a row that cannot be read stops it. The project
does all of `catch_up`: it takes the file's hash, tells which records cannot be used, makes both
commits and moves the file to the archive.
"""

from pathlib import Path

import duckdb

from benchmarks.context import Context
from benchmarks.subjects.homes import inbox_of, lake_of, settings_of
from benchmarks.subjects.trips_sql import COLUMNS
from warehouse_assets.defs.trips.family import TRIPS_FILES
from warehouse_assets.ingest.files import load_files
from warehouse_assets.settings import Settings


def duckdb_alone(context: Context) -> None:
    """Measure DuckDB, with its defaults, in a process with nothing else to do."""
    target = context.folder / "trips.parquet"
    with context.measuring():
        _copy(context.data.trips_file, target)
    context.details["MB written"] = target.stat().st_size / 1e6


def catch_up_trips(context: Context) -> None:
    """Measure `catch_up` of the file in an inbox."""
    settings = settings_of(context.folder / "home")
    _take(context, settings)
    stored = (path.stat().st_size for path in Path(settings.lake).rglob("*") if path.is_file())
    context.details["MB written"] = sum(stored) / 1e6


def duckdb_template(context: Context) -> None:
    """Measure making the Parquet file that DuckDB alone makes, for other cases."""
    with context.measuring():
        _copy(context.data.trips_file, context.templates / "trips.parquet")


def lake_template(context: Context) -> None:
    """Make a lake that holds the trips and nothing else, for other cases."""
    _take(context, settings_of(context.templates / "trips-lake"))


def _copy(source: Path, target: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute(
            f"""COPY (SELECT {COLUMNS} FROM read_csv('{source}'))
            TO '{target}' (FORMAT parquet, COMPRESSION zstd)"""
        )


def _take(context: Context, settings: Settings) -> None:
    lake, inbox = lake_of(settings), inbox_of(settings, [context.data.trips_file])
    with context.measuring():
        taken = load_files(lake, inbox, TRIPS_FILES)
    assert (taken.records, taken.rejected) == (context.data.trips, 0)
