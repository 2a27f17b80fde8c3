"""Readers of a warehouse that others change meanwhile; each looks until it is told to end.

What they hold tables against holds for every version: votes come in groups of ten, each of one
post, half of them in one week and half in another; all of a group have the number of the file in
which the group came last as their user. So a mixture of versions would show.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from warehouse_assets.defs.forum.tables import TABLES
from warehouse_assets_tests.house import Home
from warehouse_assets_tests.stress.tasks import ENVIRONMENT

Query = Callable[[str], list[tuple[Any, ...]]]

GROUP = 10
_SECONDS_BETWEEN_READS = 0.1
# However busy the machine is, a reader does not end before it has read so often.
_LEAST_READS = 5

# Of each: no rows may come of it, in any version of its table.
HALF_CHANGES = {
    "votes": f"""SELECT post_id, count(*), count(DISTINCT user_id), min(user_id), max(user_id)
        FROM votes GROUP BY post_id HAVING count(*) <> {GROUP} OR count(DISTINCT user_id) <> 1""",
    "votes_per_post_per_week": f"""SELECT post_id, sum(votes), count(*)
        FROM votes_per_post_per_week GROUP BY post_id
        HAVING sum(votes) <> {GROUP} OR count(*) <> 2""",
    "mean_votes_per_post_per_week": f"""SELECT sum(votes), count(*)
        FROM mean_votes_per_post_per_week HAVING sum(votes) % {GROUP} <> 0""",
    "posts": """SELECT (id - 1) // 5, count(*) FROM posts
        GROUP BY (id - 1) // 5 HAVING count(*) <> 5""",
}


def read_warehouse(home: Path, end: Path) -> int:
    """Read the SQL database, in one transaction after the other; returns how many there were."""
    house = Home(home, **ENVIRONMENT)
    reads, counts = 0, dict[str, int]()
    while reads < _LEAST_READS or not end.exists():
        with closing(sqlite3.connect(house.warehouse.path)) as connection:
            connection.execute("BEGIN")

            def query(text: str, connection: sqlite3.Connection = connection) -> list[Any]:
                return connection.execute(text.replace("//", "/")).fetchall()

            counts = _look(query, counts)
            versions = query("SELECT table_name, version FROM _published ORDER BY 1")
            assert _look(query, counts) == counts, "a transaction saw two states"
            assert versions == query("SELECT table_name, version FROM _published ORDER BY 1")
        reads += 1
        time.sleep(_SECONDS_BETWEEN_READS)
    return reads


def read_lake(home: Path, end: Path) -> int:
    """Read the lake's newest versions, through fresh handles; returns how often."""
    house = Home(home, **ENVIRONMENT)
    reads, counts = 0, dict[str, int]()
    while reads < _LEAST_READS or not end.exists():
        with house.lake.connect() as connection:
            for table in TABLES:
                house.lake.view_newest(connection, table)
            counts = _look(lambda text: connection.execute(text).fetchall(), counts)
        reads += 1
        time.sleep(_SECONDS_BETWEEN_READS)
    return reads


def _look(query: Query, before: dict[str, int]) -> dict[str, int]:
    """Check what must hold; returns how many rows each table has, which never are fewer."""
    for table, text in HALF_CHANGES.items():
        found = query(text)
        assert found == [], f"a half change of {table}: {found}"
    now = {name: int(query(f"SELECT count(*) FROM {name}")[0][0]) for name in HALF_CHANGES}
    assert all(now[name] >= count for name, count in before.items()), (before, now)
    return now


@contextmanager
def long_change(home: Path, table: str) -> Iterator[None]:
    """Hold the lock of a table, as a run does that changes it."""
    with Home(home, **ENVIRONMENT).lake.lock(table):
        yield
