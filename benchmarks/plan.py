"""The cases: what is measured against what, and the ratio that is to be met."""

from importlib.util import find_spec

from benchmarks.case import Case, Subject

_LOADED_HOME = Subject("a warehouse with everything loaded", "runs.load_template")

_DUCKDB_FILE = Subject("DuckDB's Parquet file of the trips", "trips_load.duckdb_template")
_LAKE = Subject("a lake with the trips", "trips_load.lake_template")
_HOME = (
    Subject("a warehouse with the trips", "trips_runs.load_template"),
    Subject("its maintenance", "trips_runs.maintain_template"),
)
_DUCKDB = "DuckDB over its Parquet file"

_TRIPS_CASES = (
    Case(
        "trips_load",
        "{trips} trips as CSV into an empty lake",
        [
            Subject("DuckDB: read_csv, split_part, Parquet", "trips_load.duckdb_alone"),
            Subject("catch_up, archive included", "trips_load.catch_up_trips", target=1.2),
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
    *(
        [
            Case(
                "trips_engine",
                "the days, weeks and groups of {trips} trips, computed by another engine",
                [
                    Subject("DuckDB, in the process", "trips_groups.computed"),
                    Subject("Sail, on the same machine", "trips_groups.on_sail", target=2),
                    Subject("DuckDB, the lake in a bucket", "trips_groups.in_a_bucket"),
                    Subject("Sail, the lake in a bucket", "trips_groups.on_sail_in_a_bucket"),
                ],
                [_LAKE],
                data="make_trips",
            )
        ]
        if find_spec("pysail")
        else []
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
    Case(
        "trips_similar",
        "the groups of similar trips of a region of {trips} trips, warm",
        [Subject("the service, over HTTP", "trips_queries.groups", limit=1)],
        [_DUCKDB_FILE, *_HOME],
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

_ASKED = "10,000 requests for products and users, 16 connections, {reviews} reviews in"


_REVIEWS_CASES = tuple(
    Case(
        f"reviews_{database}_by_hand",
        f"{_ASKED} {name}, beside a bare handler by hand",
        [
            Subject(
                f"Starlette, {driver}, over the days",
                "reviews_requests.starlette",
                {"database": database},
            ),
            Subject("warehouse serve", "reviews_requests.service", {"database": database}, 1.43),
        ],
        [
            Subject(
                f"a warehouse of reviews in {name}",
                "reviews_homes.template",
                {"database": database},
            )
        ],
        data="make_nothing",
    )
    for database, name, driver in (
        ("sqlite", "SQLite", "sqlite3"),
        ("postgresql", "PostgreSQL", "psycopg2"),
    )
)

CASES = (
    Case(
        "load",
        "{votes} votes as JSON lines into an empty lake",
        [
            Subject("DuckDB: read_json, newest row per id, Parquet", "load.duckdb_alone"),
            Subject("catch_up, archive included", "load.catch_up_votes", target=1.3),
        ],
    ),
    Case(
        "log_load",
        "twice {votes} lines of the log of test runs into an empty lake",
        [
            Subject("DuckDB: read_csv, repair, json_transform, Parquet", "log.duckdb_alone"),
            Subject("catch_up_log", "log.catch_up_lines", target=1.3),
        ],
    ),
    Case(
        "log_next",
        "the next 1,000 lines of a log that was taken",
        [
            Subject("after 2% of {votes} lines", "log.next_lines", {"percent": 1}),
            Subject("after twice {votes} lines", "log.next_lines", {"percent": 100}, target=1.5),
        ],
        [
            Subject("lakes that hold a log", "log.next_template", {"percent": percent})
            for percent in (1, 100)
        ],
    ),
    Case(
        "publish_whole",
        "{votes} votes of the lake into a new SQLite file",
        [
            Subject("executemany of batches that DuckDB reads", "publish.executemany_batches"),
            Subject("publish", "publish.publish_whole", target=1.3),
        ],
        [_LOADED_HOME],
    ),
    Case(
        "tables_page",
        "a page of a table of {votes} votes, warm",
        [
            Subject("by key", "tables.page", {"by": "key"}, limit=0.01),
            Subject(
                "by the first column of a key of two", "tables.page", {"by": "index"}, limit=0.01
            ),
            Subject("by a column without an index", "tables.page", {"by": "none"}, limit=1),
        ],
        [_LOADED_HOME],
    ),
    Case(
        "tables_whole",
        "all of a table of {votes} votes as text",
        [
            Subject("DuckDB's own CSV, in order, into a file", "tables.duckdb_alone"),
            Subject("CSV, over HTTP", "tables.whole", {"text": "csv"}),
            Subject("NDJSON, over HTTP", "tables.whole", {"text": "ndjson"}),
        ],
        [_LOADED_HOME],
    ),
    Case(
        "past",
        "what an answer was, and why, after {changes} votes onto {votes}, warm",
        [
            Subject("the answer as of a moment", "past.asked", {"what": "as_of"}, limit=0.3),
            Subject("why a row changed since", "past.asked", {"what": "since"}, limit=1),
            Subject("of what a row is made", "past.asked", {"what": "why"}, limit=1),
        ],
        [
            _LOADED_HOME,
            Subject("the moment", "past.note_moment"),
            Subject("the delivery", "runs.deliver_to_template"),
        ],
    ),
    Case(
        "delivery",
        "{changes} votes, half new and half changed, onto {votes}: the whole run",
        [
            Subject("the full load's whole run", "runs.full_load"),
            Subject("the delivery's whole run", "runs.delivery", target=0.2),
        ],
        [_LOADED_HOME],
    ),
    Case(
        "nothing_new",
        "nothing new for {votes} votes and samples of all families: commands, start-up included",
        [
            Subject("Dagster, 6 empty assets", "commands.empty_assets", {"family": "forum"}),
            Subject(
                "dagster asset materialize, the forum's 6 assets",
                "commands.materialize",
                {"family": "forum"},
                target=1.5,
            ),
            Subject("Dagster, as many empty assets as there are", "commands.empty_assets"),
            Subject(
                "dagster asset materialize, all assets",
                "commands.materialize",
                target=1.5,
                against="Dagster, as many empty assets as there are",
            ),
            Subject(
                "warehouse ingest, all assets",
                "commands.ingest",
                against="Dagster, as many empty assets as there are",
            ),
            Subject(
                "warehouse ingest, the known delivery",
                "commands.ingest",
                {"file": "delivery_file"},
                target=1.5,
            ),
            Subject(
                "warehouse ingest, the known file of all votes",
                "commands.ingest",
                {"file": "votes_file"},
                target=1.5,
            ),
        ],
        [
            _LOADED_HOME,
            Subject("the delivery", "runs.deliver_to_template"),
            Subject("samples of all families", "commands.samples_template"),
        ],
    ),
    Case(
        "publish_change",
        "{changes} changed votes into a published table",
        [
            Subject(
                f"a table of {rows:.0%} of {{votes}}",
                "publish.publish_change",
                {"percent": round(rows * 100)},
                target=target,
            )
            # In a smaller table several changes meet in one page of SQLite.
            for rows, target in ((0.2, None), (2.0, 1.5))
        ],
        [
            Subject("tables with a change", "publish.change_template", {"percent": percent})
            for percent in (20, 200)
        ],
    ),
    Case(
        "weeks",
        "{changes} votes of four weeks into {votes} of four years, and votes per post and week",
        [
            Subject("files not by week", "weeks.merge_and_compute", {"weeks": "no"}),
            Subject("files by week", "weeks.merge_and_compute", {"weeks": "yes"}, target=0.3),
        ],
        [Subject("a lake", "weeks.template", {"weeks": weeks}) for weeks in ("no", "yes")],
        data="make_nothing",
    ),
    Case(
        "memory",
        "the full load's whole run within MEMORY_LIMIT",
        [
            Subject("4GB, the default", "runs.full_load"),
            Subject("1GB", "runs.full_load", {"memory_limit": "1GB"}),
        ],
    ),
    Case(
        "deliveries_durable",
        "half of {votes} steps of deliveries from JSON lines into a durable average",
        [
            Subject("a loop that commits every 1,000 records", "deliveries_average.bare_loop"),
            Subject("DeliveryAverage.catch_up", "deliveries_average.durable", target=1.25),
        ],
        [Subject("the feed", "deliveries_average.feed_template")],
    ),
    *_TRIPS_CASES,
    *_REVIEWS_CASES,
)
