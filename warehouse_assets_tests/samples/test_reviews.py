"""Sample reviews: what they are like, that they are there once, and that they go again."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from warehouse_assets.errors import SourceError
from warehouse_assets.samples.made import remove_samples
from warehouse_assets.samples.reviews import write_reviews, write_reviews_samples
from warehouse_assets.samples.reviews_rows import COLUMNS
from warehouse_assets.samples.school_places import Places


def rows(path: Path, select: str = "*") -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT {select} FROM reviews").fetchall()


def made(path: Path, reviews: int = 3000, seed: int = 1) -> Path:
    write_reviews(f"sqlite:///{path}", reviews, seed)
    return path


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("shop") / "r.db")


def test_the_same_size_and_seed_make_the_same_rows(shop: Path, tmp_path: Path) -> None:
    assert rows(made(tmp_path / "same.db")) == rows(shop)
    assert rows(made(tmp_path / "other.db", seed=2)) != rows(shop)


def test_columns_and_types_are_those_of_the_dataset(shop: Path) -> None:
    with closing(sqlite3.connect(shop)) as connection:
        columns = connection.execute("SELECT name, type FROM pragma_table_info('reviews')")
        assert [name for name, _ in columns] == list(COLUMNS)
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


def test_samples_are_made_once_and_removed(tmp_path: Path) -> None:
    places = Places.in_folder(tmp_path / "sources")
    path = places.made.parent / "reviews.db"

    assert write_reviews_samples(path, places.made, 50, 1) is None
    content = path.read_bytes()
    assert write_reviews_samples(path, places.made, 50, 1) is None
    note = write_reviews_samples(path, places.made, 60, 1)
    assert note is not None
    assert "sample reviews already, with 50 reviews and seed 1" in note
    assert path.read_bytes() == content

    removal = remove_samples(places, tmp_path / "inbox")

    assert (removal.removed, removal.left) == ([path], [])
    assert not places.made.parent.exists()


def test_a_database_that_was_changed_since_is_left(tmp_path: Path) -> None:
    places = Places.in_folder(tmp_path)
    path = tmp_path / "reviews.db"
    write_reviews_samples(path, places.made, 50, 1)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM reviews WHERE level_0 = 1")
        connection.commit()

    removal = remove_samples(places, tmp_path / "inbox")

    assert (removal.removed, removal.left) == ([], [path])


def test_a_database_of_ones_own_is_never_touched(tmp_path: Path) -> None:
    places = Places.in_folder(tmp_path)
    mine = tmp_path / "reviews.db"
    mine.write_text("mine")

    note = write_reviews_samples(mine, places.made, 50, 1)

    assert note == f"The database {mine} was not made as a sample: it stays as it is."
    assert (remove_samples(places, tmp_path / "inbox").removed, mine.read_text()) == ([], "mine")


def test_a_note_that_cannot_be_read_is_told_of(tmp_path: Path) -> None:
    places = Places.in_folder(tmp_path)
    write_reviews_samples(tmp_path / "reviews.db", places.made, 5, 1)
    (places.made / "reviews.json").write_text("{")

    with pytest.raises(SourceError, match="which says where sample reviews were made"):
        remove_samples(places, tmp_path / "inbox")
