"""The transformations are SQL that DuckDB and Spark both accept."""

from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

import warehouse_assets

FILES = sorted(Path(warehouse_assets.__file__).parent.glob("defs/*/sql/*.sql"))


@pytest.mark.parametrize("dialect", ["duckdb", "spark"])
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_file_is_one_select_in_either_dialect(file: Path, dialect: str) -> None:
    (statement,) = sqlglot.parse(
        file.read_text(encoding="utf-8"), read=dialect, error_level=sqlglot.ErrorLevel.RAISE
    )
    assert isinstance(statement, exp.Select)
    unknown = [call.name for call in statement.find_all(exp.Anonymous)]
    assert unknown == []


def test_there_is_a_file_for_every_computed_table() -> None:
    assert [f"{file.parents[1].name}/{file.stem}" for file in FILES] == [
        "deliveries/delivery_durations",
        "forum/mean_votes_per_post_per_week",
        "forum/outlier_weeks",
        "forum/votes_per_post_per_week",
        "reviews/product_reviews_daily",
        "reviews/reviewer_reviews_daily",
        "school/batch_completions",
        "school/lesson_completions",
        "school/lesson_titles",
        "school/lessons",
        "trips/daily_trips",
        "trips/trip_groups",
        "trips/weekly_trips",
    ]
