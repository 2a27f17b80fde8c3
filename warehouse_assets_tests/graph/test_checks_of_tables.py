"""Every check passes on good rows and fails on rows made bad for it."""

from datetime import datetime, timedelta, timezone
from typing import Any

import dagster as dg
import pytest

from warehouse_assets_tests.graph.lake_rows import Row, add_rows
from warehouse_assets_tests.graph.runs import checks_of, failed
from warehouse_assets_tests.house import House

NOW = datetime.now(timezone.utc).replace(tzinfo=None)
DAY = "2022-01-04 10:00:00"
MONDAY, NEXT_MONDAY, TUESDAY = "2022-01-03", "2022-01-10", "2022-01-04"
ARRIVED = {"arrival": 1}


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


def _rejected(unit: str | None, position: int, reason: str | None = "not valid JSON") -> Row:
    row = {"source": "votes", "unit": unit, "position": position, "reason": reason, "raw": "{"}
    return {**row, "rejected_at": DAY}


GOOD: dict[str, list[Row]] = {
    "posts": [
        _post(1, "2008-01-01", view_count=0, answer_count=0, comment_count=0, favorite_count=0),
        _post(2, NOW + timedelta(hours=23), parent_id=1),
    ],
    "votes": [_vote(1, 1), _vote(2, 2, "2008-01-01"), _vote(3, 1, NOW + timedelta(hours=23))],
    "votes_per_post_per_week": [
        {"post_id": 1, "week_start": MONDAY, "votes": 1},
        {"post_id": 1, "week_start": NEXT_MONDAY, "votes": 1},
        {"post_id": 2, "week_start": MONDAY, "votes": 1},
    ],
    "mean_votes_per_post_per_week": [_week(MONDAY, 2, 2, 2), _week(NEXT_MONDAY, 0, 0, 0)],
    "outlier_weeks": [
        {"year": 2021, "week_number": 0, "votes": 1},
        {"year": 2021, "week_number": 53, "votes": 9},
    ],
    "rejected_records": [_rejected("a", 1), _rejected("a", 2), _rejected("b", 1)],
}

PER_WEEK, MEAN = "votes_per_post_per_week", "mean_votes_per_post_per_week"

