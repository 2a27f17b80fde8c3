"""The work on trips by polars, streaming, each result a Parquet file compressed like the lake's."""

import importlib
import math
from pathlib import Path
from typing import Any

import xxhash

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


def load_checked(context: Context) -> None:
    """Measure the file into Parquet, and into another what cannot be used, as the project does.

    A row is used if its points are on Earth and written as points, its time exists and no text is
    empty; the others keep their number. The file's hash is taken, too. What the project looks at
    besides, such as quotes left open, lines of another width and times in other forms, is not.
    """
    source, target = context.data.trips_file, context.folder / "trips.parquet"
    with context.measuring():
        digest = xxhash.xxh3_128()
        with source.open("rb") as stream:
            while chunk := stream.read(2**20):
                digest.update(chunk)
        trips = _read_checked(source)
        names = [name for name in trips.collect_schema().names() if name != "record"]
        is_bad = pl.any_horizontal(pl.col(name).is_null() for name in names)
        good = trips.filter(~is_bad).select(names)
        bad = trips.filter(is_bad)
        sinks = [
            good.sink_parquet(target, compression="zstd", lazy=True),
            bad.sink_parquet(context.folder / "bad.parquet", lazy=True),
        ]
        pl.collect_all(sinks, engine="streaming")
    context.details["MB written"] = target.stat().st_size / 1e6
    assert pl.scan_parquet(target).select(pl.len()).collect().item() == context.data.trips


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


def _read_checked(path: Path) -> Any:
    """The trips of a file of CSV and their numbers, null where a value cannot be used."""
    trips = pl.scan_csv(path, infer_schema=False, row_index_name="record")
    for end in ("origin", "destination"):
        text = pl.col(f"{end}_coord")
        point = text.str.strip_prefix("POINT (").str.strip_suffix(")")
        parts = point.str.split_exact(" ", 2).struct
        lon = parts.field("field_0").cast(pl.Float64, strict=False)
        lat = parts.field("field_1").cast(pl.Float64, strict=False)
        is_point = text.str.starts_with("POINT (") & text.str.ends_with(")")
        is_usable = (
            is_point
            & parts.field("field_2").is_null()
            & lon.is_between(-180, 180)
            & lat.is_between(-90, 90)
        )
        trips = trips.with_columns(
            pl.when(is_usable).then(lon).alias(f"{end}_lon"),
            pl.when(is_usable).then(lat).alias(f"{end}_lat"),
        )
    time = pl.col("datetime").str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False)
    texts = [
        pl.when(pl.col(name) != "").then(pl.col(name)).alias(name)
        for name in ("region", "datasource")
    ]
    return trips.select(
        "record",
        texts[0],
        *(f"{end}_{axis}" for end in ("origin", "destination") for axis in ("lon", "lat")),
        time.alias("started_at"),
        texts[1],
    )


def _sink(frame: Any, target: Path) -> None:
    frame.sink_parquet(target, compression="zstd", engine="streaming")


def _tile(end: str, axis: str) -> Any:
    if axis == "x":
        share = (pl.col(f"{end}_lon") + 180) / 360
    else:
        share = (1 - pl.col(f"{end}_lat").radians().tan().arcsinh() / math.pi) / 2
    return (share * TILES).floor().cast(pl.Int64).alias(f"{end}_tile_{axis}")
