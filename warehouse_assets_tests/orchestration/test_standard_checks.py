"""Every check passes on good rows, and fails on rows made bad for it or above its limit."""

import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from warehouse_assets.orchestration import standard_checks
from warehouse_assets_tests.house import House, vote
from warehouse_assets_tests.ingest.deliveries import take
from warehouse_assets_tests.orchestration.lake_rows import Row, add_rows
from warehouse_assets_tests.orchestration.prepared import Homes, begin_with
from warehouse_assets_tests.orchestration.runs import (
    checks_definition,
    failed,
    results_of,
)

NOW = datetime.now(timezone.utc).replace(tzinfo=None)
DAY = "2022-01-04 10:00:00"
MONDAY, NEXT_MONDAY, TUESDAY = "2022-01-03", "2022-01-10", "2022-01-04"
ARRIVED = {"arrival": 1}
COUNTS = ("view", "answer", "comment", "favorite")


def _post(number: int | None, created: Any = DAY, **more: Any) -> Row:
    return {"id": number, "creation_date": created, **ARRIVED, **more}


def _vote(number: int | None, post: int | None, created: Any = DAY) -> Row:
    return {"id": number, "post_id": post, "creation_date": created, **ARRIVED}


def _week(day: str | None, votes: int | None, voted: int | None, existing: int | None) -> Row:
    return {
        "week_start": day,
        "votes": votes,
        "posts_voted_on": voted,
        "posts_existing": existing,
    }


def _votes(post: int, week: str, votes: int) -> Row:
    return {"post_id": post, "week_start": week, "votes": votes}


def _outlier(week: int, votes: int = 1) -> Row:
    return {"year": 2021, "week_number": week, "votes": votes}


def _rejected(unit: str | None, position: int, reason: str | None = "not valid JSON") -> Row:
    # Of a table whose share of rejected records no check here looks at.
    row = {"source": "batches", "unit": unit, "position": position, "reason": reason, "raw": "{"}
    return {**row, "rejected_at": DAY}


GOOD: dict[str, list[Row]] = {
    "posts": [
        _post(1, "2008-01-01", view_count=0, answer_count=0, comment_count=0, favorite_count=0),
        _post(2, NOW + timedelta(hours=23), parent_id=1),
    ],
    "votes": [_vote(1, 1), _vote(2, 2, "2008-01-01"), _vote(3, 1, NOW + timedelta(hours=23))],
    "votes_per_post_per_week": [
        _votes(1, MONDAY, 1),
        _votes(1, NEXT_MONDAY, 1),
        _votes(2, MONDAY, 1),
    ],
    "mean_votes_per_post_per_week": [_week(MONDAY, 2, 2, 2), _week(NEXT_MONDAY, 0, 0, 0)],
    "outlier_weeks": [_outlier(0), _outlier(53, 9)],
    "rejected_records": [_rejected("a", 1), _rejected("a", 2), _rejected("b", 1)],
}

PER_WEEK, MEAN = "votes_per_post_per_week", "mean_votes_per_post_per_week"

