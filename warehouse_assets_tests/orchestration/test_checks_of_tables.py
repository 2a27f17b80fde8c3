"""Every check passes on good rows and fails on rows made bad for it."""

from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from warehouse_assets_tests.house import House
from warehouse_assets_tests.orchestration.lake_rows import Row, add_rows
from warehouse_assets_tests.orchestration.prepared import Homes, begin_with
from warehouse_assets_tests.orchestration.runs import (
    Evaluations,
    checks_definition,
    failed,
    results_of,
    run_checks,
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


def _checks_of_all(house: House) -> Evaluations:
    """Make all checks of the tables in a run."""
    keys = [dg.AssetKey(name) for name in GOOD]
    result, evaluations = run_checks(house, dg.AssetSelection.checks_for_assets(*keys))
    assert result.success
    return evaluations


def test_checks_pass_on_good_rows(good: House) -> None:
    evaluations = _checks_of_all(good)

    for table in GOOD:
        assert f"{table}.key_is_unique" in evaluations
        assert f"{table}.required_columns_are_filled" in evaluations
    assert failed(evaluations) == set()


def test_checks_pass_when_there_is_nothing_yet(house: House) -> None:
    evaluations = _checks_of_all(house)

    tables = Counter(name.partition(".")[0] for name in evaluations)
    assert tables.keys() == GOOD.keys()
    assert min(tables.values()) >= 2
    assert failed(evaluations) == set()
    assert house.versions() == {}


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
