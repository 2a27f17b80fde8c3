"""The assets of the forum family."""

from pathlib import Path

from warehouse_assets.forum.files import POSTS_FILES, VOTES_FILES
from warehouse_assets.forum.tables import (
    MEAN_VOTES_PER_POST_PER_WEEK,
    OUTLIER_WEEKS,
    POSTS,
    VOTES,
    VOTES_PER_POST_PER_WEEK,
)
from warehouse_assets.graph.assets import file_asset, sql_asset

GROUP = "forum"
_SQL = Path(__file__).parent / "sql"

posts = file_asset(POSTS_FILES, GROUP, "json")
votes = file_asset(VOTES_FILES, GROUP, "json")
votes_per_post_per_week = sql_asset(
    VOTES_PER_POST_PER_WEEK, [VOTES], GROUP, _SQL, computed_per="post_id"
)
mean_votes_per_post_per_week = sql_asset(
    MEAN_VOTES_PER_POST_PER_WEEK, [POSTS, VOTES_PER_POST_PER_WEEK], GROUP, _SQL
)
outlier_weeks = sql_asset(OUTLIER_WEEKS, [VOTES], GROUP, _SQL)

ASSETS = (posts, votes, votes_per_post_per_week, mean_votes_per_post_per_week, outlier_weeks)
