"""A check is made again only for what has changed."""

from datetime import datetime
from pathlib import Path

import dagster as dg
import pytest

from warehouse_assets_tests.house import House, post, vote
from warehouse_assets_tests.ingest.deliveries import take
from warehouse_assets_tests.orchestration.lake_rows import add_rows
from warehouse_assets_tests.orchestration.prepared import Homes, begin_with
from warehouse_assets_tests.orchestration.runs import checks_of, evaluated, failed, results_of


@pytest.fixture(scope="module")
def checked_home(homes: Homes) -> Path:
    """The home of a warehouse that took a post and two votes, and made the checks in that run."""

    def fill(house: House) -> None:
        house.deliver("posts.json", [post(1)])
        house.deliver("votes.json", [vote(1, 1), vote(2, 1)])
        result = house.run("posts", "votes")
        assert result.success
        assert failed(evaluated(result)) == set()

    return homes.make(fill)


@pytest.fixture
def checked(house: House, checked_home: Path) -> House:
    """A warehouse of its own that took and checked them."""
    return begin_with(checked_home, house)


def _row(number: int, post_number: int | None) -> dict[str, object]:
    return {
        "id": number,
        "post_id": post_number,
        "creation_date": datetime.fromisoformat("2022-01-03"),
        "arrival": 9,
    }


def _post(number: int) -> dict[str, object]:
    return {"id": number, "creation_date": datetime.fromisoformat("2022-01-03"), "arrival": 9}


def _take(house: House, *votes: dict[str, object]) -> None:
    """Take votes into the lake; none of their checks is made."""
    house.deliver("votes.json", votes)
    take(house)


def _only(house: House, name: str) -> dg.AssetCheckResult:
    """Make the checks of the votes; returns the result of one."""
    return results_of(house, "votes")[name]


def _damage_rows(house: House, table: str) -> None:
    """Have no row of the files of a table readable; their footers stay as they are."""
    for file in (house.settings.lake / table).glob("*.parquet"):
        content = file.read_bytes()
        end = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
        file.write_bytes(content[:4] + bytes(end - 4) + content[end:])


def test_results_are_given_again_without_reading_rows_and_say_so(house: House) -> None:
    add_rows(house, "posts", _post(1))
    house.deliver("votes.json", [vote(1, 1), vote(2, 99)])
    made = evaluated(house.run("votes"))
    before = {evaluation.check_name: evaluation for evaluation in made.values()}

    for table in ("posts", "votes", "rejected_records"):
        _damage_rows(house, table)
    after = checks_of(house, "votes")

    reused = [name for name, check in after.items() if "unchanged_since" in check.metadata]
    assert sorted(reused) == sorted(set(after) - {"source_is_fresh"})
    assert not any("unchanged_since" in check.metadata for check in before.values())
    assert {n: c.passed for n, c in after.items()} == {n: c.passed for n, c in before.items()}
    unknown = after["posts_are_known"]
    assert unknown.description == before["posts_are_known"].description
    assert unknown.metadata["sample"] == before["posts_are_known"].metadata["sample"]
    assert unknown.severity is dg.AssetCheckSeverity.WARN


def test_a_changed_table_is_checked_again(house: House) -> None:
    add_rows(house, "posts", _post(1))
    add_rows(house, "votes", _row(1, 99))
    assert not _only(house, "posts_are_known").passed

    add_rows(house, "posts", _post(99))  # a table that the check reads

    made_again = _only(house, "posts_are_known")
    assert made_again.passed
    assert "unchanged_since" not in made_again.metadata


def test_another_limit_is_another_check(house: House) -> None:
    _take(house, vote(1, 1), {"Id": "-"})
    assert not _only(house, "rejected_share_is_low").passed

    other = House(house.settings.home, house.instance, REJECTED_SHARE_LIMIT="0.9")

    assert _only(other, "rejected_share_is_low").passed


@pytest.mark.parametrize(
    ("rows", "twice", "without"),
    [
        ([_row(1, 1)], 1, 0),  # a key that an older file has
        ([_row(7, 1), _row(7, 1)], 1, 0),
        ([_row(7, None)], 0, 1),
        ([_row(7, 1)], 0, 0),
    ],
)
def test_added_rows_are_checked_against_all_there_are(
    checked: House, rows: list[dict[str, object]], twice: int, without: int
) -> None:
    add_rows(checked, "votes", *rows)

    results = results_of(checked, "votes")

    for check, violations in (("key_is_unique", twice), ("required_columns_are_filled", without)):
        assert results[check].metadata["violations"].value == violations
        assert results[check].passed is (violations == 0)


def test_a_check_that_failed_looks_at_the_whole_table_again(house: House) -> None:
    add_rows(house, "votes", _row(7, None))
    assert not _only(house, "required_columns_are_filled").passed
    add_rows(house, "votes", _row(8, 1))

    assert not _only(house, "required_columns_are_filled").passed


def test_after_a_rewrite_of_the_table_its_rows_are_checked(checked: House) -> None:
    _take(checked, vote(1, 1, "1999-01-01"))  # rewritten by Delta's merge

    assert not _only(checked, "dates_are_plausible").passed


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"key_is_unique": {}}'])
def test_results_that_cannot_be_read_are_made_again(checked: House, damage: str) -> None:
    (checked.settings.lake / ".checks" / "votes.json").write_text(damage)

    again = _only(checked, "key_is_unique")

    assert again.passed
    assert "unchanged_since" not in again.metadata
    assert "unchanged_since" in _only(checked, "key_is_unique").metadata


def test_another_lake_with_the_same_versions_is_checked(checked: House, tmp_path: Path) -> None:
    before = checked.versions()
    (checked.settings.lake / "votes").rename(tmp_path / "votes before")
    take(checked)  # again, from the archive

    assert checked.versions() == before
    assert "unchanged_since" not in _only(checked, "key_is_unique").metadata


def test_a_bad_row_that_has_gone_again_is_no_violation(checked: House) -> None:
    _take(checked, vote(1, 1, "1999-01-01"))
    _take(checked, vote(1, 1, "2022-01-04"))

    assert _only(checked, "dates_are_plausible").passed
