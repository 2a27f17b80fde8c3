"""`warehouse check`, `rebuild`, `maintain` and `backup`: exit codes, and what they show."""

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from warehouse_assets.definitions import defs
from warehouse_assets_tests.cli.conftest import Command, Only
from warehouse_assets_tests.folders import folder_of
from warehouse_assets_tests.house import FORUM, House, post, vote
from warehouse_assets_tests.ingest.deliveries import take
from warehouse_assets_tests.orchestration.lake_rows import add_rows

CHECKS = len(defs.resolve_asset_graph().asset_check_keys)


def count_of_checks(*tables: str) -> int:
    keys = defs.resolve_asset_graph().asset_check_keys
    return sum(check.asset_key.to_user_string() in tables for check in keys)


def test_checks_of_good_data_pass_and_take_and_change_nothing(
    command: Command, filled: House
) -> None:
    # The data of one family is enough.
    assert not (folder_of(filled.settings.lake) / "trips").exists()
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

    for table in FORUM:  # without rows
        house.lake.table(table).open()
    assert _is_said_to_be_without_data(command, house)


def test_a_warning_is_shown_with_sample_rows_and_exits_with_0(
    command: Command, house: House, only: Only
) -> None:
    only("votes")
    house.deliver("votes.jsonl", [vote(1, 404)])
    take(house)

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


@pytest.mark.parametrize(
    ("row", "failed"),
    [
        ("", "votes.rejected_share_is_low: 1 records were rejected"),
        ({"id": 1, "arrival": 1}, "votes.required_columns_are_filled: 1 rows violate this: "),
    ],
    ids=["not blocking", "blocking"],
)
def test_a_failed_check_exits_with_1_and_the_others_are_made(
    command: Command, house: House, only: Only, row: Any, failed: str
) -> None:
    only("votes", "posts")
    if row:
        add_rows(house, "votes", row)
    else:
        house.deliver("votes.jsonl", '{"Id": "x"}\n')
        take(house)

    result = command("check")

    assert (result.exit_code, result.stderr) == (1, "")
    assert f"FAILED {failed}" in result.stdout
    assert f" of {count_of_checks('votes', 'posts')} checks passed." in result.stdout


