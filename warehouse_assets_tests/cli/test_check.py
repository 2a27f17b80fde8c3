"""`warehouse check`: its exit code and what it shows."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from warehouse_assets.definitions import defs
from warehouse_assets_tests.cli.conftest import Command, Only
from warehouse_assets_tests.house import FORUM, House, post, vote
from warehouse_assets_tests.orchestration.lake_rows import add_rows

# Which they are is in test_definitions.
_CHECKS = defs.resolve_asset_graph().asset_check_keys
CHECKS = len(_CHECKS)
FORUM_TABLES = [str(table.name) for table in FORUM]


def count_of_checks(*tables: str) -> int:
    return sum(check.asset_key.to_user_string() in tables for check in _CHECKS)


def test_checks_of_good_data_pass_and_take_and_change_nothing(
    command: Command, filled: House
) -> None:
    assert not (filled.settings.lake / "trips").exists()  # the data of one family is enough
    filled.deliver("votes.jsonl", [vote(11, 1)])
    versions = filled.versions()
    published = filled.warehouse.path.read_bytes()

    result = command("check")

    assert result.exit_code == 0
    assert result.stdout.splitlines() == [f"{CHECKS} of {CHECKS} checks passed."]
    assert filled.waiting() == ["votes.jsonl"]
    assert filled.versions() == versions
    assert filled.warehouse.path.read_bytes() == published


def _is_said_to_be_without_data(command: Command, house: House) -> bool:
    result = command("check")
    assert result.stdout == ""
    assert f"no table of the lake {house.settings.lake} has a row" in result.stderr
    assert "WAREHOUSE_HOME" in result.stderr
    return result.exit_code == 3


def test_a_home_without_data_is_said_to_be_one_and_stays_as_it_is(
    command: Command, house: House
) -> None:
    assert _is_said_to_be_without_data(command, house)
    assert not house.settings.home.exists()

    house.deliver("votes.jsonl", [vote(1, 1)])

    assert _is_said_to_be_without_data(command, house)
    assert list(house.settings.home.rglob("*")) == [
        house.settings.inbox,
        house.settings.inbox / "votes.jsonl",
    ]


def test_a_home_of_tables_without_rows_is_one_without_data(command: Command, house: House) -> None:
    house.run(checks=False)
    assert set(house.versions()) == set(FORUM_TABLES)

    assert _is_said_to_be_without_data(command, house)


def test_a_warning_is_shown_with_sample_rows_and_exits_with_0(
    command: Command, house: House, only: Only
) -> None:
    only("votes")
    house.deliver("votes.jsonl", [vote(1, 404)])
    house.run("votes", checks=False)

    result = command("check")

    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith("WARNING votes.posts_are_known: 1 rows violate this: ")
    assert lines[1:-1] == [
        "| id | post_id | creation_date |",
        "| --- | --- | --- |",
        "| 1 | 404 | 2022-01-03 00:00:00 |",
    ]
    count = count_of_checks("votes")
    assert lines[-1] == f"{count - 1} of {count} checks passed."


def test_a_failed_check_that_does_not_block_exits_with_1(
    command: Command, house: House, only: Only
) -> None:
    only("votes")
    house.deliver("votes.jsonl", '{"Id": "x"}\n')
    assert house.run("votes", checks=False).success

    result = command("check")

    assert result.exit_code == 1
    assert result.stdout.startswith("FAILED votes.rejected_share_is_low: 1 records were rejected")


def test_a_failed_blocking_check_exits_with_1_and_the_others_are_made(
    command: Command, house: House, only: Only
) -> None:
    only(*FORUM_TABLES)
    add_rows(house, "posts", {"id": 1, "arrival": 1})
    add_rows(house, "votes", {"id": 1, "arrival": 1})

    result = command("check")

    assert result.exit_code == 1
    assert "FAILED posts.required_columns_are_filled" in result.stdout
    assert "FAILED votes.required_columns_are_filled" in result.stdout
    assert f" of {count_of_checks(*FORUM_TABLES)} checks passed." in result.stdout
    assert result.stderr == ""


def _cut_a_file_in_half(votes: Path) -> Path:
    (file,) = votes.glob("*.parquet")
    os.truncate(file, file.stat().st_size // 2)
    return file


def _lose_the_log(votes: Path) -> Path:
    shutil.rmtree(votes / "_delta_log")
    return votes


@pytest.mark.parametrize("damage", [_cut_a_file_in_half, _lose_the_log])
def test_all_checks_of_a_table_that_cannot_be_read_fail_though_they_passed_before(
    command: Command, house: House, only: Only, damage: Callable[[Path], Path]
) -> None:
    only("votes", "posts")
    house.deliver("posts.jsonl", [post(1)])
    house.deliver("votes.jsonl", [vote(1, 1)])
    house.run("posts", "votes", checks=False)
    assert command("check").exit_code == 0

    named = damage(house.settings.lake / "votes")

    result = command("check")
    assert result.exit_code == 1
    failed, passed = result.stdout.replace("\n", " ").split(": The lake table votes ")
    assert failed.startswith("FAILED votes.dates_are_plausible, votes.has_no_unknown_fields, ")
    assert failed.count("votes.") == count_of_checks("votes")
    assert "posts." not in failed.replace("votes.posts_are_known", "")
    assert str(named) in passed
    good, count = count_of_checks("posts"), count_of_checks("posts", "votes")
    assert passed.endswith(f" {good} of {count} checks passed. ")
    assert "Traceback" not in result.output


def test_a_check_that_reads_a_table_that_cannot_be_read_fails(
    command: Command, house: House, only: Only
) -> None:
    only("votes")
    house.deliver("posts.jsonl", [post(1)])
    house.deliver("votes.jsonl", [vote(1, 1)])
    house.run("posts", "votes", checks=False)
    assert command("check").exit_code == 0

    _cut_a_file_in_half(house.settings.lake / "posts")

    result = command("check")
    assert result.exit_code == 1
    assert result.stdout.startswith("FAILED votes.posts_are_known: The lake table posts cannot ")
    count = count_of_checks("votes")
    assert result.stdout.endswith(f"{count - 1} of {count} checks passed.\n")
