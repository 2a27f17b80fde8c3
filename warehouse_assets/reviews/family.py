"""Reviews: what people thought of products."""

from pathlib import Path

from warehouse_assets.graph.assets import sql_asset
from warehouse_assets.graph.families import Family
from warehouse_assets.graph.sql_sources import sql_source_asset, sql_source_sensor
from warehouse_assets.reviews.checks import CHECKS
from warehouse_assets.reviews.source import REVIEWS_SOURCE
from warehouse_assets.reviews.tables import PRODUCT_REVIEWS_DAILY, REVIEWER_REVIEWS_DAILY, REVIEWS

_SQL = Path(__file__).parent / "sql"

FAMILY = Family(
    "reviews",
    [
        *sql_source_asset(REVIEWS_SOURCE),
        sql_asset(PRODUCT_REVIEWS_DAILY, [REVIEWS], _SQL),
        sql_asset(REVIEWER_REVIEWS_DAILY, [REVIEWS], _SQL),
    ],
    CHECKS,
    sensors=[lambda target: sql_source_sensor(REVIEWS_SOURCE, target)],
)