# What a declaration promises is the same check of every table: a few stand for all.
# table, what is added to the good rows, the check that counts the violations, how many, and
# other checks that see something wrong with the same rows
BAD: list[tuple[str, list[Row], str, int, set[str]]] = [
    ("posts", [_post(1), _post(1), _post(2)], "key_is_unique", 2, set()),
    ("posts", [_post(3, None), _post(None)], "required_columns_are_filled", 2, set()),
    (
        "posts",
        [_post(3, "2007-12-31 23:59:59"), _post(4, NOW + timedelta(hours=25))],
        "dates_are_plausible",
        2,
        set(),
    ),
    ("posts", [_post(3, parent_id=2), _post(4, parent_id=9)], "answers_have_questions", 1, set()),
    (
        "posts",
        [_post(3 + n, **{f"{name}_count": -1}) for n, name in enumerate(COUNTS)],
        "counts_are_not_negative",
        4,
        set(),
    ),
    ("votes", [_vote(4, None)], "required_columns_are_filled", 1, {"posts_are_known"}),
    ("votes", [_vote(4, 7), _vote(5, 8)], "posts_are_known", 2, set()),
    (PER_WEEK, [_votes(1, MONDAY, 1)], "key_is_unique", 1, {"votes_add_up"}),
    (PER_WEEK, [_votes(3, MONDAY, 0)], "values_are_plausible", 1, set()),
    (PER_WEEK, [_votes(3, TUESDAY, 1)], "values_are_plausible", 1, {"votes_add_up"}),
    (PER_WEEK, [_votes(3, MONDAY, 2)], "votes_add_up", 1, set()),
    (MEAN, [_week(TUESDAY, 1, 1, 1)], "values_are_plausible", 1, {"no_week_is_missing"}),
    (
        MEAN,
        [
            _week("2022-01-17", 1, 2, 2),
            _week("2022-01-24", 1, -1, 2),
            _week("2022-01-31", 1, 1, -1),
            {**_week("2022-02-07", 1, 1, 1), "mean_votes_per_post_voted_on": 0.5},
            {**_week("2022-02-14", 1, 1, 1), "mean_votes_per_post_existing": -0.5},
        ],
        "values_are_plausible",
        5,
        set(),
    ),
    (MEAN, [_week("2022-01-24", 1, 1, 1)], "no_week_is_missing", 1, set()),
    (
        "outlier_weeks",
        [_outlier(54), _outlier(-1), _outlier(2, 0)],
        "values_are_plausible",
        3,
        set(),
    ),
    ("rejected_records", [_rejected("a", 1)], "key_is_unique", 1, set()),
    ("rejected_records", [_rejected("a", 3, None)], "required_columns_are_filled", 1, set()),
]

WARNINGS = {
    "dates_are_plausible",
    "answers_have_questions",
    "counts_are_not_negative",
    "posts_are_known",
    "votes_add_up",
}

BLOCKING = {"key_is_unique", "required_columns_are_filled", "values_are_plausible"}


@pytest.fixture(scope="module")
def good_home(homes: Homes) -> Path:
    """The home of a warehouse that has the good rows."""

    def fill(house: House) -> None:
        for name, rows in GOOD.items():
            add_rows(house, name, *rows)

    return homes.make(fill)


@pytest.fixture
def good(house: House, good_home: Path) -> House:
    """A warehouse that has the good rows."""
    return begin_with(good_home, house)


def test_checks_pass_on_good_rows_and_when_there_are_none(good: House, tmp_path: Path) -> None:
    empty = House(tmp_path / "empty", good.instance)
    for house in (good, empty):
        for table in GOOD:
            results = results_of(house, table)
            assert results.keys() >= {"key_is_unique", "required_columns_are_filled"}
            assert failed(results) == set()
    assert empty.versions() == {}


@pytest.mark.parametrize(
    ("table", "rows", "check", "violations", "others"),
    BAD,
    ids=[f"{table}.{check}-{number}" for number, (table, _, check, *_) in enumerate(BAD)],
)
def test_a_check_fails_on_rows_that_violate_it(
    good: House, table: str, rows: list[Row], check: str, violations: int, others: set[str]
) -> None:
    add_rows(good, table, *rows)

    results = results_of(good, table)

    assert failed(results) == {check, *others}
    found = results[check]
    warns = check in WARNINGS
    assert found.severity is (dg.AssetCheckSeverity.WARN if warns else dg.AssetCheckSeverity.ERROR)
    key = dg.AssetCheckKey(dg.AssetKey(table), check)
    assert checks_definition(table).get_spec_for_check_key(key).blocking is (check in BLOCKING)
    assert found.metadata["violations"].value == violations
    assert str(found.description).startswith(f"{violations} rows violate this: ")
    # A heading, a rule and a line for each row.
    sample = found.metadata["sample"].value
    assert isinstance(sample, str)
    assert len(sample.splitlines()) == 2 + violations


