"""The work on trips by pandas, all rows in memory, each result a Parquet file as the lake's."""

import importlib
from typing import Any

from benchmarks.context import Context
from benchmarks.subjects.trips_groups import check
from benchmarks.subjects.trips_sql import TILES

np: Any = importlib.import_module("numpy")
pd: Any = importlib.import_module("pandas")


def load(context: Context) -> None:
    """Measure the file into Parquet."""
    target = context.folder / "trips.parquet"
    with context.measuring():
        trips = pd.read_csv(context.data.trips_file, parse_dates=["datetime"], engine="pyarrow")
        trips = trips.rename(columns={"datetime": "started_at"})
        for end in ("origin", "destination"):
            # Taken out at once, so that the text is not kept.
            parts = trips.pop(f"{end}_coord").str.slice(7, -1).str.split(" ", n=1, expand=True)
            trips[f"{end}_lon"] = parts[0].astype("float64")
            trips[f"{end}_lat"] = parts[1].astype("float64")
        trips.to_parquet(target, compression="zstd", index=False)
    context.details["MB written"] = target.stat().st_size / 1e6


def groups(context: Context) -> None:
    """Measure the groups and the weeks, from the Parquet file that DuckDB has made."""
    with context.measuring():
        trips = pd.read_parquet(context.templates / "trips.parquet")
        at = trips["started_at"].dt
        tiles = [_tile(trips, end, axis) for end in ("origin", "destination") for axis in "xy"]
        keys = ["region", *tiles, at.hour.rename("hour_of_day")]
        week = at.normalize() - pd.to_timedelta(at.weekday, unit="D")
        last = ("started_at", "max")
        grouped = trips.groupby(keys, sort=False, observed=True).agg(
            trips=("started_at", "size"), first_trip_at=("started_at", "min"), last_trip_at=last
        )
        _write(context, grouped, "groups")
        weekly = trips.groupby(["region", week.rename("week_start"), "datasource"], sort=False)
        _write(context, weekly.agg(trips=("started_at", "size"), last_trip_at=last), "weeks")
    check(context, context.folder)


def _tile(trips: Any, end: str, axis: str) -> Any:
    if axis == "x":
        share = (trips[f"{end}_lon"] + 180) / 360
    else:
        share = (1 - np.arcsinh(np.tan(np.radians(trips[f"{end}_lat"]))) / np.pi) / 2
    return np.floor(share * TILES).astype("int64").rename(f"{end}_tile_{axis}")


def _write(context: Context, frame: Any, name: str) -> None:
    target = context.folder / f"{name}.parquet"
    frame.reset_index().to_parquet(target, compression="zstd", index=False)
