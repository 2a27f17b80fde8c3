"""Catching `reviews` up with their database: which of its rows can be used, and as what."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from warehouse_assets.lake import Lake
from warehouse_assets.progress import Listener, nobody
from warehouse_assets.reviews.tables import REVIEWS
from warehouse_assets.sources.json_fields import field_columns
from warehouse_assets.sources.keyed import CaughtUp
from warehouse_assets.sources.sql_columns import Wanted
from warehouse_assets.sources.sql_snapshot import Snapshot, catch_up_snapshot
from warehouse_assets.sources.sql_spool import PROBLEM, TEXTS
from warehouse_assets.sources.sql_table import POSITION, sql_table

SETTING = "REVIEWS_URL"

_FIELDS = [str(column.info["field"]) for column in field_columns(REVIEWS)]
_WANTED = Wanted(
    "reviews",
    _FIELDS,
    [["overall"], ["reviewerID"], ["productID"], ["unixReviewTime", "reviewTime"]],
)
_WHOLE_NUMBERS = ("level_0", "index", "verified")
# Seconds since 1970 of the first and after the last day that has a date of four digits.
_YEAR_1, _YEAR_10000 = -62_135_596_800, 253_402_300_800


def catch_up_reviews(
    lake: Lake,
    url: str,
    is_given: bool,
    tell: Callable[[str], object],
    progress: Listener = nobody,
) -> CaughtUp:
    """Make the reviews of the lake those of the database at `url`, an SQLAlchemy URL.

    A review that is no longer there goes, one that was changed is another one. A source that
    looks as it did when it was read last is not read.

    Args:
        is_given: whether it must be there.
        tell: told in words what is worth knowing meanwhile.
        progress: told how many rows have been read.

    Raises:
        SourceError: the database is not there though given, or not what it should be.
        BusyError: it could not be read now.
    """
    snapshot = Snapshot(REVIEWS, _WANTED, _JUDGED, "content_hash", "occurrence")
    return catch_up_snapshot(lake, snapshot, url, SETTING, is_given, tell, progress)


def glance_at_reviews(url: str) -> str | None:
    """What changes, at once or soon, when the reviews do; None if there are none to look at now.

    Raises:
        SourceError: the database cannot be read, or is not what it should be.
        BusyError: it could not be read now.
    """
    with closing(sql_table(url, SETTING, _WANTED, Path(), str)) as source:
        return source.glance()


def _given(name: str) -> str:
    """The text of a number; an empty one is none."""
    return f"""nullif(trim("{name}"), '')"""


def _whole(name: str) -> str:
    """The text as a whole number, also where it has been through a floating one; else null."""
    text = f"_{name}"
    return (
        f"CASE WHEN TRY_CAST({text} AS DOUBLE) = trunc(TRY_CAST({text} AS DOUBLE)) "
        f"THEN TRY_CAST({text} AS BIGINT) END"
    )


def _hash() -> str:
    """64 bits of the MD5 of all values, each after its length, so that none runs into another."""
    values = ", ".join(
        f"""coalesce(strlen("{name}"::VARCHAR) || ':' || "{name}", '-')""" for name in _FIELDS
    )
    return f"(md5_number_lower(concat({values}))::HUGEINT - 9223372036854775808)::BIGINT"


_TEXT_FIELDS = [name for name in _FIELDS if name not in {*_WHOLE_NUMBERS, "overall"}]
_TEXT_FIELDS.remove("unixReviewTime")

_JUDGED = f"""
WITH given AS (
    SELECT {POSITION}, {PROBLEM} AS _text_problem,
        {", ".join(f'"{name}"' for name in _TEXT_FIELDS)},
        {_given("level_0")} AS _level_0,
        {_given("index")} AS _index,
        CASE lower({_given("verified")}) WHEN 'true' THEN '1' WHEN 'false' THEN '0'
            ELSE {_given("verified")} END AS _verified,
        {_given("overall")} AS _overall,
        {_given("unixReviewTime")} AS _unix,
        TRY_CAST({_given("unixReviewTime")} AS DOUBLE) AS _seconds,
        try_strptime("reviewTime", '%m %d, %Y') AS _day
    FROM {TEXTS}
), typed AS (
    SELECT *,
        {_whole("level_0")} AS level_0,
        {_whole("index")} AS "index",
        {_whole("verified")} AS verified,
        TRY_CAST(_overall AS DOUBLE) AS overall,
        CASE WHEN _seconds >= {_YEAR_1} AND _seconds < {_YEAR_10000}
            THEN CAST(floor(_seconds) AS BIGINT) END AS "unixReviewTime"
    FROM given
), judged AS (
    SELECT *,
        coalesce(
            make_timestamp("unixReviewTime" * 1000000),
            CASE WHEN _day >= TIMESTAMP '0001-01-01' THEN _day END
        ) AS reviewed_at,
        CASE
            WHEN _text_problem IS NOT NULL THEN _text_problem
            WHEN _overall IS NOT NULL AND NOT coalesce(isfinite(overall), false)
                THEN 'overall is not a number'
            WHEN _verified IS NOT NULL AND verified IS NULL
                THEN 'verified is not a whole number'
            WHEN _level_0 IS NOT NULL AND level_0 IS NULL THEN 'level_0 is not a whole number'
            WHEN _index IS NOT NULL AND "index" IS NULL THEN 'index is not a whole number'
            WHEN _unix IS NOT NULL AND (_seconds IS NULL OR isnan(_seconds))
                THEN 'unixReviewTime is not a number'
            WHEN _unix IS NOT NULL AND "unixReviewTime" IS NULL
                THEN 'unixReviewTime is not in the years 1 to 9999'
            WHEN _unix IS NULL AND _day < TIMESTAMP '0001-01-01'
                THEN 'reviewTime is not in the years 1 to 9999'
            WHEN _unix IS NULL AND _day IS NULL AND nullif(trim("reviewTime"), '') IS NOT NULL
                THEN 'there is no unixReviewTime, and reviewTime is not MM D, YYYY'
            WHEN _unix IS NULL AND _day IS NULL
                THEN 'there is neither unixReviewTime nor reviewTime'
        END AS {PROBLEM}
    FROM typed
)
SELECT *, CASE WHEN {PROBLEM} IS NULL THEN {_hash()} END AS content_hash FROM judged
"""
