"""The work on trips by PostgreSQL: COPY into a table of text, and SQL from there.

The server is one of its own, with more memory than it takes by itself and without what protects
data from a power cut (unlogged tables, no waiting for the disk).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.context import Context, peak_memory
from benchmarks.servers import postgres_server
from benchmarks.subjects.trips_sql import GROUPS, WEEKS, columns

_DELIVERED = """CREATE UNLOGGED TABLE delivered
    (region text, origin_coord text, destination_coord text, datetime text, datasource text)"""
_CHUNK = 2**20


def load(context: Context) -> None:
    """Measure COPY of the file, and the trips of what is delivered."""
    with _connected(context, context.folder / "postgres") as cursor, context.measuring():
        _load(context, cursor)


def template(context: Context) -> None:
    """Make a server that has the trips, with indexes for asking about areas, for other cases."""
    with _connected(context, context.templates / "postgres") as cursor:
        _load(context, cursor)
        cursor.execute("CREATE INDEX ON trips (region, started_at)")
        cursor.execute("CREATE INDEX ON trips (origin_lon, origin_lat) INCLUDE (started_at)")
        cursor.execute("VACUUM ANALYZE trips")


def groups(context: Context) -> None:
    """Measure the groups and the weeks, from that server's table into tables."""
    with _connected(context, context.templates / "postgres") as cursor:
        with context.measuring():
            for name, query in (("groups", GROUPS), ("weeks", WEEKS)):
                cursor.execute(f"CREATE UNLOGGED TABLE {name} AS {query.format(trips='trips')}")
        for name in ("weeks", "groups"):
            cursor.execute(f"SELECT count(*), sum(trips) FROM {name}")
            rows, trips = cursor.fetchone()
            assert trips == context.data.trips
            cursor.execute(f"DROP TABLE {name}")
    context.details["groups"] = rows


@contextmanager
def _connected(context: Context, folder: Path) -> Iterator[Any]:
    with postgres_server(folder) as connection, connection.cursor() as cursor:
        yield cursor
        context.peak_bytes = peak_memory(connection.info.backend_pid)


def _load(context: Context, cursor: Any) -> None:
    cursor.execute(_DELIVERED)
    with context.data.trips_file.open("rb") as stream:
        cursor.copy_expert("COPY delivered FROM STDIN (FORMAT csv, HEADER)", stream, _CHUNK)
    point = "substr({0}, 8, length({0}) - 8)"
    query = f"SELECT {columns(point, 'double precision')} FROM delivered"
    cursor.execute(f"CREATE UNLOGGED TABLE trips AS {query}")
    assert cursor.rowcount == context.data.trips
    cursor.execute("DROP TABLE delivered")
