"""Sample reviews: what they are like, and that they are there once."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from warehouse_assets.samples.reviews import write_reviews, write_reviews_samples


def rows(path: Path, select: str = "*") -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT {select} FROM reviews").fetchall()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shop") / "r.db"
    write_reviews(f"sqlite:///{path}", 3000, 1)
    return path


def test_columns_and_types_are_those_of_the_dataset(shop: Path) -> None:
    with closing(sqlite3.connect(shop)) as connection:
        columns = connection.execute("SELECT name, type FROM pragma_table_info('reviews')")
        assert [name for name, _ in columns] == [
            *("level_0", "index", "overall", "verified", "reviewTime", "reviewerID", "productID"),
            *("reviewerName", "reviewText", "summary", "unixReviewTime", "vote"),
        ]
    assert rows(shop, "count(*)") == [(3000,)]
    assert rows(shop, "DISTINCT typeof(overall), typeof(verified), typeof(summary)") == [
        ("real", "integer", "text")
    ]


def test_a_few_products_have_many_reviews_and_many_have_one(shop: Path) -> None:
    counts = sorted(n for (n,) in rows(shop, "count(*) OVER (PARTITION BY productID)"))

    assert counts[-1] > 200
    assert counts.count(1) > 10


def test_some_rows_are_as_they_should_not_be(shop: Path) -> None:
    assert rows(shop, "count(*) - count(unixReviewTime)") == [(3,)]
    assert rows(shop, "sum(overall NOT BETWEEN 1 AND 5)") == [(3,)]
    assert rows(shop, "sum(productID = '')") == [(2,)]
    assert len(rows(shop)) - len(set(rows(shop))) == 6
    assert rows(shop, "sum(vote = '1,234') > 0") == [(1,)]


def test_samples_are_made_once_and_never_over_another_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "reviews.db"

    assert write_reviews_samples(path, 50, 1) == {path: True}
    content = path.read_bytes()
    assert write_reviews_samples(path, 60, 1) == {path: False}
    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]
