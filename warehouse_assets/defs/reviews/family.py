"""Reviews: what people thought of products, in a database of the shop."""

from pathlib import Path

from sqlalchemy import Table, Text

from warehouse_assets.defs.reviews.tables import (
    PRODUCT_REVIEWS_DAILY,
    REVIEWER_REVIEWS_DAILY,
    REVIEWS,
    REVIEWS_PER_MONTH,
    STARS,
)
from warehouse_assets.ingest.sql_source import SqlSource
from warehouse_assets.ingest.validate import Rule, Validator, text
from warehouse_assets.orchestration.assets import sql_asset, sql_source_asset
from warehouse_assets.orchestration.checks import Check
from warehouse_assets.orchestration.families import Family
from warehouse_assets.orchestration.standard_checks import (
    adds_up,
    no_rows,
    times_are_plausible,
    values_are_plausible,
)
from warehouse_assets.times import is_blank

_FIELDS = [column.name for column in REVIEWS.columns if "field" in column.info]
_TEXTS = [name for name in _FIELDS if isinstance(REVIEWS.c[name].type, Text)]
# Seconds since 1970 of the first and after the last day that has a date of four digits.
_YEAR_1, _YEAR_10000 = -62_135_596_800, 253_402_300_800

_UNIX, _WRITTEN = text("unixReviewTime"), text("reviewTime")
_SECONDS = f"TRY_CAST({_UNIX} AS DOUBLE)"
_DAY = f"try_strptime({_WRITTEN}, '%m %d, %Y')"

# 64 bits of the MD5 of all values, each after its length, so that none runs into another.
_VALUES = ", ".join(
    f"""coalesce(strlen("{name}"::VARCHAR) || ':' || "{name}", '-')""" for name in _FIELDS
)
_HASH = f"(md5_number_lower(concat({_VALUES}))::HUGEINT - 9223372036854775808)::BIGINT"

_RULES = [
    *(
        Rule(
            f"contains({text(name)}, chr(0))",
            f"{name} has the character NUL, which PostgreSQL cannot hold",
        )
        for name in _TEXTS
    ),
    *(
        # Only where there is no time these are looked at: what they cost is then of no account.
        Rule(f'CASE WHEN "unixReviewTime" IS NULL THEN {is_broken} ELSE false END', reason, seen)
        for is_broken, reason, seen in (
            (
                f"NOT {is_blank(_UNIX)} AND coalesce(isnan({_SECONDS}), true)",
                "unixReviewTime is not a number",
                _UNIX,
            ),
            (
                f"NOT coalesce(isnan({_SECONDS}), true)",
                "unixReviewTime is not in the years 1 to 9999",
                _UNIX,
            ),
            (
                f"{is_blank(_UNIX)} AND {_DAY} < TIMESTAMP '0001-01-01'",
                "reviewTime is not in the years 1 to 9999",
                _WRITTEN,
            ),
            (
                f"{is_blank(_UNIX)} AND {_DAY} IS NULL AND NOT {is_blank(_WRITTEN)}",
                "there is no unixReviewTime, and reviewTime is not MM D, YYYY",
                _WRITTEN,
            ),
            (
                f"{is_blank(_UNIX)} AND {is_blank(_WRITTEN)}",
                "there is neither unixReviewTime nor reviewTime",
                None,
            ),
        )
    ),
]

REVIEWS_SOURCE = SqlSource(
    Validator(
        REVIEWS,
        values={
            "unixReviewTime": f"CASE WHEN {_SECONDS} >= {_YEAR_1} AND {_SECONDS} < {_YEAR_10000} "
            f"THEN floor({_SECONDS}) END",
            "reviewed_at": 'coalesce(make_timestamp("unixReviewTime" * 1000000), '
            f"CASE WHEN {_DAY} >= TIMESTAMP '0001-01-01' THEN {_DAY} END)",
            "content_hash": _HASH,
        },
        rules=_RULES,
        more_fields=["unixReviewTime"],
    ),
    "REVIEWS_URL",
    lambda settings: settings.reviews_url,
    required=[["overall"], ["reviewerID"], ["productID"], ["unixReviewTime", "reviewTime"]],
)


_STARS = " + ".join(f"stars_{n}" for n in STARS)


def _values_are_plausible(table: Table) -> Check:
    return values_are_plausible(
        table,
        "reviews is 1 or more; none of its parts is greater or negative, nor the stars together.",
        f"""reviews < 1 OR rated_reviews NOT BETWEEN 0 AND reviews
            OR verified_reviews NOT BETWEEN 0 AND reviews OR {_STARS} > rated_reviews""",
    )


CHECKS: dict[Table, list[Check]] = {
    REVIEWS: [
        no_rows(
            "ratings_are_possible",
            "overall is from 1 to 5, and verified is 0 or 1.",
            """SELECT overall, verified, "reviewerID", "productID", reviewed_at FROM reviews
            WHERE overall NOT BETWEEN 1 AND 5 OR verified NOT IN (0, 1)""",
            is_warning=True,
        ),
        no_rows(
            "dates_agree",
            "reviewTime, where it is given, is the day of unixReviewTime in UTC.",
            """SELECT "reviewTime", "unixReviewTime", "reviewerID", "productID" FROM reviews
            WHERE "unixReviewTime" IS NOT NULL AND trim("reviewTime") <> ''
                AND CAST(try_strptime("reviewTime", '%m %d, %Y') AS DATE)
                    IS DISTINCT FROM CAST(reviewed_at AS DATE)""",
            is_warning=True,
        ),
        times_are_plausible(REVIEWS.c.reviewed_at, 1990, 'reviewed_at, "reviewerID", "productID"'),
        no_rows(
            "reviews_are_different",
            "No review is there twice, the same in all that the source says of it.",
            """SELECT "reviewerID", "productID", reviewed_at, summary, occurrence FROM reviews
            WHERE occurrence > 1""",
            is_warning=True,
        ),
        no_rows(
            "ids_are_given",
            "Every review has a reviewerID and a productID.",
            """SELECT "reviewerID", "productID", overall, reviewed_at FROM reviews
            WHERE coalesce("reviewerID", '') = '' OR coalesce("productID", '') = ''""",
            is_warning=True,
        ),
    ],
    PRODUCT_REVIEWS_DAILY: [
        _values_are_plausible(PRODUCT_REVIEWS_DAILY),
        adds_up(PRODUCT_REVIEWS_DAILY.c.reviews, REVIEWS),
    ],
    REVIEWER_REVIEWS_DAILY: [
        _values_are_plausible(REVIEWER_REVIEWS_DAILY),
        adds_up(REVIEWER_REVIEWS_DAILY.c.reviews, REVIEWS),
    ],
    REVIEWS_PER_MONTH: [
        values_are_plausible(
            REVIEWS_PER_MONTH,
            "reviews is 1 or more; its parts are not more, nor negative.",
            f"""reviews < 1 OR rated_reviews NOT BETWEEN 0 AND reviews
            OR {_STARS} > rated_reviews""",
        ),
        adds_up(REVIEWS_PER_MONTH.c.reviews, REVIEWS),
    ],
}


_SQL = Path(__file__).parent / "sql"

FAMILY = Family(
    "reviews",
    [
        sql_source_asset(REVIEWS_SOURCE),
        sql_asset(PRODUCT_REVIEWS_DAILY, [REVIEWS], _SQL, is_of_week=True),
        sql_asset(REVIEWER_REVIEWS_DAILY, [REVIEWS], _SQL, is_of_week=True),
        sql_asset(REVIEWS_PER_MONTH, [PRODUCT_REVIEWS_DAILY], _SQL),
    ],
    CHECKS,
)
