"""Running the SQL of the trips family on a handful of rows, without a lake."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from warehouse_assets.defs.trips.tables import TRIPS
from warehouse_assets.lake import Lake
from warehouse_assets.tables import duckdb_type
from warehouse_assets_tests.defs.trips.journeys import Trip, sql


@contextmanager
def tables(trips: Sequence[Trip], zoom: int = 14) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with the table of `trips`, and all that follows from it."""
    with Lake(Path("lake"), Path("scratch"), 10**9).connect() as connection:
        columns = ", ".join(f'"{c.name}" {duckdb_type(c)}' for c in TRIPS.columns)
        connection.execute(f"CREATE TABLE trips ({columns})")
        rows = ", ".join("(?, ?, ?, ?, ?, ?, ?, ?)" for _ in trips)
        values = [
            value
            for trip in trips
            for value in (
                trip.region, *trip.origin, *trip.destination, trip.time, trip.datasource, 1
            )
        ]  # fmt: skip
        if trips:
            connection.execute(f"INSERT INTO trips VALUES {rows}", values)
        connection.execute(
            "CREATE TABLE constants AS SELECT CAST(? AS DOUBLE) AS tiles, 1.0 AS tiles_in_one, "
            "1.0 AS hours",
            [2**zoom],
        )
        for name in ("daily_trips", "weekly_trips", "trip_groups_fine", "trip_groups"):
            connection.execute(f"CREATE TABLE {name} AS {sql(name)}")
        yield connection


def answer(table: str, trips: Sequence[Trip], zoom: int = 14) -> list[tuple[Any, ...]]:
    """The rows of `table`, sorted."""
    with tables(trips, zoom) as connection:
        return connection.execute(f"FROM {table} ORDER BY ALL").fetchall()
