"""The forum: posts and votes."""

from pathlib import Path

from warehouse_assets.defs.forum.checks import CHECKS
from warehouse_assets.defs.forum.files import POSTS_FILES, UNRECOGNISED_FILES, VOTES_FILES
from warehouse_assets.defs.forum.tables import (
    MEAN_VOTES_PER_POST_PER_WEEK,
    OUTLIER_WEEKS,
    POSTS,
    VOTES,
    VOTES_PER_POST_PER_WEEK,
)
from warehouse_assets.orchestration.assets import file_asset, sql_asset
from warehouse_assets.orchestration.families import Family

_SQL = Path(__file__).parent / "sql"

FAMILY = Family(
    "forum",
    [
        file_asset(POSTS_FILES, "json"),
        file_asset(VOTES_FILES, "json"),
        sql_asset(VOTES_PER_POST_PER_WEEK, [VOTES], _SQL, computed_per="post_id"),
        sql_asset(MEAN_VOTES_PER_POST_PER_WEEK, [POSTS, VOTES_PER_POST_PER_WEEK], _SQL),
        sql_asset(OUTLIER_WEEKS, [VOTES], _SQL),
    ],
    CHECKS,
    other_files=[UNRECOGNISED_FILES],
)
