"""The cases of the trips family.

polars does the same work beside DuckDB alone where `requirements-benchmarks.lock` is installed.
"""

from benchmarks.case import Case, Subject

_DUCKDB_FILE = Subject("DuckDB's Parquet file of the trips", "trips_load.duckdb_template")
_LAKE = Subject("a lake with the trips", "trips_load.lake_template")
_HOME = (
    Subject("a warehouse with the trips", "trips_runs.load_template"),
    Subject("its maintenance", "trips_runs.maintain_template"),
)
_DUCKDB = "DuckDB over its Parquet file"

TRIPS_CASES = (
    Case(
        "trips_load",
        "{trips} trips as CSV into an empty lake",
        [
            Subject("DuckDB: read_csv, split_part, Parquet", "trips_load.duckdb_alone"),
            Subject("catch_up, archive included", "trips_load.catch_up_trips", target=1.2),
            Subject("polars: scan_csv, sink_parquet", "trips_polars.load", package="polars"),
        ],
        data="make_trips",
    ),
    Case(
        "trips_groups",
        "the groups and the weeks of {trips} trips",
        [
            Subject("DuckDB: two queries, Parquet to Parquet", "trips_groups.duckdb_alone"),
            Subject("the assets' tables, and the days", "trips_groups.computed", target=1.3),
        ],
        [_DUCKDB_FILE, _LAKE],
        data="make_trips",
    ),
    Case(
        "trips_next_file",
        "one more file of {next_trips} trips: the whole run, everything published",
        [
            Subject("onto an empty lake", "trips_runs.only_file"),
            Subject("onto {trips} trips", "trips_runs.next_file", target=3),
        ],
        _HOME,
        data="make_trips",
    ),
    *(
        Case(
            f"trips_{name}",
            f"the weekly average of {area} of {{trips}} trips, warm",
            [
                Subject(_DUCKDB, "trips_queries.duckdb_alone", {"match": match}),
                Subject(
                    "the service, over HTTP",
                    "trips_queries.service",
                    {"match": match},
                    limit=limit,
                ),
            ],
            [_DUCKDB_FILE, *_HOME],
            data="make_trips",
        )
        for name, area, match, limit in (
            ("region", "a region", "", 0.01),
            ("origin", "a city district, where trips begin,", "origin", 0.5),
            ("destination", "a city district, where trips end,", "destination", None),
            ("both", "a city district, where trips begin and end,", "both", None),
        )
    ),
)
