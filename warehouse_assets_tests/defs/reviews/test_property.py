"""Whatever a SQLite table holds, each row is in the lake as plain Python has it, or rejected."""

import math
import re
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse_assets.defs.reviews.family import REVIEWS_SOURCE
from warehouse_assets.ingest.sql import load_sql
from warehouse_assets.lake import Lake
from warehouse_assets_tests.defs.reviews.stored import rejected, stored

NAMES = ("overall", "verified", "reviewTime", "unixReviewTime", "reviewerID", "productID")
TEXTS = st.one_of(st.none(), st.text(max_size=4), st.binary(max_size=2), st.integers(-5, 5))
NUMBERS = st.one_of(
    st.none(),
    st.integers(-9, 9),
    st.floats(-9, 9),
    st.sampled_from(["", " 4 ", "3.0", "x", "1e1", b"5"]),
)
TIMES = st.one_of(
    NUMBERS,
    st.integers(-62_135_596_802, -62_135_596_798),
    st.integers(253_402_300_797, 253_402_300_802),
)
DATES = st.one_of(
    st.none(), st.sampled_from(["09 1, 2012", "2 29, 2012", "2 29, 2013", "", "1 1 2012", b"x"])
)
ROWS = st.lists(st.tuples(NUMBERS, NUMBERS, DATES, TIMES, TEXTS, TEXTS), max_size=6)


class UnusableError(Exception):
    pass


def text(value: Any) -> str | None:
    if isinstance(value, bytes) or (isinstance(value, str) and "\0" in value):
        raise UnusableError
    return None if value is None else str(value)


def number(value: Any) -> float | None:
    stripped = (text(value) or "").strip(" ")
    try:
        return float(stripped) if stripped else None
    except ValueError:
        raise UnusableError from None


def whole(value: Any) -> int | None:
    stripped = (text(value) or "").strip(" ")
    if stripped and not re.fullmatch(r"[+-]?([0-9]+|[0-9]{1,15}\.0+)", stripped):
        raise UnusableError
    return int(float(stripped)) if stripped else None


def expected(row: tuple[Any, ...]) -> tuple[Any, ...]:
    overall, verified, date, seconds = number(row[0]), whole(row[1]), text(row[2]), number(row[3])
    reviewer, product = text(row[4]), text(row[5])
    second = None if seconds is None else math.floor(seconds)
    if second is None:
        try:
            datetime.strptime(f"{date} +0000", "%m %d, %Y %z")
        except ValueError:
            raise UnusableError from None
    elif not -62_135_596_800 <= second <= 253_402_300_799:
        raise UnusableError
    return (
        overall,
        verified,
        date,
        second,
        reviewer,
        product,
    )


@settings(max_examples=8, deadline=None)
@given(ROWS)
def test_every_row_is_kept_or_rejected(rows: list[tuple[Any, ...]]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "reviews.db"
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"CREATE TABLE reviews ({', '.join(NAMES)})")
            connection.executemany("INSERT INTO reviews VALUES (?, ?, ?, ?, ?, ?)", rows)
            connection.commit()
        lake = Lake(Path(folder) / "lake", Path(folder) / "tmp", 10**9)

        load_sql(lake, REVIEWS_SOURCE, f"sqlite:///{path}", True)

        good, bad = Counter[Any](), []
        for position, row in enumerate(rows, start=1):
            try:
                good[expected(row)] += 1
            except UnusableError:
                bad.append(position)
        names = ", ".join(f'"{name}"' for name in NAMES)
        assert Counter(stored(lake, names)) == good
        unique = {tuple(map(repr, rows[position - 1])) for position in bad}
        assert len(rejected(lake)) == len(unique)
