"""The database of reviews: which of its rows can be used, and as what."""

from warehouse_assets.ingest.sql_reader import POSITION, PROBLEM, SqlSource
from warehouse_assets.ingest.sql_staging import TEXTS, VALUE
from warehouse_assets.reviews.tables import REVIEWS
from warehouse_assets.sources.json_fields import field_columns, shown_expression

_FIELDS = [str(column.info["field"]) for column in field_columns(REVIEWS)]
_WHOLE_NUMBERS = ("level_0", "index", "verified")
# Seconds since 1970 of the first and after the last day that has a date of four digits.
_YEAR_1, _YEAR_10000 = -62_135_596_800, 253_402_300_800


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

_NUL_CASES = " ".join(
    f"""WHEN contains("{name}", chr(0))
    THEN ['{name} has the character NUL, which PostgreSQL cannot hold', NULL]"""
    for name in _TEXT_FIELDS
)

_VALIDATED = f"""
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
), validated AS (
    SELECT *,
        coalesce(
            make_timestamp("unixReviewTime" * 1000000),
            CASE WHEN _day >= TIMESTAMP '0001-01-01' THEN _day END
        ) AS reviewed_at,
        CASE
            WHEN _text_problem IS NOT NULL THEN [_text_problem, NULL]
            {_NUL_CASES}
            WHEN _overall IS NOT NULL AND NOT coalesce(isfinite(overall), false)
                THEN ['overall is not a number', _overall]
            WHEN _verified IS NOT NULL AND verified IS NULL
                THEN ['verified is not a whole number', _verified]
            WHEN _level_0 IS NOT NULL AND level_0 IS NULL
                THEN ['level_0 is not a whole number', _level_0]
            WHEN _index IS NOT NULL AND "index" IS NULL
                THEN ['index is not a whole number', _index]
            WHEN _unix IS NOT NULL AND (_seconds IS NULL OR isnan(_seconds))
                THEN ['unixReviewTime is not a number', _unix]
            WHEN _unix IS NOT NULL AND "unixReviewTime" IS NULL
                THEN ['unixReviewTime is not in the years 1 to 9999', _unix]
            WHEN _unix IS NULL AND _day < TIMESTAMP '0001-01-01'
                THEN ['reviewTime is not in the years 1 to 9999', "reviewTime"]
            WHEN _unix IS NULL AND _day IS NULL AND nullif(trim("reviewTime"), '') IS NOT NULL
                THEN ['there is no unixReviewTime, and reviewTime is not MM D, YYYY', "reviewTime"]
            WHEN _unix IS NULL AND _day IS NULL
                THEN ['there is neither unixReviewTime nor reviewTime', NULL]
        END AS _fault
    FROM typed
)
SELECT *, _fault[1] AS {PROBLEM}, {shown_expression("_fault[2]")} AS {VALUE},
    CASE WHEN _fault IS NULL THEN {_hash()} END AS content_hash
FROM validated
"""

REVIEWS_SOURCE = SqlSource(
    REVIEWS,
    "REVIEWS_URL",
    lambda settings: settings.reviews_url,
    required=[["overall"], ["reviewerID"], ["productID"], ["unixReviewTime", "reviewTime"]],
    validated=_VALIDATED,
)
