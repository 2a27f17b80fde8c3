"""`warehouse rebuild`: the whole warehouse anew from the lake."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from warehouse_assets_tests.cli.conftest import Command, Only
from warehouse_assets_tests.house import House, post


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
    assert filled.run(checks=False).success  # and publishes nothing
    assert filled.warehouse.path.read_bytes() == content


def test_without_a_lake_there_is_nothing_to_write(command: Command, house: House) -> None:
    result = command("rebuild")

    assert result.exit_code == 0
    assert result.stdout == ""
    assert not house.settings.lake.exists()


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
