"""Reviews: what people thought of products."""

from pathlib import Path

from warehouse_assets.defs.reviews.checks import CHECKS
from warehouse_assets.defs.reviews.source import REVIEWS_SOURCE
from warehouse_assets.defs.reviews.tables import (
    PRODUCT_REVIEWS_DAILY,
    REVIEWER_REVIEWS_DAILY,
    REVIEWS,
)
from warehouse_assets.orchestration.assets import sql_asset, sql_source_asset
from warehouse_assets.orchestration.families import Family

_SQL = Path(__file__).parent / "sql"

FAMILY = Family(
    "reviews",
    [
        sql_source_asset(REVIEWS_SOURCE),
        sql_asset(PRODUCT_REVIEWS_DAILY, [REVIEWS], _SQL),
        sql_asset(REVIEWER_REVIEWS_DAILY, [REVIEWS], _SQL),
    ],
    CHECKS,
)
