"""Which weeks are outliers, and what their numbers are."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse_assets_tests.defs.forum import model
from warehouse_assets_tests.defs.forum.answers import answer


def outliers(days: Mapping[str, int]) -> list[tuple[int, int, int]]:
    """The outlier weeks of votes of which so many were cast on each day."""
    votes = [(1, day) for day, count in days.items() for _ in range(count)]
    return [(year, number, count) for year, number, count in answer("outlier_weeks", votes=votes)]


def weekly(counts: Sequence[int]) -> dict[str, int]:
    """Votes on the Mondays from 2022-01-03, which begins week 1, on."""
    first = datetime.fromisoformat("2022-01-03")
    return {str(first + timedelta(weeks=week)): count for week, count in enumerate(counts)}


def test_without_votes_no_week_is_an_outlier() -> None:
    assert outliers({}) == []


def test_one_week_alone_is_the_mean() -> None:
    assert outliers({"2022-01-03": 7}) == []


def test_weeks_are_above_or_below_the_mean_by_more_than_a_fifth() -> None:
    # The mean is 10: 13 and 7 differ by 30 %, 11 and 9 by 10 %.
    assert outliers(weekly([10, 13, 11, 9, 7])) == [(2022, 2, 13), (2022, 5, 7)]


@pytest.mark.parametrize(
    "counts",
    [
        (10, 12, 8, 10),  # mean 10
        (5, 6, 4),  # mean 5
        (100, 120, 80),  # mean 100
        (22, 16, 17),  # mean 55/3, of which 22 is 6/5
        (44, 33, 33),  # mean 110/3
        (50, 37, 38),  # mean 125/3
        (11, 9, 9, 9, 9, 8),  # mean 55/6
        (82, 61, 62),  # mean 205/3
    ],
)
def test_a_week_that_differs_by_exactly_a_fifth_is_not_an_outlier(counts: Sequence[int]) -> None:
    assert outliers(weekly(counts)) == []


def test_a_vote_more_or_less_than_a_fifth_decides() -> None:
    # Means 1000: 1200 is a fifth above, 1201 is more; 800 is a fifth below, 799 is more.
    assert outliers(weekly([1000, 1200, 800])) == []
    assert outliers(weekly([1000, 1201, 799])) == [(2022, 2, 1201), (2022, 3, 799)]


def test_weeks_without_votes_do_not_lower_the_mean() -> None:
    # Were the 3 weeks between counted, the mean would be 8 and both weeks outliers.
    assert outliers({"2022-01-03": 20, "2022-01-31": 20}) == []


def test_a_week_over_new_year_is_two() -> None:
    # Monday 2021-12-27 is week 52 of 2021; Saturday 2022-01-01 comes before the first Monday.
    days = {"2021-12-27": 10, "2021-12-31": 5, "2022-01-01": 1, "2022-01-02": 1, "2022-01-03": 17}
    # Weeks of 15, 2 and 17; the mean is 34/3.
    assert outliers(days) == [(2021, 52, 15), (2022, 0, 2), (2022, 1, 17)]


def test_in_a_year_that_begins_on_a_monday_week_1_begins_with_it() -> None:
    assert outliers({"2017-12-31": 1, "2018-01-01": 9}) == [(2017, 52, 1), (2018, 1, 9)]


def test_weeks_come_earliest_first() -> None:
    days = {"2022-12-26": 100, "2022-02-28": 1, "2023-01-02": 100, "2021-06-07": 1, "2022-01-10": 1}
    assert outliers(days) == [
        (2021, 23, 1),
        (2022, 2, 1),
        (2022, 9, 1),
        (2022, 52, 100),
        (2023, 1, 100),
    ]


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
    )
)
def test_outliers_are_those_of_the_model(counts: Mapping[datetime, int]) -> None:
    votes = [(1, moment) for moment, count in counts.items() for _ in range(count)]
    expected = model.outlier_weeks([moment for _, moment in votes])
    assert answer("outlier_weeks", votes=votes) == expected
