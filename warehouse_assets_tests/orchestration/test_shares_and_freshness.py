"""The checks with a limit: the share of rejected records, and how long ago data came."""

import time
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest

from warehouse_assets.orchestration import standard_checks
from warehouse_assets_tests.house import House, vote
from warehouse_assets_tests.ingest.deliveries import take
from warehouse_assets_tests.orchestration.lake_rows import add_rows
from warehouse_assets_tests.orchestration.prepared import Homes, begin_with
from warehouse_assets_tests.orchestration.runs import failed, results_of

HOUR = 3600


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


@pytest.mark.parametrize(
    ("good", "bad", "limit", "passes"),
    [
        (9, 1, "", True),  # a tenth is the default
        (20, 0, "", True),
        (2, 2, "0.5", True),
        (2, 2, "0.49", False),
        (2, 2, "1", True),
    ],
)
def test_a_share_of_rejected_records_up_to_the_setting_passes(
    house: House, good: int, bad: int, limit: str, passes: bool
) -> None:
    _take_votes(house, good, bad)

    other = _with_setting(house, REJECTED_SHARE_LIMIT=limit)
    share = results_of(other, "votes")["rejected_share_is_low"]

    assert share.passed is passes
    assert share.metadata["rejected"].value == bad
    assert share.metadata["rows"].value == good
    assert share.metadata["share"].value == pytest.approx(bad / (good + bad))


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
    later = time.time() + hours * HOUR
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
