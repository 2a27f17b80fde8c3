"""The work on trips by polars, streaming, each result a Parquet file compressed like the lake's."""

import importlib
import math
from pathlib import Path
from typing import Any

from benchmarks.context import Context
from benchmarks.subjects.trips_groups import check
from benchmarks.subjects.trips_sql import TILES

pl: Any = importlib.import_module("polars")


def load(context: Context) -> None:
    """Measure the file into Parquet."""
    target = context.folder / "trips.parquet"
    with context.measuring():
        _sink(_read(context.data.trips_file), target)
    context.details["MB written"] = target.stat().st_size / 1e6


def groups(context: Context) -> None:
    """Measure the groups and the weeks, from the Parquet file that DuckDB has made."""
    trips = pl.scan_parquet(context.templates / "trips.parquet")
    at = pl.col("started_at")
    with context.measuring():
        tiles = [_tile(end, axis) for end in ("origin", "destination") for axis in "xy"]
        hour = at.dt.hour().alias("hour_of_day")
        counts = [pl.len().alias("trips"), at.min().alias("first_trip_at")]
        last = at.max().alias("last_trip_at")
        grouped = trips.group_by("region", *tiles, hour).agg(*counts, last)
        _sink(grouped, context.folder / "groups.parquet")
        week = at.dt.truncate("1w").dt.date().alias("week_start")
        weekly = trips.group_by("region", week, "datasource").agg(counts[0], last)
        _sink(weekly, context.folder / "weeks.parquet")
    check(context, context.folder)


def _read(path: Path) -> Any:
    """The trips of a file of CSV, not read yet."""
    trips = pl.scan_csv(path)
    for end in ("origin", "destination"):
        point = pl.col(f"{end}_coord").str.strip_prefix("POINT (").str.strip_suffix(")")
        parts = point.str.split_exact(" ", 1).struct
        trips = trips.with_columns(
            parts.field("field_0").cast(pl.Float64).alias(f"{end}_lon"),
            parts.field("field_1").cast(pl.Float64).alias(f"{end}_lat"),
        )
    return trips.select(
        "region",
        *(f"{end}_{axis}" for end in ("origin", "destination") for axis in ("lon", "lat")),
        pl.col("datetime").str.to_datetime("%Y-%m-%d %H:%M:%S").alias("started_at"),
        "datasource",
    )


def _sink(frame: Any, target: Path) -> None:
    frame.sink_parquet(target, compression="zstd", engine="streaming")


def _tile(end: str, axis: str) -> Any:
    if axis == "x":
        share = (pl.col(f"{end}_lon") + 180) / 360
    else:
        share = (1 - pl.col(f"{end}_lat").radians().tan().arcsinh() / math.pi) / 2
    return (share * TILES).floor().cast(pl.Int64).alias(f"{end}_tile_{axis}")
