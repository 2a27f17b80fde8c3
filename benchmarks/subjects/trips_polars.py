"""The work on trips by polars, streaming, the result a Parquet file compressed like the lake's."""

import importlib
from typing import Any

from benchmarks.context import Context

pl: Any = importlib.import_module("polars")


def load(context: Context) -> None:
    """Measure the file of CSV into Parquet."""
    target = context.folder / "trips.parquet"
    with context.measuring():
        trips = pl.scan_csv(context.data.trips_file)
        for end in ("origin", "destination"):
            point = pl.col(f"{end}_coord").str.strip_prefix("POINT (").str.strip_suffix(")")
            parts = point.str.split_exact(" ", 1).struct
            trips = trips.with_columns(
                parts.field("field_0").cast(pl.Float64).alias(f"{end}_lon"),
                parts.field("field_1").cast(pl.Float64).alias(f"{end}_lat"),
            )
        trips.select(
            "region",
            *(f"{end}_{axis}" for end in ("origin", "destination") for axis in ("lon", "lat")),
            pl.col("datetime").str.to_datetime("%Y-%m-%d %H:%M:%S").alias("started_at"),
            "datasource",
        ).sink_parquet(target, compression="zstd", engine="streaming")
    context.details["MB written"] = target.stat().st_size / 1e6
