"""The database of reviews, and which of its rows can be used, and as what."""

from sqlalchemy import Text

from warehouse_assets.defs.reviews.tables import REVIEWS
from warehouse_assets.ingest.sql_reader import SqlSource
from warehouse_assets.ingest.validate import Rule, Validator, text
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
