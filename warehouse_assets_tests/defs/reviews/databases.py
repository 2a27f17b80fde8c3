"""Databases of reviews for tests, SQLite and PostgreSQL, with the names of the dataset."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from warehouse_assets_tests.warehouse.reused import emptied_database

KINDS = ("sqlite", "postgresql")
COLUMNS = (
    "level_0",
    "index",
    "overall",
    "verified",
    "reviewTime",
    "reviewerID",
    "productID",
    "reviewerName",
    "reviewText",
    "summary",
    "unixReviewTime",
    "vote",
)
_TYPES = {
    "level_0": "bigint",
    "index": "bigint",
    "overall": "double precision",
    "verified": "bigint",
    "unixReviewTime": "bigint",
}

Review = Mapping[str, Any]


def review(number: int, **fields: Any) -> dict[str, Any]:
    """A review that differs from others by its number: of a second of 2013-09-09."""
    return {
        "level_0": number,
        "index": number,
        "overall": 5.0,
        "verified": 1,
        "reviewTime": "09 9, 2013",
        "reviewerID": f"A{number}",
        "productID": "B1",
        "reviewerName": "Ann",
        "reviewText": f"It is good, {number} times.",
        "summary": "Good",
        "unixReviewTime": 1_378_684_800 + number,
        "vote": None,
        **fields,
    }


class Database:
    """A database with the table `reviews`, empty at first; one of PostgreSQL at a time.

    Args:
        types: of columns, where they are not those of the dataset.
        columns: those that the table has.
    """

    def __init__(
        self,
        kind: str,
        folder: Path,
        types: Mapping[str, str] | None = None,
        columns: Sequence[str] = COLUMNS,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "reviews.db"
        self.url = f"sqlite:///{self.path}" if kind == "sqlite" else emptied_database("reviews")
        self.kind = kind
        self.columns = columns
        types = {**_TYPES, **(types or {})}
        definition = ", ".join(f'"{name}" {types.get(name, "text")}' for name in columns)
        self.execute(f"CREATE TABLE reviews ({definition})")

    def execute(self, statement: str, rows: Sequence[Sequence[Any]] | None = None) -> None:
        """Run a statement, once for each of `rows` if they are given."""
        driver = self._connected()
        with closing(driver), closing(driver.cursor()) as cursor:
            if rows is None:
                cursor.execute(statement)
            else:
                mark = "?" if self.kind == "sqlite" else "%s"
                cursor.executemany(statement.replace("?", mark), [tuple(row) for row in rows])
            driver.commit()

    def _connected(self) -> Any:
        """A connection of the database's driver."""
        if self.kind == "sqlite":
            return sqlite3.connect(self.path)
        url = sa.make_url(self.url).set(drivername="postgresql+psycopg2")
        return sa.create_engine(url, poolclass=sa.NullPool).raw_connection()

    @contextmanager
    def under_way(self, statement: str) -> Iterator[Callable[[], None]]:
        """A transaction of another program that has run `statement`; commits it when called."""
        driver = self._connected()
        with closing(driver), closing(driver.cursor()) as cursor:
            if self.kind == "sqlite":
                cursor.execute("BEGIN EXCLUSIVE")
            cursor.execute(statement)
            yield driver.commit

    def insert(self, reviews: Iterable[Review]) -> None:
        """Add reviews."""
        names = ", ".join(f'"{name}"' for name in self.columns)
        values = ", ".join("?" for _ in self.columns)
        rows = [tuple(review.get(name) for name in self.columns) for review in reviews]
        self.execute(f"INSERT INTO reviews ({names}) VALUES ({values})", rows)
