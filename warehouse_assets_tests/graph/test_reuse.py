"""A check is made again only for what has changed."""

import json
from datetime import datetime
from pathlib import Path

import dagster as dg
import pytest

from warehouse_assets.lake import Lake
from warehouse_assets_tests.graph.lake_rows import add_rows
from warehouse_assets_tests.graph.runs import checks_of, run_checks
from warehouse_assets_tests.house import House, post, vote


def _deliver(house: House, *votes: dict[str, object]) -> None:
    house.deliver("posts.json", [post(1)])
    house.deliver("votes.json", votes)
    assert house.run("posts", "votes").success


def _only(house: House, name: str) -> dg.AssetCheckEvaluation:
    """Make one check of the votes."""
    key = dg.AssetCheckKey(dg.AssetKey("votes"), name)
    _, evaluations = run_checks(house, dg.AssetSelection.checks(key))
    return evaluations[f"votes.{name}"]


def test_results_are_given_again_without_reading_and_say_so(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    _deliver(house, vote(1, 1), vote(2, 99))
    before = checks_of(house, "votes")

    def read(*_: object) -> None:
        raise AssertionError("a table was read")

    monkeypatch.setattr(Lake, "connect", read)
    after = checks_of(house, "votes")

    reused = [name for name, check in after.items() if "unchanged_since" in check.metadata]
    assert sorted(reused) == sorted(set(after) - {"source_is_fresh"})
    assert {n: c.passed for n, c in after.items()} == {n: c.passed for n, c in before.items()}
    unknown = after["posts_are_known"]
    assert unknown.description == before["posts_are_known"].description
    assert unknown.metadata["sample"] == before["posts_are_known"].metadata["sample"]
    assert unknown.severity is dg.AssetCheckSeverity.WARN


def test_a_changed_table_is_checked_again(house: House) -> None:
    _deliver(house, vote(1, 99))
    assert not _only(house, "posts_are_known").passed

    house.deliver("posts.json", [post(99)])  # a table that the check reads
    assert house.run("posts").success

    made_again = _only(house, "posts_are_known")
    assert made_again.passed
    assert "unchanged_since" not in made_again.metadata


def test_another_limit_is_another_check(house: House) -> None:
    _deliver(house, vote(1, 1), {"Id": "-"})
    assert not _only(house, "rejected_share_is_low").passed

    other = House(house.settings.home, house.instance, REJECTED_SHARE_LIMIT="0.9")

    assert _only(other, "rejected_share_is_low").passed


def _row(number: int, post_number: int | None) -> dict[str, object]:
    return {
        "id": number,
        "post_id": post_number,
        "creation_date": datetime.fromisoformat("2022-01-03"),
        "arrival": 9,
    }


@pytest.mark.parametrize(
    ("rows", "check", "violations"),
    [
        ([_row(1, 1)], "key_is_unique", 1),  # a key that an older file has
        ([_row(7, 1), _row(7, 1)], "key_is_unique", 1),
        ([_row(7, None)], "required_columns_are_filled", 1),
        ([_row(7, 1)], "key_is_unique", 0),
        ([_row(7, 1)], "required_columns_are_filled", 0),
    ],
)
def test_added_rows_are_checked_against_all_there_are(
    house: House, rows: list[dict[str, object]], check: str, violations: int
) -> None:
    _deliver(house, vote(1, 1), vote(2, 1))
    _only(house, check)
    add_rows(house, "votes", *rows)

    evaluation = _only(house, check)

    assert evaluation.metadata["violations"].value == violations
    assert evaluation.passed is (violations == 0)


def test_a_check_of_single_rows_reads_only_added_files(house: House) -> None:
    _deliver(house, vote(1, 1))
    assert _only(house, "required_columns_are_filled").passed
    (old,) = (house.settings.lake / "votes").glob("*.parquet")
    add_rows(house, "votes", _row(7, 1))
    old.write_bytes(b"not to be read")

    assert _only(house, "required_columns_are_filled").passed


def test_a_check_that_failed_looks_at_the_whole_table_again(house: House) -> None:
    _deliver(house, vote(1, 1))
    add_rows(house, "votes", _row(7, None))
    assert not _only(house, "required_columns_are_filled").passed
    add_rows(house, "votes", _row(8, 1))

    assert not _only(house, "required_columns_are_filled").passed


def test_after_a_rewrite_of_the_table_its_rows_are_checked(house: House) -> None:
    _deliver(house, vote(1, 1))
    assert _only(house, "dates_are_plausible").passed
    house.deliver("votes.json", [vote(1, 1, "1999-01-01")])  # rewritten by Delta's merge
    assert house.run("votes").success

    assert not _only(house, "dates_are_plausible").passed


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"key_is_unique": {}}'])
def test_results_that_cannot_be_read_are_made_again(house: House, damage: str) -> None:
    _deliver(house, vote(1, 1))
    (house.settings.lake / ".checks" / "votes.json").write_text(damage)

    again = _only(house, "key_is_unique")

    assert again.passed
    assert "unchanged_since" not in again.metadata
    assert "unchanged_since" in _only(house, "key_is_unique").metadata


def test_another_lake_with_the_same_versions_is_checked(house: House, tmp_path: Path) -> None:
    _deliver(house, vote(1, 1))
    (house.settings.lake / "votes").rename(tmp_path / "votes before")
    assert house.run("votes").success  # taken again, from the archive

    assert "unchanged_since" not in _made_in_that_run(house)


def _made_in_that_run(house: House) -> dict[str, object]:
    record = house.instance.get_latest_asset_check_evaluation_record(
        dg.AssetCheckKey(dg.AssetKey("votes"), "key_is_unique")
    )
    assert record is not None
    assert record.evaluation is not None
    return dict(record.evaluation.metadata)


def test_one_check_of_the_change_does_not_hide_the_table_from_the_next(house: House) -> None:
    _deliver(house, vote(1, 1), vote(2, 1))
    checks_of(house, "votes")
    add_rows(house, "votes", _row(1, 1))

    evaluations = checks_of(house, "votes")

    assert evaluations["required_columns_are_filled"].passed  # of the added row alone
    assert evaluations["key_is_unique"].metadata["violations"].value == 1
    assert evaluations["rejected_share_is_low"].metadata["rows"].value == 3


def test_a_bad_row_that_has_gone_again_is_no_violation(house: House) -> None:
    _deliver(house, vote(1, 1))
    assert _only(house, "dates_are_plausible").passed
    house.deliver("votes.json", [vote(1, 1, "1999-01-01")])
    assert house.run("votes").success
    house.deliver("votes.json", [vote(1, 1, "2022-01-04")])
    (house.settings.lake / ".checks" / "votes.json").write_bytes(_results_before(house))
    assert house.run("votes").success

    assert _only(house, "dates_are_plausible").passed


def _results_before(house: House) -> bytes:
    """The kept results as they were when the table was at its first version with rows."""
    path = house.settings.lake / ".checks" / "votes.json"
    stored = json.loads(path.read_text())
    result = stored["dates_are_plausible"]
    result["looked_at"]["table"][1] = 1
    result["problem"] = ""
    return json.dumps(stored).encode()
