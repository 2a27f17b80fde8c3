"""Sample reviews: a database such as a shop keeps, of any size, in SQLite or PostgreSQL.

The same size and seed give the same rows. The rows are made in parts, so that memory does not
grow with their number.
"""

from contextlib import closing
from pathlib import Path

import duckdb
import sqlalchemy as sa

from warehouse_assets.samples.files import Made, make_files

_ROWS = (Path(__file__).parent / "sql" / "reviews.sql").read_text(encoding="utf-8")
_ROWS_AT_ONCE = 20_000
_TYPES = {
    "level_0": sa.BigInteger,
    "index": sa.BigInteger,
    "overall": sa.Double,
    "verified": sa.BigInteger,
    "unixReviewTime": sa.BigInteger,
}


def write_reviews(url: str, reviews: int, seed: int) -> None:
    """Make the table `reviews`, with as many rows, in the database at an SQLAlchemy URL.

    One that is there already is replaced.

    Args:
        url: of a SQLite or PostgreSQL database.
        reviews: how many there are.
        seed: another seed makes other reviews.
    """
    parsed = sa.make_url(url)
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg2")
    engine = sa.create_engine(parsed, poolclass=sa.NullPool)
    with closing(duckdb.connect()) as source, engine.begin() as connection:
        source.execute(_ROWS)
        names = [
            name for name, *_ in source.execute("DESCRIBE FROM reviews(0, 0, 0, 0)").fetchall()
        ]
        table = sa.Table(
            "reviews",
            sa.MetaData(),
            *(sa.Column(name, _TYPES.get(name, sa.Text), autoincrement=False) for name in names),
        )
        table.drop(connection, checkfirst=True)
        table.create(connection)
        for first in range(0, reviews, _ROWS_AT_ONCE):
            drawn = [seed, first, min(first + _ROWS_AT_ONCE, reviews), reviews]
            rows = source.execute("FROM reviews(?, ?, ?, ?)", drawn).fetchall()
            connection.execute(table.insert(), [dict(zip(names, row, strict=True)) for row in rows])


def write_reviews_samples(path: Path, reviews: int, seed: int) -> Made:
    """Make a SQLite database of sample reviews at `path`, unless there is a file already."""
    return make_files([path], lambda part: write_reviews(f"sqlite:///{part}", reviews, seed))
