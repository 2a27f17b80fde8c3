"""When a check is made again, and what a failed check stops."""

import os
import shutil
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import Table

from warehouse_assets.catalogue import TABLES
from warehouse_assets.definitions import defs
from warehouse_assets.defs.forum.tables import OUTLIER_WEEKS, VOTES
from warehouse_assets.errors import LakeError
from warehouse_assets.lake import Lake
from warehouse_assets.orchestration.checks import (
    KeptResult,
    LookedAt,
    keep_results,
    last_results,
    refuse_if_blocked,
)
from warehouse_assets.runs import failed_steps
from warehouse_assets_tests.folders import folder_of
from warehouse_assets_tests.house import House, post, vote
from warehouse_assets_tests.ingest.deliveries import take
from warehouse_assets_tests.orchestration.lake_rows import add_rows
from warehouse_assets_tests.orchestration.prepared import Homes, begin_with
from warehouse_assets_tests.orchestration.runs import (
    evaluated,
    failed,
    materialised,
    results_of,
    run_checks,
)

WRONG = KeptResult(LookedAt("", None, {}), "It is wrong.", {}, blocks=True)
NAMES = ("key_is_unique", "other")


@pytest.fixture(scope="module")
def taken_home(homes: Homes) -> Path:
    """The home of a warehouse that took a post and two votes, and checked the votes."""

    def fill(house: House) -> None:
        add_rows(house, "posts", _post(1))
        _take(house, vote(1, 1), vote(2, 1))
        assert failed(results_of(house, "votes")) == set()

    return homes.make(fill)


@pytest.fixture
def checked(house: House, taken_home: Path) -> House:
    """A warehouse of its own that took and checked them."""
    return begin_with(taken_home, house)


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
    for file in (folder_of(house.settings.lake) / table).glob("*.parquet"):
        content = file.read_bytes()
        end = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
        file.write_bytes(content[:4] + bytes(end - 4) + content[end:])


def test_results_are_given_again_without_reading_rows_and_say_so(checked: House) -> None:
    _take(checked, vote(2, 99), {"Id": "x"})
    before = results_of(checked, "votes")
    assert failed(before) == {"posts_are_known", "rejected_share_is_low"}

    for table in ("posts", "votes", "rejected_records"):
        _damage_rows(checked, table)
    after = results_of(checked, "votes")

    reused = [name for name, check in after.items() if "unchanged_since" in check.metadata]
    assert sorted(reused) == sorted(set(after) - {"source_is_fresh"})
    assert not any("unchanged_since" in check.metadata for check in before.values())
    assert {n: c.passed for n, c in after.items()} == {n: c.passed for n, c in before.items()}
    unknown = after["posts_are_known"]
    assert unknown.description == before["posts_are_known"].description
    assert unknown.metadata["sample"] == before["posts_are_known"].metadata["sample"]
    assert unknown.severity is dg.AssetCheckSeverity.WARN


def test_a_change_of_what_a_check_reads_or_of_its_limit_has_it_made_again(house: House) -> None:
    add_rows(house, "posts", _post(1))
    _take(house, vote(1, 99), {"Id": "-"})
    assert failed(results_of(house, "votes")) == {"posts_are_known", "rejected_share_is_low"}

    add_rows(house, "posts", _post(99))  # a table that the check reads
    other = House(house.settings.home, house.instance, REJECTED_SHARE_LIMIT="0.9")

    again = results_of(other, "votes")
    assert failed(again) == set()
    assert "unchanged_since" not in again["posts_are_known"].metadata
    assert "unchanged_since" in again["key_is_unique"].metadata


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
    # A check that failed looks at the whole table again.
    add_rows(checked, "votes", _row(8, 1))
    assert _only(checked, "required_columns_are_filled").passed is (without == 0)


def test_after_a_rewrite_of_the_table_its_rows_are_checked(checked: House) -> None:
    _take(checked, vote(1, 1, "1999-01-01"))  # rewritten by Delta's merge
    before = (folder_of(checked.settings.lake) / ".checks" / "votes.json").read_bytes()
    assert not _only(checked, "dates_are_plausible").passed

    # A bad row that has come and gone since the check passed is no violation.
    (folder_of(checked.settings.lake) / ".checks" / "votes.json").write_bytes(before)
    _take(checked, vote(1, 1, "2022-01-04"))
    assert _only(checked, "dates_are_plausible").passed


