"""Databases that are locked, written to, not encoded as they should be, or not there."""

from pathlib import Path

import pytest

from warehouse_assets.defs.reviews.family import REVIEWS_SOURCE
from warehouse_assets.errors import SourceError
from warehouse_assets.ingest.sql import load_sql
from warehouse_assets.lake import Lake
from warehouse_assets.progress import heard_by
from warehouse_assets_tests.defs.reviews.conftest import CatchUp
from warehouse_assets_tests.defs.reviews.databases import Database, review
from warehouse_assets_tests.defs.reviews.stored import SOURCE_COLUMNS, given, rejected, stored
from warehouse_assets_tests.postgres import execute, postgres_url, server_url


@pytest.fixture
def sqlite(tmp_path: Path) -> Database:
    return Database("sqlite", tmp_path / "source")


def test_text_that_is_none_is_rejected(lake: Lake, sqlite: Database, catch_up: CatchUp) -> None:
    sqlite.insert([review(n) for n in (1, 2, 3, 4)])
    sqlite.execute("UPDATE reviews SET reviewText = CAST(x'61ff62' AS TEXT) WHERE level_0 = 1")
    sqlite.execute("UPDATE reviews SET summary = x'6162' WHERE level_0 = 2")
    sqlite.execute("UPDATE reviews SET reviewerName = 'a' || char(0) || 'b' WHERE level_0 = 3")

    catch_up(sqlite)

    assert [(position, reason) for position, reason, _ in rejected(lake)] == [
        (1, "reviewText is not valid UTF-8"),
        (2, "summary is binary data"),
        (3, "reviewerName has the character NUL, which PostgreSQL cannot hold"),
    ]
    raws = [raw for _, _, raw in rejected(lake)]
    assert '"reviewText":"x\'61ff62\'"' in raws[0]
    assert '"summary":"x\'6162\'"' in raws[1]
    assert '"reviewerName":"a\\u0000b"' in raws[2]
    assert stored(lake, "level_0") == [(4,)]


def test_a_server_without_encoding_may_hold_anything(lake: Lake) -> None:
    name = sa_name(postgres_url())
    execute(
        server_url(),
        f"DROP DATABASE {name}",
        f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' "
        "LC_CTYPE 'C'",
    )
    url = server_url(name)
    execute(
        url,
        'CREATE TABLE reviews (overall bigint, "reviewerID" text, "productID" text, '
        '"unixReviewTime" bigint, summary text)',
        "INSERT INTO reviews VALUES (5, 'A', 'B', 1, convert_from('\\xc3a9', 'SQL_ASCII'))",
        "INSERT INTO reviews VALUES (5, 'A', 'B', 2, convert_from('\\xe9', 'SQL_ASCII'))",
    )

    load_sql(lake, REVIEWS_SOURCE, url, True)

    assert stored(lake, 'summary, "unixReviewTime"') == [("é", 1)]
    ((position, reason, _),) = rejected(lake)
    assert (position, reason) == (2, "summary is not valid UTF-8")


def sa_name(url: str) -> str:
    return url.partition("?")[0].rpartition("/")[2]


def test_a_view_is_read_as_a_table_is(lake: Lake, database: Database, catch_up: CatchUp) -> None:
    database.insert([review(1), review(1)])
    database.execute("ALTER TABLE reviews RENAME TO shop")
    database.execute("CREATE VIEW reviews AS SELECT * FROM shop")

    catch_up(database)

    assert stored(lake, SOURCE_COLUMNS) == given([review(1), review(1)])


def test_pages_get_smaller_where_texts_are_long(
    lake: Lake, database: Database, catch_up: CatchUp
) -> None:
    reviews = [review(n, reviewText="long " * (n % 7) * 100) for n in range(200)]
    database.insert(reviews)

    catch_up(database, bytes_at_once=20_000)

    assert stored(lake, SOURCE_COLUMNS) == given(reviews)


def test_no_table_is_told_with_those_there_are(database: Database, catch_up: CatchUp) -> None:
    database.execute("ALTER TABLE reviews RENAME TO critics")

    with pytest.raises(SourceError, match=r"has no table reviews\. Its tables are critics\."):
        catch_up(database)


def test_a_server_that_does_not_answer_is_told_without_its_password(lake: Lake) -> None:
    url = "postgresql://ann:secret@127.0.0.1:1/shop"

    with pytest.raises(SourceError) as caught:
        load_sql(lake, REVIEWS_SOURCE, url, True)

    words = str(caught.value)
    assert "postgresql://ann:***@127.0.0.1:1/shop cannot be read" in words
    assert "REVIEWS_URL" in words
    assert "secret" not in words


def test_a_file_that_is_missing_is_told_of_or_is_an_error(lake: Lake, tmp_path: Path) -> None:
    path, told = tmp_path / "none.db", list[str]()
    url = f"sqlite:///{path}"

    with heard_by(told.append):
        assert load_sql(lake, REVIEWS_SOURCE, url, False).is_missing
    assert told == [f"No reviews to read: there is no database {path} (setting REVIEWS_URL)."]
    with pytest.raises(SourceError, match="Correct the setting, or put the database there"):
        load_sql(lake, REVIEWS_SOURCE, url, True)


def test_a_file_that_is_no_database_is_told_of(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "r.db").write_text("hello, this is text that is longer than a header" * 10)

    with pytest.raises(SourceError, match="not a SQLite database"):
        load_sql(lake, REVIEWS_SOURCE, f"sqlite:///{tmp_path / 'r.db'}", True)
