"""`reviews` holds what its source holds: which rows can be used, and as what, as they are now."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from warehouse_assets.defs.reviews.family import REVIEWS_SOURCE
from warehouse_assets.defs.reviews.tables import REVIEWS
from warehouse_assets.errors import SourceError
from warehouse_assets.ingest.sql import load_sql
from warehouse_assets.lake import Lake
from warehouse_assets_tests.defs.reviews.conftest import CatchUp
from warehouse_assets_tests.defs.reviews.databases import COLUMNS, Database, review
from warehouse_assets_tests.defs.reviews.stored import SOURCE_COLUMNS, given, rejected, stored
from warehouse_assets_tests.postgres import execute, postgres_url, server_url

Maker = Callable[..., Database]
_TEXTS: Mapping[str, str] = dict.fromkeys(COLUMNS, "text")


def test_every_row_is_taken_as_it_is(lake: Lake, database: Database, catch_up: CatchUp) -> None:
    reviews = [
        review(1),
        review(
            2,
            reviewText="Ça va,\n\t\"naïve\" \\N 東京 🙂 'x'; DROP TABLE reviews; --",
            vote="1,234",
        ),
        review(3, reviewText="", summary=None, reviewerName="NULL"),
        review(4, overall=4.5, verified=0, unixReviewTime=-1, reviewTime="12 31, 1969"),
    ]
    database.insert(reviews)

    done = catch_up(database)

    assert stored(lake, SOURCE_COLUMNS) == given(reviews)
    assert rejected(lake) == []
    assert (done.records, done.rejected, done.written.inserted) == (4, 0, 4)
    version = lake.table(REVIEWS).open().version()
    catch_up(database)
    assert lake.table(REVIEWS).open().version() == version


def test_rows_added_changed_and_deleted_are_followed(
    lake: Lake, database: Database, catch_up: CatchUp
) -> None:
    database.insert([review(1), review(1), review(1), review(2), review(3)])
    catch_up(database)
    names = "level_0, occurrence, overall"
    assert stored(lake, names) == [(1, 1, 5), (1, 2, 5), (1, 3, 5), (2, 1, 5), (3, 1, 5)]
    database.execute("DELETE FROM reviews WHERE level_0 < 3")
    database.execute("UPDATE reviews SET overall = 1 WHERE level_0 = 3")
    database.insert([review(1), review(2), review(2)])

    done = catch_up(database)

    assert stored(lake, names) == [(1, 1, 5), (2, 1, 5), (2, 2, 5), (3, 1, 1)]
    assert (done.written.inserted, done.written.deleted) == (2, 3)

    database.execute("DELETE FROM reviews")
    assert catch_up(database).written.deleted == 4
    assert stored(lake) == []


def test_numbers_may_be_text(lake: Lake, made: Maker, catch_up: CatchUp) -> None:
    database = made(_TEXTS)
    texts = {"level_0": "1.0", "index": " 2 ", "overall": "4.5", "verified": "True"}
    database.insert(
        [review(1, **texts, unixReviewTime=time) for time in ("1378684801.0", " 1e3 ", "-0.5")]
    )

    catch_up(database)

    names = 'level_0, "index", overall, verified, "unixReviewTime"'
    assert stored(lake, names) == [
        (1, 2, 4.5, 1, time) for time in sorted((1_378_684_801, 1000, -1), key=repr)
    ]


def test_columns_may_be_wider_or_narrower(lake: Lake, made: Maker, catch_up: CatchUp) -> None:
    types = {"verified": "boolean", "overall": "numeric", "unixReviewTime": "double precision"}
    database = made({**types, "vote": "bigint", "reviewerID": "bigint"})
    database.insert([review(1, verified=True, overall=3, vote=7, reviewerID=2**53 + 1)])

    catch_up(database)

    names = 'overall, verified, vote, "reviewerID", "unixReviewTime"'
    assert stored(lake, names) == [(3.0, 1, "7", str(2**53 + 1), 1_378_684_801)]


_UNUSABLE: Sequence[tuple[dict[str, Any], str]] = [
    ({"overall": "five"}, "overall is not a number"),
    ({"overall": "nan"}, "overall is not a number"),
    ({"overall": "inf"}, "overall is not a number"),
    ({"verified": "yes"}, "verified is not a whole number"),
    ({"verified": "0.5"}, "verified is not a whole number"),
    ({"index": "x"}, "index is not a whole number"),
    ({"level_0": "9223372036854775808"}, "level_0 is not a whole number"),
    ({"unixReviewTime": "soon"}, "unixReviewTime is not a number"),
    ({"unixReviewTime": "nan"}, "unixReviewTime is not a number"),
    ({"unixReviewTime": "253402300800"}, "unixReviewTime is not in the years 1 to 9999"),
    ({"unixReviewTime": "-62135596801"}, "unixReviewTime is not in the years 1 to 9999"),
    (
        {"unixReviewTime": None, "reviewTime": "02 30, 2013"},
        "there is no unixReviewTime, and reviewTime is not MM D, YYYY",
    ),
    (
        {"unixReviewTime": None, "reviewTime": "02 3, 0000"},
        "reviewTime is not in the years 1 to 9999",
    ),
    (
        {"unixReviewTime": "", "reviewTime": " "},
        "there is neither unixReviewTime nor reviewTime",
    ),
]


def test_what_cannot_be_used_is_rejected_with_its_place_and_text(
    lake: Lake, made: Maker, catch_up: CatchUp
) -> None:
    database = made(_TEXTS)
    bad = [
        {**{k: v if v is None else str(v) for k, v in review(n).items()}, **fields}
        for n, (fields, _) in enumerate(_UNUSABLE)
    ]
    database.insert([review(-1), *bad])

    done = catch_up(database)
    again = catch_up(database)

    found = [(position, why, json.loads(raw)) for position, why, raw in rejected(lake)]
    reasons = [reason for _, reason in _UNUSABLE]
    assert found == list(zip(range(2, len(bad) + 2), reasons, bad, strict=True))
    assert (done.records, done.rejected, len(stored(lake))) == (1, len(bad), 1)
    assert again.rejected == 0


_KEPT: Sequence[tuple[dict[str, Any], str]] = [
    # The time is that of seconds, else of the day.
    ({"unixReviewTime": None}, "2013-09-09 00:00:00"),
    ({"unixReviewTime": None, "reviewTime": "1 02, 2014"}, "2014-01-02 00:00:00"),
    ({"unixReviewTime": 253402300799}, "9999-12-31 23:59:59"),
    ({"unixReviewTime": -62135596800}, "0001-01-01 00:00:00"),
    ({"unixReviewTime": 0, "reviewTime": "whenever"}, "1970-01-01 00:00:00"),
    # Ratings out of range, and with all their digits; missing values.
    ({"overall": 17.5, "reviewerID": None}, "2013-09-09 00:00:05"),
    ({"overall": None, "productID": "", "verified": None}, "2013-09-09 00:00:06"),
    *(
        ({"overall": rating}, f"2013-09-09 00:00:{second:02}")
        for second, rating in enumerate([0.1, 1 / 3, 1.1064205072322748, 2.0**0.5], start=7)
    ),
]


def test_unusual_values_are_kept(lake: Lake, database: Database, catch_up: CatchUp) -> None:
    reviews = [review(n, **fields) for n, (fields, _) in enumerate(_KEPT)]
    database.insert(reviews)

    catch_up(database)

    assert stored(lake, SOURCE_COLUMNS) == given(reviews)
    assert sorted(stored(lake, "level_0, reviewed_at")) == [
        (n, datetime.fromisoformat(moment)) for n, (_, moment) in enumerate(_KEPT)
    ]


def test_columns_that_are_missing_are_null(lake: Lake, made: Maker, catch_up: CatchUp) -> None:
    database = made(None, ["productID", "overall", "reviewerID", "reviewTime", "comment"])
    database.insert([review(1, comment="of no interest")])

    catch_up(database)

    names = 'overall, "productID", "unixReviewTime", summary, reviewed_at'
    day = datetime.fromisoformat("2013-09-09")
    assert stored(lake, names) == [(5.0, "B1", None, None, day)]


@pytest.mark.parametrize("lacking", [["overall"], ["reviewTime", "unixReviewTime"]])
def test_a_required_column_that_is_missing_is_named(
    made: Maker, catch_up: CatchUp, lacking: Sequence[str]
) -> None:
    database = made(None, [name for name in COLUMNS if name not in lacking])

    with pytest.raises(SourceError) as caught:
        catch_up(database)

    words = str(caught.value)
    assert "has a table reviews without the column " in words
    assert all(name in words for name in lacking)
    assert "REVIEWS_URL" in words


def test_columns_are_found_in_any_case(lake: Lake, made: Maker, catch_up: CatchUp) -> None:
    database = made(None, ["OVERALL", "reviewerid", "ProductId", "unixreviewtime", "INDEX"])
    lower = {name.casefold(): value for name, value in review(3).items()}
    database.insert([{name: lower[name.casefold()] for name in database.columns}])

    catch_up(database)

    assert stored(lake, 'overall, "reviewerID", "productID", "index"') == [(5.0, "A3", "B1", 3)]


def test_text_with_the_character_nul_is_rejected(
    lake: Lake, tmp_path: Path, catch_up: CatchUp
) -> None:
    database = Database("sqlite", tmp_path / "source")  # the other kind has no such text
    database.insert([review(1), review(2, reviewerName="a\0b")])

    catch_up(database)

    ((position, reason, raw),) = rejected(lake)
    assert (position, reason) == (
        2,
        "reviewerName has the character NUL, which PostgreSQL cannot hold",
    )
    assert '"reviewerName":"a\\u0000b"' in raw
    assert stored(lake, "level_0") == [(1,)]


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