def test_what_is_the_same_of_all_checks_of_a_table_that_cannot_be_read_is_told_once(
    command: Command, filled: House, only: Only
) -> None:
    only("votes", "posts")
    (file,) = (folder_of(filled.settings.lake) / "votes").glob("*.parquet")
    os.truncate(file, file.stat().st_size // 2)

    result = command("check")

    assert result.exit_code == 1
    failed, passed = result.stdout.replace("\n", " ").split(": The lake table votes ")
    assert failed.startswith("FAILED votes.dates_are_plausible, votes.has_no_unknown_fields, ")
    assert failed.count("votes.") == count_of_checks("votes")
    assert "posts." not in failed.replace("votes.posts_are_known", "")
    assert str(file) in passed
    good, count = count_of_checks("posts"), count_of_checks("posts", "votes")
    assert passed.endswith(f" {good} of {count} checks passed. ")
    assert "Traceback" not in result.output


@pytest.fixture
def looked_at(filled: House, only: Only) -> House:
    """A warehouse of which only the checks of one table are made beside."""
    only("outlier_weeks")
    return filled


def by_hand(house: House, *statements: str) -> None:
    with closing(sqlite3.connect(house.warehouse.path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def test_a_flipped_byte_fails_and_names_the_file_and_maintenance_too(
    command: Command, looked_at: House
) -> None:
    (file,) = (folder_of(looked_at.settings.lake) / "votes").glob("*.parquet")
    content = bytearray(file.read_bytes())
    content[60] ^= 1
    file.write_bytes(content)

    result = command("check", "--deep")

    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"The file {file} is not what was committed")
    assert line.endswith("the next run makes the table again from the archive.")
    assert command("check").exit_code == 0

    maintained = command("maintain")
    assert maintained.exit_code == 1
    assert f"The file {file} is not what was committed" in maintained.stderr
    assert "rebuild" not in maintained.stderr  # it would take the damage into the warehouse
    assert "posts: " in maintained.stdout
    assert "votes: " not in maintained.stdout
    assert file.exists()


def test_rows_deleted_by_hand_fail_and_rebuilding_heals(command: Command, looked_at: House) -> None:
    by_hand(looked_at, "DELETE FROM votes WHERE id = 3", "UPDATE posts SET title = 'mine'")

    for arguments in (("check", "--deep"), ("maintain",)):
        result = command(*arguments)
        assert result.exit_code == 1
        assert "The table votes of the warehouse " in result.stderr
        assert "It has 9 rows, the lake has 10. `warehouse rebuild`" in result.stderr
        assert "It has 2 rows, as many as the lake, but with other values." in result.stderr

    assert command("rebuild").exit_code == 0
    result = command("check", "--deep")
    assert result.exit_code == 0
    assert "7 files of the lake compared with their hashes; 7 tables" in result.stdout
    assert result.stdout.endswith("0 damaged.\n")
    assert command("maintain").exit_code == 0


def test_a_warehouse_that_is_not_there_or_not_whole_is_told(
    command: Command, looked_at: House
) -> None:
    by_hand(looked_at, "DROP TABLE votes", "DELETE FROM _published WHERE table_name = 'posts'")
    result = command("check", "--deep")
    assert result.exit_code == 1
    assert "posts of the warehouse" in result.stderr
    assert "is behind the lake. It is not published. The next run publishes it." in result.stderr
    assert "votes of the warehouse" in result.stderr

    looked_at.warehouse.path.unlink()
    result = command("check", "--deep")
    assert result.exit_code == 1
    assert result.stderr.count("There is no warehouse at") == 1


def everything(house: House) -> dict[str, object]:
    return {name: house.published(name) for name in house.versions()}


def test_what_is_lost_changed_or_unreadable_is_written_whole(
    command: Command, filled: House
) -> None:
    before = everything(filled)
    filled.warehouse.path.unlink()

    result = command("rebuild")

    assert result.exit_code == 0
    assert everything(filled) == before
    assert result.stdout.splitlines() == [
        "posts: 2 rows",
        "votes: 10 rows",
        "votes_per_post_per_week: 2 rows",
        "mean_votes_per_post_per_week: 2 rows",
        "outlier_weeks: 2 rows",
        "rejected_records: 1 rows",
        "loads: 2 rows",
    ]

    with closing(sqlite3.connect(filled.warehouse.path)) as connection:
        connection.execute("UPDATE votes SET post_id = 99")
        connection.execute("DELETE FROM posts")
        connection.execute("CREATE TABLE mine (number)")
        connection.commit()
    assert everything(filled) != before
    assert command("rebuild").exit_code == 0
    assert everything(filled) == before
    assert filled.published("mine") == []  # the file was not moved

    filled.warehouse.path.write_bytes(b"damaged" * 1000)
    result = command("rebuild")
    assert result.exit_code == 0
    assert everything(filled) == before
    (aside,) = filled.settings.home.glob("warehouse.db.unreadable-*")
    assert aside.read_bytes() == b"damaged" * 1000
    assert result.stdout.startswith(f"The unreadable database was moved to {aside}.")

    content = filled.warehouse.path.read_bytes()
    assert filled.run("votes", checks=False).success  # and publishes nothing
    assert filled.warehouse.path.read_bytes() == content


def test_a_home_with_the_warehouse_of_another_one_is_refused_until_it_is_rebuilt(
    command: Command,
    only: Only,
    filled: House,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    only("posts", checks=False)
    before = everything(filled)
    staging = House(
        tmp_path / "staging", filled.instance, WAREHOUSE_URL=filled.settings.warehouse_url
    )
    staging.deliver("posts.jsonl", [post(7)])
    for variable, value in staging.environment.items():
        monkeypatch.setenv(variable, value)

    assert command("rebuild").stdout == ""  # of an empty lake nothing is published
    refused = command("ingest")

    assert refused.exit_code == 1
    assert f"the lake in {filled.settings.lake}" in refused.stderr
    assert f"the lake in {staging.settings.lake}" in refused.stderr
    assert everything(filled) == before

    assert "posts: 1 rows" in command("rebuild").stdout.splitlines()
    assert [number for number, *_ in filled.published("posts")] == [7]
    assert not filled.run("posts", checks=False).success
    assert staging.run("posts", checks=False).success


def test_maintenance_makes_small_files_one_and_the_answers_stay(
    command: Command, house: House
) -> None:
    for name in ("maintain", "rebuild"):  # without a lake there is nothing to do
        result = command(name)
        assert (result.exit_code, result.output) == (0, "")
    assert not house.settings.home.exists()
    for number in range(3):
        house.deliver("votes.json", [vote(number, 1)])
        take(house)
    rows = house.stored("votes")

    result = command("maintain")

    assert result.exit_code == 0
    assert "votes: 3 files are now 1; 0 that no version needs were removed" in result.output
    assert house.stored("votes") == rows


def test_a_backup_says_what_it_copied_and_whether_it_is_complete(
    house: House, command: Command, tmp_path: Path
) -> None:
    house.deliver("votes.jsonl", [vote(1, 1)])
    take(house)
    (house.settings.home / "api_keys").write_text("hash\n")
    folder = tmp_path / "backup"

    first, second = (command("backup", folder) for _ in range(2))

    assert (first.exit_code, second.exit_code) == (0, 0)
    # Two entries of the log of each table; votes and loads, their hashes; the file, the keys.
    assert f"{folder} holds 3 tables and 12 files; 12 of them, " in first.output
    assert f"{folder} holds 3 tables and 12 files; 0 of them, 0 bytes, " in second.output
    told = json.loads((folder / "backup.json").read_text())
    assert told["versions"] == {"loads": 1, "votes": 1, "rejected_records": 1}
    assert (folder / "api_keys").read_text() == "hash\n"
    assert sorted(path.name for path in (folder / "archive" / "votes").iterdir()) == [
        "00000001-votes.jsonl"
    ]


def test_a_folder_of_something_else_is_refused_in_words(command: Command, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").touch()

    result = command("backup", tmp_path / "photos")

    assert result.exit_code == 1
    assert "is not empty and holds no backup. Give a new folder" in result.output
