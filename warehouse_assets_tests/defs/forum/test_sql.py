"""The weeks of votes and which of them are outliers, worked out by hand and by a model."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse_assets_tests.defs.forum import model
from warehouse_assets_tests.defs.forum.answers import answer, answers

MEAN = "mean_votes_per_post_per_week"


# posts; votes: post and moment; rows: week, votes, posts voted on, mean, posts there are, mean
WEEKS: dict[str, tuple[list[str], list[tuple[int, str]], list[tuple[str, Any, Any, Any, Any, Any]]]]
WEEKS = {
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


@pytest.mark.parametrize("case", WEEKS)
def test_weeks_by_hand(case: str) -> None:
    posts, votes, rows = WEEKS[case]
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


def weekly(counts: Sequence[int]) -> dict[str, int]:
    """Votes on the Mondays from 2022-01-03, which begins week 1, on."""
    first = datetime.fromisoformat("2022-01-03")
    return {str(first + timedelta(weeks=week)): count for week, count in enumerate(counts)}


# votes of each day; outliers: year, week number, votes
OUTLIERS: dict[str, tuple[dict[str, int], list[tuple[int, int, int]]]] = {
    "no votes": ({}, []),
    "one week alone is the mean": ({"2022-01-03": 7}, []),
    # The mean is 10: 13 and 7 differ by 30 %, 11 and 9 by 10 %.
    "above and below": (weekly([10, 13, 11, 9, 7]), [(2022, 2, 13), (2022, 5, 7)]),
    # A week that differs by exactly a fifth is none, of whatever mean.
    "mean 10": (weekly([10, 12, 8, 10]), []),
    "mean 5": (weekly([5, 6, 4]), []),
    "mean 55/3, of which 22 is 6/5": (weekly([22, 16, 17]), []),
    "mean 110/3": (weekly([44, 33, 33]), []),
    "mean 125/3": (weekly([50, 37, 38]), []),
    "mean 55/6": (weekly([11, 9, 9, 9, 9, 8]), []),
    "mean 205/3": (weekly([82, 61, 62]), []),
    "mean 1000": (weekly([1000, 1200, 800]), []),
    "a vote more or less": (weekly([1000, 1201, 799]), [(2022, 2, 1201), (2022, 3, 799)]),
    # Were the 3 weeks between counted, the mean would be 8 and both weeks outliers.
    "weeks without votes do not count": ({"2022-01-03": 20, "2022-01-31": 20}, []),
    # Monday 2021-12-27 is week 52 of 2021; Saturday 2022-01-01 comes before the first Monday.
    # Weeks of 15, 2 and 17; the mean is 34/3.
    "a week over New Year is two": (
        {"2021-12-27": 10, "2021-12-31": 5, "2022-01-01": 1, "2022-01-02": 1, "2022-01-03": 17},
        [(2021, 52, 15), (2022, 0, 2), (2022, 1, 17)],
    ),
    "a year that begins on a Monday": (
        {"2017-12-31": 1, "2018-01-01": 9},
        [(2017, 52, 1), (2018, 1, 9)],
    ),
    "earliest first": (
        {"2022-12-26": 100, "2022-02-28": 1, "2023-01-02": 100, "2021-06-07": 1, "2022-01-10": 1},
        [(2021, 23, 1), (2022, 2, 1), (2022, 9, 1), (2022, 52, 100), (2023, 1, 100)],
    ),
}


@pytest.mark.parametrize("case", OUTLIERS)
def test_outliers_by_hand(case: str) -> None:
    days, rows = OUTLIERS[case]
    votes = [(1, day) for day, count in days.items() for _ in range(count)]
    assert [row[:3] for row in answer("outlier_weeks", votes=votes)] == rows


def test_week_numbers_are_those_of_strftime_on_every_day_around_forty_new_years() -> None:
    days = [
        datetime.fromisoformat(f"{year}-12-20T23:59:59") + timedelta(days=number)
        for year in range(1999, 2039)
        for number in range(25)
    ]
    # Many votes on a day far away put the mean so high that every week is an outlier.
    votes = [(1, day) for day in days] + [(1, datetime.fromisoformat("2100-01-01"))] * 40_000
    expected = model.outlier_weeks([moment for _, moment in votes])
    assert len(expected) == len({day.strftime("%Y %W") for day in days}) + 1
    assert answer("outlier_weeks", votes=votes) == expected


@settings(max_examples=15, deadline=None, database=None, derandomize=True)
@given(
    counts=st.dictionaries(
        st.datetimes(datetime.fromisoformat("2019-12-01"), datetime.fromisoformat("2021-02-01")),
        st.integers(1, 30),
        max_size=8,
    ),
    threshold=st.sampled_from(["0", "0.0001", "0.2", "0.3", "0.3333", "1", "2.5", "100"]),
)
def test_outliers_are_those_of_the_model(counts: Mapping[datetime, int], threshold: str) -> None:
    votes = [(1, moment) for moment, count in counts.items() for _ in range(count)]
    exact = Fraction(threshold)
    expected = model.outlier_weeks([moment for _, moment in votes], exact)
    assert answer("outlier_weeks", votes=votes, threshold=exact) == expected


def test_both_halves_of_a_week_over_new_year_have_its_monday() -> None:
    votes = [(1, f"{day} 10:00:00") for day in ("2021-12-31", "2022-01-01")]
    assert answer("outlier_weeks", votes=[*votes, *[(1, "2022-01-05 10:00:00")] * 9]) == [
        (2021, 52, 1, date(2021, 12, 27)),
        (2022, 0, 1, date(2021, 12, 27)),
        (2022, 1, 9, date(2022, 1, 3)),
    ]
