"""The forum's three answers in plain Python, worked out a second time from posts and votes."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any

Row = tuple[Any, ...]
Vote = tuple[int, datetime]
"""The post voted on, and when."""


def monday(moment: datetime) -> date:
    """The Monday of the week of a time."""
    return moment.date() - timedelta(days=moment.weekday())


def votes_per_post_per_week(votes: Collection[Vote]) -> list[Row]:
    """Post, week and votes."""
    counts = Counter((post, monday(moment)) for post, moment in votes)
    return sorted((post, week, count) for (post, week), count in counts.items())


def mean_votes_per_post_per_week(posts: Collection[datetime], votes: Collection[Vote]) -> list[Row]:
    """Every week from the first vote to the last, with both means."""
    if not votes:
        return []
    per_week: Mapping[date, Counter[int]] = defaultdict(Counter)
    for post, moment in votes:
        per_week[monday(moment)][post] += 1
    rows: list[Row] = []
    week, last = min(per_week), max(per_week)
    while week <= last:
        counts = per_week.get(week, Counter())
        total, voted_on = sum(counts.values()), len(counts)
        existing = sum(1 for moment in posts if moment.date() < week + timedelta(days=7))
        rows.append(
            (
                week,
                total,
                voted_on,
                total / voted_on if voted_on else None,
                existing,
                total / existing if existing else None,
            )
        )
        week += timedelta(days=7)
    return rows


def outlier_weeks(moments: Collection[datetime], threshold: Fraction = Fraction(1, 5)) -> list[Row]:
    """Year, week number, votes and Monday of the weeks that far away from the mean."""
    mondays = {m.strftime("%Y %W"): (m - timedelta(days=m.weekday())).date() for m in moments}
    counts = Counter(moment.strftime("%Y %W") for moment in moments)
    if not counts:
        return []
    mean = Fraction(sum(counts.values()), len(counts))
    return sorted(
        (int(week[:4]), int(week[5:]), count, mondays[week])
        for week, count in counts.items()
        if abs(1 - count / mean) > threshold
    )