@pytest.fixture(scope="module")
def delivered_home(homes: Homes) -> Path:
    """The home of a warehouse to which a vote was delivered just now."""
    return homes.make(lambda house: _take_votes(house, good=1, bad=0))


@pytest.fixture
def delivered(house: House, delivered_home: Path) -> House:
    """A warehouse of its own to which a vote was delivered; the history knows nothing of it."""
    return begin_with(delivered_home, house)


def _take_votes(house: House, good: int, bad: int) -> None:
    """Take a file of votes into the lake."""
    lines = [vote(number, 1) for number in range(1, good + 1)] + [{"Id": "-"}] * bad
    house.deliver("votes.jsonl", lines)
    taken = take(house)
    assert (taken.records, taken.rejected) == (good, bad)


def _with_setting(house: House, **environment: str) -> House:
    return House(house.settings.home, house.instance, **environment)


def test_a_share_of_rejected_records_up_to_the_setting_passes(house: House) -> None:
    # A tenth is the default.
    for good, bad, limits in ((9, 1, {"": True, "0.09": False}), (8, 1, {"": False, "1": True})):
        _take_votes(house, good, bad)
        rejected, rows = len(house.rejected()), len(house.stored("votes"))
        for limit, passes in limits.items():
            other = _with_setting(house, REJECTED_SHARE_LIMIT=limit)
            share = results_of(other, "votes")["rejected_share_is_low"]
            assert share.passed is passes
            figures = [share.metadata[name].value for name in ("rejected", "rows", "share")]
            assert figures == [rejected, rows, pytest.approx(rejected / (rows + rejected))]


def test_a_greater_share_fails_and_shows_the_newest_rejected_records(house: House) -> None:
    _take_votes(house, good=8, bad=1)

    share = results_of(house, "votes")["rejected_share_is_low"]

    assert not share.passed
    assert share.severity is dg.AssetCheckSeverity.ERROR
    assert share.description == (
        "1 records were rejected beside the 8 rows of votes: 11.1% of both, more than 10.0% "
        "(setting REJECTED_SHARE_LIMIT)."
    )
    sample = share.metadata["sample"].value
    assert isinstance(sample, str)
    assert '00000001-votes.jsonl | 9 | {"Id": "-"} |' in sample.splitlines()[2]
    other = results_of(house, "posts")["rejected_share_is_low"]
    assert (other.passed, other.metadata["rejected"].value) == (True, 0)


def test_a_file_that_is_rejected_whole_counts(house: House) -> None:
    house.deliver("votes.json", "[{")
    take(house)

    share = results_of(house, "votes")["rejected_share_is_low"]

    assert not share.passed
    assert share.metadata["share"].value == 1.0


@pytest.mark.parametrize(("hours", "passes"), [(1.9, True), (2.1, False)])
def test_a_source_is_fresh_for_as_long_as_its_setting_says(
    delivered: House, monkeypatch: pytest.MonkeyPatch, hours: float, passes: bool
) -> None:
    later = time.time() + hours * 3600
    monkeypatch.setattr(standard_checks, "time", SimpleNamespace(time=lambda: later))

    fresh = results_of(_with_setting(delivered, FRESHNESS_HOURS="2"), "votes")["source_is_fresh"]

    assert fresh.passed is passes
    assert fresh.severity is dg.AssetCheckSeverity.WARN
    assert fresh.metadata["hours"].value == pytest.approx(hours, abs=0.05)
    if not passes:
        assert fresh.description == (
            "Nothing was delivered for votes for 2 hours, more than 2 (setting FRESHNESS_HOURS)."
        )


def test_a_check_shows_no_more_than_five_rows(house: House) -> None:
    add_rows(house, "outlier_weeks", *({"year": year, "week_number": 99} for year in range(7)))

    evaluations = results_of(house, "outlier_weeks")

    assert failed(evaluations) == {"required_columns_are_filled", "values_are_plausible"}
    found = evaluations["values_are_plausible"]
    assert found.metadata["violations"].value == 7
    assert len(str(found.metadata["sample"].value).splitlines()) == 2 + 5
