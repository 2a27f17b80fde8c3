"""`warehouse check`: its exit code and what it shows."""

from warehouse_assets.definitions import defs
from warehouse_assets_tests.cli.conftest import Command, Only
from warehouse_assets_tests.graph.lake_rows import add_rows
from warehouse_assets_tests.house import FORUM, House, vote

# Which they are is in test_definitions.
_CHECKS = defs.resolve_asset_graph().asset_check_keys
CHECKS = len(_CHECKS)
FORUM_TABLES = [str(table.name) for table in FORUM]


def count_of_checks(*tables: str) -> int:
    return sum(check.asset_key.to_user_string() in tables for check in _CHECKS)


def test_checks_of_good_data_pass_and_take_and_change_nothing(
    command: Command, filled: House
) -> None:
    filled.deliver("votes.jsonl", [vote(11, 1)])
    versions = filled.versions()
    published = filled.warehouse.path.read_bytes()

    result = command("check")

    assert result.exit_code == 0
    assert result.stdout.splitlines() == [f"{CHECKS} of {CHECKS} checks passed."]
    assert filled.waiting() == ["votes.jsonl"]
    assert filled.versions() == versions
    assert filled.warehouse.path.read_bytes() == published


def test_checks_of_nothing_pass_and_make_nothing(
    command: Command, house: House, only: Only
) -> None:
    only(*FORUM_TABLES)
    house.deliver("votes.jsonl", [vote(1, 1)])

    assert command("check").exit_code == 0

    assert house.waiting() == ["votes.jsonl"]
    assert house.versions() == {}
    assert not house.warehouse.path.exists()


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


def test_a_lake_that_cannot_be_read_is_told_in_words_and_exits_with_1(
    command: Command, house: House, only: Only
) -> None:
    only("votes")
    house.deliver("votes.jsonl", [vote(1, 1)])
    house.run("votes", checks=False)
    for entry in (house.settings.lake / "votes" / "_delta_log").iterdir():
        entry.write_text("damaged")

    result = command("check")

    assert result.exit_code == 1
    assert "check_votes failed: The lake table votes in " in result.stderr
    assert "Traceback" not in result.output
