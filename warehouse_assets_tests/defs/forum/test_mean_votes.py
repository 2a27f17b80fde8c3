"""The mean votes per post per week, worked out by hand and by a model."""

from collections.abc import Sequence
from datetime import date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse_assets_tests.defs.forum import model
from warehouse_assets_tests.defs.forum.answers import answer, answers

MEAN = "mean_votes_per_post_per_week"


def test_without_votes_there_are_no_weeks() -> None:
    assert answer(MEAN) == []
    assert answer(MEAN, posts=["2022-01-03", "2022-02-01"]) == []


def test_votes_without_posts_have_a_mean_over_the_posts_voted_on_only() -> None:
    votes = [(1, "2022-01-03"), (1, "2022-01-04"), (2, "2022-01-05")]
    assert answer(MEAN, votes=votes) == [(date(2022, 1, 3), 3, 2, 1.5, 0, None)]


def test_one_post_with_one_vote() -> None:
    rows = answer(MEAN, posts=["2022-01-05"], votes=[(1, "2022-01-05")])
    assert rows == [(date(2022, 1, 3), 1, 1, 1.0, 1, 1.0)]


def test_posts_exist_from_the_end_of_the_week_in_which_they_were_written() -> None:
    # A Sunday's last moment is in the week; the Monday after is not.
    posts = ["2022-01-09T23:59:59.999", "2022-01-10T00:00:00"]
    votes = [(1, "2022-01-03"), (1, "2022-01-03"), (1, "2022-01-10")]
    assert answer(MEAN, posts, votes) == [
        (date(2022, 1, 3), 2, 1, 2.0, 1, 2.0),
        (date(2022, 1, 10), 1, 1, 1.0, 2, 0.5),
    ]


def test_posts_older_than_the_first_vote_and_younger_than_the_last_are_counted_rightly() -> None:
    posts = ["2010-05-05", "2021-12-01", "2022-01-20", "2022-03-01"]
    votes = [(1, "2022-01-10"), (1, "2022-01-24")]
    assert answer(MEAN, posts, votes) == [
        (date(2022, 1, 10), 1, 1, 1.0, 2, 0.5),
        (date(2022, 1, 17), 0, 0, None, 3, 0.0),
        (date(2022, 1, 24), 1, 1, 1.0, 3, pytest.approx(1 / 3)),
    ]


def test_before_the_first_post_there_is_no_mean_over_posts() -> None:
    rows = answer(MEAN, ["2022-01-17"], [(1, "2022-01-03"), (1, "2022-01-17")])
    assert rows == [
        (date(2022, 1, 3), 1, 1, 1.0, 0, None),
        (date(2022, 1, 10), 0, 0, None, 0, None),
        (date(2022, 1, 17), 1, 1, 1.0, 1, 1.0),
    ]


def test_weeks_run_over_new_year_without_a_break() -> None:
    rows = answer(MEAN, votes=[(1, "2021-12-31"), (2, "2022-01-01"), (1, "2022-01-03")])
    assert [row[:3] for row in rows] == [(date(2021, 12, 27), 2, 2), (date(2022, 1, 3), 1, 1)]


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
