"""The assets of the reviews family."""

from pathlib import Path

from warehouse_assets.graph.assets import sql_asset
from warehouse_assets.graph.sql_sources import sql_source_asset
from warehouse_assets.reviews.source import REVIEWS_SOURCE
from warehouse_assets.reviews.tables import PRODUCT_REVIEWS_DAILY, REVIEWER_REVIEWS_DAILY, REVIEWS

GROUP = "reviews"
_SQL = Path(__file__).parent / "sql"

reviews = sql_source_asset(REVIEWS_SOURCE, GROUP)
product_reviews_daily = sql_asset(PRODUCT_REVIEWS_DAILY, [REVIEWS], GROUP, _SQL)
reviewer_reviews_daily = sql_asset(REVIEWER_REVIEWS_DAILY, [REVIEWS], GROUP, _SQL)

ASSETS = (reviews, product_reviews_daily, reviewer_reviews_daily)