def test_results_that_cannot_be_read_are_made_again(checked: House) -> None:
    for damage in ("", "{", "[]", '{"key_is_unique": {}}'):
        (folder_of(checked.settings.lake) / ".checks" / "votes.json").write_text(damage)
        again = _only(checked, "key_is_unique")
        assert again.passed
        assert "unchanged_since" not in again.metadata
    assert "unchanged_since" in _only(checked, "key_is_unique").metadata


def test_another_lake_with_the_same_versions_is_checked(checked: House, tmp_path: Path) -> None:
    before = checked.versions()
    (folder_of(checked.settings.lake) / "votes").rename(tmp_path / "votes before")
    take(checked)  # again, from the archive

    assert checked.versions() == {**before, "loads": before["loads"] + 1}
    assert "unchanged_since" not in _only(checked, "key_is_unique").metadata


def _cut_a_file_in_half(table: Path) -> Path:
    (file,) = table.glob("*.parquet")
    os.truncate(file, file.stat().st_size // 2)
    return file


def _lose_the_log(table: Path) -> Path:
    shutil.rmtree(table / "_delta_log")
    return table


def _empty_the_log(table: Path) -> Path:
    last = max((table / "_delta_log").glob("*.json"))
    last.write_bytes(b"")
    return last


@pytest.mark.parametrize("damage", [_cut_a_file_in_half, _lose_the_log, _empty_the_log])
def test_all_checks_of_a_table_that_cannot_be_read_fail_though_they_passed_before(
    checked: House, damage: Callable[[Path], Path]
) -> None:
    named = damage(folder_of(checked.settings.lake) / "votes")

    results = results_of(checked, "votes")

    assert failed(results) == set(results)
    assert {check.severity for check in results.values()} == {dg.AssetCheckSeverity.ERROR}
    assert all(str(named) in str(check.description) for check in results.values())
    with pytest.raises(LakeError, match=r"The lake table votes cannot be (read|opened): "):
        refuse_if_blocked(checked.lake, OUTLIER_WEEKS, [VOTES])


def test_a_check_that_reads_a_table_that_cannot_be_read_fails(checked: House) -> None:
    _cut_a_file_in_half(folder_of(checked.settings.lake) / "posts")

    results = results_of(checked, "votes")

    assert failed(results) == {"posts_are_known"}
    assert str(results["posts_are_known"].description).startswith("The lake table posts cannot ")


def _result(version: int, problem: str) -> KeptResult:
    return KeptResult(LookedAt("x", ("id", version), {"posts": None}), problem, {}, blocks=True)


def test_of_two_runs_at_once_one_waits_for_the_other_and_none_loses_results(tmp_path: Path) -> None:
    lake = Lake(tmp_path, tmp_path / "tmp", 10**9)
    keep_results(lake, "votes", {"other": _result(1, "")}, NAMES)
    kept = {"key_is_unique": _result(1, "It is not.")}
    run = threading.Thread(target=keep_results, args=(lake, "votes", kept, NAMES))

    with lake.lock("votes.checks"):
        run.start()
        run.join(0.2)
        assert set(last_results(lake, "votes")) == {"other"}
    run.join(60)

    problems = {name: kept.problem for name, kept in last_results(lake, "votes").items()}
    assert problems == {"other": "", "key_is_unique": "It is not."}
    assert [path.name for path in (tmp_path / ".checks").iterdir()] == ["votes.json"]
    # The result of the later version stays.
    keep_results(lake, "votes", {"key_is_unique": _result(0, "")}, NAMES)
    assert last_results(lake, "votes")["key_is_unique"].problem == "It is not."


def test_a_failed_blocking_check_stops_what_depends_on_its_table_and_nothing_else(
    house: House,
) -> None:
    twice = {"id": 9, "creation_date": "2022-01-10", "arrival": 7}
    house.deliver("posts.jsonl", [post(1)])
    assert house.run("posts", checks=False).success
    add_rows(house, "posts", twice, twice)
    house.deliver("votes.jsonl", [vote(1, 1), vote(2, 404), {"Id": "x"}])

    result = house.run()

    assert not result.success
    evaluations = evaluated(result)
    # Neither a warning nor an error of a check that does not block stops anything.
    warning, error = (
        evaluations[f"votes.{name}"] for name in ("posts_are_known", "rejected_share_is_low")
    )
    assert failed(evaluations) == {
        "posts.key_is_unique",
        "votes.posts_are_known",
        "votes.rejected_share_is_low",
    }
    assert (warning.severity, warning.blocking) == (dg.AssetCheckSeverity.WARN, False)
    assert warning.metadata["violations"].value == 1
    assert (error.severity, error.blocking) == (dg.AssetCheckSeverity.ERROR, False)
    assert materialised(result) == {"posts", "votes", "votes_per_post_per_week", "outlier_weeks"}


def test_no_later_run_computes_it_until_the_check_is_made_and_passes(house: House) -> None:
    weeks, mean = "votes_per_post_per_week", "mean_votes_per_post_per_week"
    house.deliver("posts.jsonl", [post(1)])
    house.deliver("votes.jsonl", [vote(1, 1)])
    assert house.run("posts", "votes", weeks, mean, checks=False).success
    before, versions = [house.published(table) for table in (weeks, mean)], house.versions()
    del versions["votes"]
    add_rows(house, "votes", {"id": 1, "post_id": 1, "creation_date": "2022-01-03", "arrival": 1})
    assert failed(results_of(house, "votes")) == {"key_is_unique"}

    # One of these depends on the table itself, the other on one that does.
    for dependent in (weeks, mean):
        result = house.run(dependent, checks=False)
        assert dict(failed_steps(result)) == {
            dependent: f"{dependent} stays as it is, for the check key_is_unique of votes, which "
            "it depends on, failed: 1 rows violate this: Every row has its own id. Mend the rows "
            "of votes, then run `warehouse check`. Once the check passes, the next run computes "
            f"{dependent}."
        }
    assert [house.published(table) for table in (weeks, mean)] == before
    assert {t: house.versions()[t] for t in (weeks, mean)} == {
        t: versions[t] for t in (weeks, mean)
    }

    votes = house.lake.table(VOTES).open()
    votes.restore(votes.version() - 1)
    _take(house, vote(2, 1))
    assert set(dict(failed_steps(house.run(weeks, checks=False)))) == {weeks}
    key = dg.AssetCheckKey(dg.AssetKey("votes"), "key_is_unique")
    assert set(run_checks(house, dg.AssetSelection.checks(key))[1]) == {"votes.key_is_unique"}
    assert house.run(weeks, checks=False).success
    assert house.published(weeks) == [(1, "2022-01-03", 2)]


def test_every_computed_table_depends_on_what_the_graph_shows_before_it(house: House) -> None:
    graph = defs.resolve_asset_graph()
    tables = {str(table.name): table for table in TABLES}
    computed = [t for t in tables.values() if graph.get(dg.AssetKey(str(t.name))).code_version]
    assert len(computed) == 15
    blocking = {
        key.asset_key.to_user_string() for key in graph.asset_check_keys if graph.get(key).blocking
    }
    assert blocking >= {str(table.name) for table in computed}
    for source in blocking:
        keep_results(house.lake, source, {"wrong": WRONG}, ["wrong"])
        after = dg.AssetSelection.assets(source).downstream(include_self=False).resolve(graph)
        refused = {str(table.name) for table in computed if _is_refused(house, table)}
        others = {"average_delivery_duration", "rejected_records", "unknown_fields", "loads"}
        assert refused == {key.to_user_string() for key in after} - others
        # A check that is no more stops nothing.
        keep_results(house.lake, source, {}, ["another"])
    assert not any(_is_refused(house, table) for table in computed)


def _is_refused(house: House, table: Table) -> bool:
    try:
        refuse_if_blocked(house.lake, table, [])
    except LakeError:
        return True
    return False
