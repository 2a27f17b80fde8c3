"""The mean votes per post per week, worked out by hand and by a model."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse_assets_tests.defs.forum import model
from warehouse_assets_tests.defs.forum.answers import answer, answers

MEAN = "mean_votes_per_post_per_week"


# posts; votes: post and moment; rows: week, votes, posts voted on, mean, posts there are, mean
CASES: dict[str, tuple[list[str], list[tuple[int, str]], list[tuple[str, Any, Any, Any, Any, Any]]]]
CASES = {
    "no vote, no week": (["2022-01-03", "2022-02-01"], [], []),
    "votes without posts": (
        [],
        [(1, "2022-01-03"), (1, "2022-01-04"), (2, "2022-01-05")],
        [("2022-01-03", 3, 2, 1.5, 0, None)],
    ),
    # A Sunday's last moment is in the week; the Monday after is not.
    "a post is there from the end of its week": (
        ["2022-01-09T23:59:59.999", "2022-01-10T00:00:00"],
        [(1, "2022-01-03"), (1, "2022-01-03"), (1, "2022-01-10")],
        [("2022-01-03", 2, 1, 2.0, 1, 2.0), ("2022-01-10", 1, 1, 1.0, 2, 0.5)],
    ),
    "posts older than the first vote and younger than the last, a week without votes": (
        ["2010-05-05", "2021-12-01", "2022-01-20", "2022-03-01"],
        [(1, "2022-01-10"), (1, "2022-01-24")],
        [
            ("2022-01-10", 1, 1, 1.0, 2, 0.5),
            ("2022-01-17", 0, 0, None, 3, 0.0),
            ("2022-01-24", 1, 1, 1.0, 3, pytest.approx(1 / 3)),
        ],
    ),
    "no mean before the first post": (
        ["2022-01-17"],
        [(1, "2022-01-03"), (1, "2022-01-17")],
        [
            ("2022-01-03", 1, 1, 1.0, 0, None),
            ("2022-01-10", 0, 0, None, 0, None),
            ("2022-01-17", 1, 1, 1.0, 1, 1.0),
        ],
    ),
    "over New Year": (
        [],
        [(1, "2021-12-31"), (2, "2022-01-01"), (1, "2022-01-03")],
        [("2021-12-27", 2, 2, 1.0, 0, None), ("2022-01-03", 1, 1, 1.0, 0, None)],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_weeks_by_hand(case: str) -> None:
    posts, votes, rows = CASES[case]
    assert [(str(week), *values) for week, *values in answer(MEAN, posts, votes)] == rows


def test_votes_decades_apart_have_every_week_between() -> None:
    rows = answer(MEAN, votes=[(1, "1970-01-05"), (1, "2022-01-03")])
    # From 1970-01-05 to 2022-01-03 there are 18,991 days, which are 2,713 weeks.
    assert len(rows) == 2714
    assert sum(row[1] for row in rows) == 2


moments = st.datetimes(datetime.fromisoformat("2021-11-20"), datetime.fromisoformat("2022-02-20"))


@settings(max_examples=12, deadline=None, database=None, derandomize=True)
@given(
    posts=st.lists(moments, max_size=8),
    votes=st.lists(st.tuples(st.integers(1, 4), moments), max_size=15),
)
def test_both_tables_are_those_of_the_model(
    posts: Sequence[datetime], votes: Sequence[tuple[int, datetime]]
) -> None:
    mean, per_week = answers([MEAN, "votes_per_post_per_week"], posts, votes)
    assert mean == model.mean_votes_per_post_per_week(posts, votes)
    assert sorted(per_week) == model.votes_per_post_per_week(votes)
