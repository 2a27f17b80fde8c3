"""Running the forum's SQL on a handful of posts and votes, without a lake."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

from warehouse_assets.defs import forum
from warehouse_assets.lake import Lake

_SQL = Path(forum.__file__).parent / "sql"


def answer(
    table: str,
    posts: Sequence[str | datetime] = (),
    votes: Sequence[tuple[int, Any]] = (),
    threshold: Fraction = Fraction(1, 5),
) -> list[tuple[Any, ...]]:
    """The rows of `table`, in their order, from when posts were written and votes cast."""
    (rows,) = answers([table], posts, votes, threshold)
    return rows


def answers(
    tables: Sequence[str],
    posts: Sequence[str | datetime],
    votes: Sequence[tuple[int, Any]],
    threshold: Fraction = Fraction(1, 5),
) -> list[list[tuple[Any, ...]]]:
    """The rows of each of `tables`."""
    with Lake(Path("lake"), Path("scratch"), 10**9).connect() as connection:
        connection.execute("CREATE TABLE posts (id BIGINT, creation_date TIMESTAMP)")
        connection.execute("CREATE TABLE votes (post_id BIGINT, creation_date TIMESTAMP)")
        connection.execute(
            "INSERT INTO posts SELECT 0, unnest(CAST(? AS TIMESTAMP[]))", [list(posts)]
        )
        counts = Counter(votes)
        connection.execute(
            """INSERT INTO votes SELECT post_id, moment FROM (
                SELECT unnest(CAST($posts AS BIGINT[])) AS post_id,
                    unnest(CAST($moments AS TIMESTAMP[])) AS moment,
                    unnest(CAST($counts AS BIGINT[])) AS number
            ), unnest(range(number))""",
            {
                "posts": [post for post, _ in counts],
                "moments": [moment for _, moment in counts],
                "counts": list(counts.values()),
            },
        )
        connection.execute(
            "CREATE TABLE constants AS SELECT CAST(? AS BIGINT) AS numerator, "
            "CAST(? AS BIGINT) AS denominator",
            list(threshold.as_integer_ratio()),
        )
        per_week = (_SQL / "votes_per_post_per_week.sql").read_text()
        connection.execute(f"CREATE TABLE votes_per_post_per_week AS {per_week}")
        return [
            connection.execute((_SQL / f"{table}.sql").read_text()).fetchall() for table in tables
        ]