# table, what is added to the good rows, the check that counts the violations, how many, and
# other checks that see something wrong with the same rows
BAD: list[tuple[str, list[Row], str, int, set[str]]] = [
    ("posts", [_post(1), _post(1), _post(2)], "key_is_unique", 2, set()),
    ("posts", [_post(3, None)], "required_columns_are_filled", 1, set()),
    ("posts", [_post(None)], "required_columns_are_filled", 1, set()),
    ("posts", [_post(3, "2007-12-31 23:59:59")], "dates_are_plausible", 1, set()),
    ("posts", [_post(3, NOW + timedelta(hours=25))], "dates_are_plausible", 1, set()),
    ("posts", [_post(3, parent_id=2), _post(4, parent_id=9)], "answers_have_questions", 1, set()),
    (
        "posts",
        [
            _post(3, view_count=-1),
            _post(4, answer_count=-1),
            _post(5, comment_count=-1),
            _post(6, favorite_count=-1),
        ],
        "counts_are_not_negative",
        4,
        set(),
    ),
    ("votes", [_vote(1, 1)], "key_is_unique", 1, set()),
    ("votes", [_vote(4, None)], "required_columns_are_filled", 1, {"posts_are_known"}),
    ("votes", [_vote(4, 1, None)], "required_columns_are_filled", 1, set()),
    ("votes", [_vote(4, 1, "2007-06-01")], "dates_are_plausible", 1, set()),
    ("votes", [_vote(4, 1, NOW + timedelta(days=9))], "dates_are_plausible", 1, set()),
    ("votes", [_vote(4, 7), _vote(5, 8)], "posts_are_known", 2, set()),
    (
        PER_WEEK,
        [{"post_id": 1, "week_start": MONDAY, "votes": 1}],
        "key_is_unique",
        1,
        {"votes_add_up"},
    ),
    (
        PER_WEEK,
        [{"post_id": 3, "week_start": MONDAY, "votes": None}],
        "required_columns_are_filled",
        1,
        set(),
    ),
    (
        PER_WEEK,
        [{"post_id": 3, "week_start": MONDAY, "votes": 0}],
        "values_are_plausible",
        1,
        set(),
    ),
    (
        PER_WEEK,
        [{"post_id": 3, "week_start": TUESDAY, "votes": 1}],
        "values_are_plausible",
        1,
        {"votes_add_up"},
    ),
    (PER_WEEK, [{"post_id": 3, "week_start": MONDAY, "votes": 2}], "votes_add_up", 1, set()),
    (MEAN, [_week(MONDAY, 2, 2, 2)], "key_is_unique", 1, {"no_week_is_missing"}),
    (MEAN, [_week("2022-01-17", None, 1, 1)], "required_columns_are_filled", 1, set()),
    (MEAN, [_week(TUESDAY, 1, 1, 1)], "values_are_plausible", 1, {"no_week_is_missing"}),
    (MEAN, [_week("2022-01-17", 1, 2, 2)], "values_are_plausible", 1, set()),
    (MEAN, [_week("2022-01-17", 1, -1, 2)], "values_are_plausible", 1, set()),
    (MEAN, [_week("2022-01-17", 1, 1, -1)], "values_are_plausible", 1, set()),
    (
        MEAN,
        [{**_week("2022-01-17", 1, 1, 1), "mean_votes_per_post_voted_on": 0.5}],
        "values_are_plausible",
        1,
        set(),
    ),
    (
        MEAN,
        [{**_week("2022-01-17", 1, 1, 1), "mean_votes_per_post_existing": -0.5}],
        "values_are_plausible",
        1,
        set(),
    ),
    (MEAN, [_week("2022-01-24", 1, 1, 1)], "no_week_is_missing", 1, set()),
    ("outlier_weeks", [{"year": 2021, "week_number": 0, "votes": 2}], "key_is_unique", 1, set()),
    (
        "outlier_weeks",
        [{"year": None, "week_number": 1, "votes": 2}],
        "required_columns_are_filled",
        1,
        set(),
    ),
    (
        "outlier_weeks",
        [
            {"year": 2021, "week_number": 54, "votes": 2},
            {"year": 2021, "week_number": -1, "votes": 2},
            {"year": 2021, "week_number": 2, "votes": 0},
        ],
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


@pytest.mark.parametrize("table", GOOD)
def test_checks_pass_on_good_rows(house: House, table: str) -> None:
    for name, rows in GOOD.items():
        if name != "rejected_records" or table == name:
            add_rows(house, name, *rows)

    evaluations = checks_of(house, table)

    assert {"key_is_unique", "required_columns_are_filled"} <= set(evaluations)
    assert failed(evaluations) == set()


@pytest.mark.parametrize("table", GOOD)
def test_checks_pass_when_there_is_nothing_yet(house: House, table: str) -> None:
    evaluations = checks_of(house, table)

    assert len(evaluations) >= 2
    assert failed(evaluations) == set()
    assert house.versions() == {}


@pytest.mark.parametrize(
    ("table", "rows", "check", "violations", "others"),
    BAD,
    ids=[f"{table}.{check}-{number}" for number, (table, _, check, *_) in enumerate(BAD)],
)
def test_a_check_fails_on_rows_that_violate_it(
    house: House, table: str, rows: list[Row], check: str, violations: int, others: set[str]
) -> None:
    for name in {table, "posts", "votes"}:
        add_rows(house, name, *GOOD[name])
    add_rows(house, table, *rows)

    evaluations = checks_of(house, table)

    assert failed(evaluations) == {check, *others}
    found = evaluations[check]
    warns = check in WARNINGS
    assert found.severity is (dg.AssetCheckSeverity.WARN if warns else dg.AssetCheckSeverity.ERROR)
    assert found.blocking is (check in BLOCKING)
    assert found.metadata["violations"].value == violations
    assert str(found.description).startswith(f"{violations} rows violate this: ")
    # A heading, a rule and a line for each row.
    sample = found.metadata["sample"].value
    assert isinstance(sample, str)
    assert len(sample.splitlines()) == 2 + violations
