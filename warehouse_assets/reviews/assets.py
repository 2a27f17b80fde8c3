"""The assets of the reviews family."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from warehouse_assets.graph.assets import source_asset, sql_asset
from warehouse_assets.graph.metadata import unknown_metadata
from warehouse_assets.graph.step import Step
from warehouse_assets.lake import Written
from warehouse_assets.reviews.source import SETTING, catch_up_reviews
from warehouse_assets.reviews.tables import PRODUCT_REVIEWS_DAILY, REVIEWER_REVIEWS_DAILY, REVIEWS

GROUP = "reviews"
_SQL = Path(__file__).parent / "sql"


def _take_reviews(step: Step) -> tuple[Written, Mapping[str, Any]]:
    url, is_given = step.settings.reviews_url, SETTING in step.settings.given
    caught_up = catch_up_reviews(step.lake, url, is_given, step.tell, step.progress)
    return caught_up.written, {
        "is_source_missing": caught_up.is_missing,
        "is_source_unchanged": caught_up.is_unchanged_source,
        "records_taken": caught_up.records,
        "records_rejected": caught_up.rejected,
        "bytes_read": caught_up.bytes_read,
        **unknown_metadata(caught_up.unknown_fields),
    }


reviews = source_asset(REVIEWS, GROUP, ["sql"], _take_reviews)
product_reviews_daily = sql_asset(PRODUCT_REVIEWS_DAILY, [REVIEWS], GROUP, _SQL)
reviewer_reviews_daily = sql_asset(REVIEWER_REVIEWS_DAILY, [REVIEWS], GROUP, _SQL)

ASSETS = (reviews, product_reviews_daily, reviewer_reviews_daily)
