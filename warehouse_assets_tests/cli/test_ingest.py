"""`warehouse ingest`: what becomes of files."""

from pathlib import Path
from typing import Any

import pytest

from warehouse_assets.catalogue import TABLES
from warehouse_assets.definitions import defs
from warehouse_assets.tables import aggregates
from warehouse_assets_tests.cli.conftest import Command, Only, write_records
from warehouse_assets_tests.house import FORUM, House, post, vote
from warehouse_assets_tests.ingest.csv_files import HEADER, trip
from warehouse_assets_tests.orchestration.lake_rows import add_rows


def test_files_are_taken_and_the_answers_published(
    command: Command, house: House, mine: Path, only: Only
) -> None:
    only(*(str(table.name) for table in FORUM))
    posts = write_records(mine / "posts.jsonl", post(1), post(2))
    votes = write_records(mine / "votes.jsonl", vote(1, 1), vote(2, 1))

    result = command("ingest", posts, votes)

    assert result.exit_code == 0
    assert house.published("mean_votes_per_post_per_week") == [("2022-01-03", 2, 1, 2.0, 2, 1.0)]
    assert "posts: took 2 records of 1 files, 2 rows inserted, 0 updated, 0 deleted, 2 rows" in (
        result.output
    )
    assert "votes_per_post_per_week: 1 rows inserted, 0 updated, 0 deleted, 1 rows" in (
        result.output
    )
    assert house.waiting() == []


# The running average is a number, not a table.
UNCHANGED = (" unchanged, 0 rows", "average_delivery_duration: its source is not there, unchanged")
# Tables that add up note of which rows; others are as they were made.
ADDED_UP = {str(table.name) for table in TABLES if aggregates(table)}


def test_without_a_file_everything_that_waits_is_taken_and_nothing_else_changes(
    command: Command, house: House, only: Only
) -> None:
    graph = defs.resolve_asset_graph()
    assets = {key.to_user_string() for key in graph.materializable_asset_keys}
    only(*assets, checks=False)
    house.deliver("posts.jsonl", [post(1)])
    house.deliver("votes.jsonl", [vote(1, 1)])
    house.deliver("strange.json", '{"name": "x"}')

    result = command("ingest")

    assert result.exit_code == 1  # for what is strange
    assert house.waiting() == []
    assert len(house.published("posts")) == len(house.published("votes")) == 1
    assert [row[0] for row in house.published("rejected_records")] == ["unrecognised"]
    lines = result.stdout.splitlines()
    told = [line.partition(":")[0] for line in lines if ":" in line]
    assert sorted(name for name in told if name in assets) == sorted(assets)
    unchanged = {line.partition(":")[0] for line in lines if line.endswith(UNCHANGED)}
    # One week is no outlier.
    assert unchanged == assets - {str(t.name) for t in FORUM if t.name != "outlier_weeks"}
    absent = {line.partition(":")[0] for line in lines if ": its source is not there, " in line}
    assert absent >= {"batches", "students", "test_runs"}
    # Whether files have come is no question of a source that may be missing.
    assert "trips" not in absent
    changed = {name for name, version in house.versions().items() if version}
    assert changed & unchanged <= ADDED_UP


def test_what_was_taken_before_changes_nothing_and_a_further_delivery_updates(
    command: Command, house: House, mine: Path, only: Only
) -> None:
    only("votes", "votes_per_post_per_week", checks=False)
    votes = write_records(mine / "votes.jsonl", vote(1, 1), vote(2, 1))
    before = votes.read_bytes()
    command("ingest", votes)
    versions = house.versions()

    known = command("ingest", votes)

    assert known.exit_code == 0
    assert f"{votes} was taken before: its content is known." in " ".join(known.output.split())
    assert "votes: unchanged, 2 rows" in known.output
    assert house.versions() == versions
    assert house.waiting() == []
    assert (list(mine.iterdir()), votes.read_bytes()) == ([votes], before)

    result = command("ingest", write_records(mine / "votes-2.jsonl", vote(2, 7), vote(3, 7)))

    assert "votes: took 2 records of 1 files, 1 rows inserted, 1 updated, 0 deleted, 3 rows" in (
        result.output
    )
    assert house.published("votes_per_post_per_week") == [
        (1, "2022-01-03", 1),
        (7, "2022-01-03", 2),
    ]


def test_fields_that_no_column_is_for_are_named(
    command: Command, house: House, mine: Path, only: Only
) -> None:
    only("votes", "trips", "rejected_records")
    votes = write_records(mine / "votes.jsonl", vote(1, 1, Weight=[1]))
    path = mine / "trips.csv"
    path.write_text(HEADER.replace("\n", ",Fare\n") + trip("Prague") + ",7\n")

    result = command("ingest", votes, path)

    assert result.exit_code == 0
    assert "votes: fields that no column is for: Weight\n" in result.stdout
    assert "trips: fields that no column is for: fare\n" in result.stdout
    assert len(house.published("unknown_fields")) == 2


def test_reasons_of_rejected_records_are_printed(command: Command, mine: Path, only: Only) -> None:
    only("votes")
    votes = mine / "votes.jsonl"
    votes.write_text('{"Id":"1","PostId":"1","CreationDate":"2022-01-03"}\n{"Id":"x"\n{bad\n')
    with votes.open("a") as stream:
        stream.write('{"Id":"x","PostId":"1","CreationDate":"2022-01-03"}\n')

    result = command("ingest", votes)

    assert result.exit_code == 0
    assert "votes: took 1 records of 1 files, rejected 3" in result.output
    rejected = [line for line in result.output.splitlines() if "│ 00000001-votes" in line]
    # unit, reason, what was seen at first, how many records, the first of them
    assert [[cell.strip() for cell in line.strip("│").split("│")] for line in rejected] == [
        ["00000001-votes.jsonl", "not valid JSON", "null", "2", "2"],
        ["00000001-votes.jsonl", "Id is not a whole number", "x", "1", "4"],
    ]
    assert "FAILED votes.rejected_share_is_low: 3 records were rejected" in result.output

    # The next run tells of its own.
    again = command("ingest", write_records(mine / "votes-2.jsonl", vote(1, 1)))
    assert "not valid JSON" not in again.output.partition("FAILED")[0]


_GOOD_TRIP = (
    "region,origin_coord,destination_coord,datetime,datasource\n"
    "Prague,POINT (14.4 50.0),POINT (14.5 50.1),2018-05-28 09:03:40,funny_car\n"
)


def test_files_of_which_nothing_can_be_used_are_named_and_exit_with_1(
    command: Command, house: House, mine: Path, only: Only
) -> None:
    only("posts", "votes", "trips", "rejected_records", checks=False)
    bad = {
        "trips-1.csv": (_GOOD_TRIP.partition("\n")[2], "columns missing in the header"),
        "trips-2.csv": (_GOOD_TRIP.replace("2018-05-28", "yesterday"), "datetime"),
        "votes.jsonl": ("{bad\n", "not valid JSON"),
        "posts.json": ("\x1f", "not valid JSON"),
    }
    for name, (content, _) in bad.items():
        (mine / name).write_text(content)
    good = write_records(mine / "votes-good.jsonl", vote(1, 1))

    result = command("ingest", *(mine / name for name in bad), good)

    assert result.exit_code == 1
    told = {line for line in result.stderr.splitlines() if line.startswith("Nothing in ")}
    for name, (_, reason) in bad.items():
        (line,) = {x for x in told if x.startswith(f"Nothing in {mine / name} could be used: ")}
        assert reason in line
    assert len(told) == len(bad)
    assert house.stored("votes", "id") == [(1,)]


def test_a_file_that_was_rejected_as_a_whole_before_exits_with_1_again(
    command: Command, mine: Path, only: Only
) -> None:
    only("votes", "rejected_records", checks=False)
    bad = mine / "votes.json"
    bad.write_text('[{"Id": 1}, ')
    good = write_records(mine / "votes-good.jsonl", vote(1, 1))

    for times in range(2):
        result = command("ingest", bad, good)
        assert result.exit_code == 1
        assert "not a whole JSON array" in result.stderr
        assert ("was rejected as a whole then" in result.stderr) == (times == 1)
    assert command("ingest", good).exit_code == 0


@pytest.mark.parametrize(("is_given_a_file", "code"), [(True, 0), (False, 1)])
def test_what_others_left_in_the_inbox_fails_the_command_only_if_it_takes_what_waits(
    command: Command, house: House, mine: Path, only: Only, is_given_a_file: bool, code: int
) -> None:
    only("votes", "rejected_records", checks=False)
    house.deliver("votes-of-others.jsonl", "{bad\n")
    names = ["orders.csv", "notes.txt", "votes.zip", "votes", ".hidden.csv", "orders.csv.part"]
    for name in names:
        house.deliver(name, "order,amount\n1,2\n")
    house.deliver("trips.csv", _GOOD_TRIP)  # will be taken, though not by this run
    given = [write_records(mine / "votes.jsonl", vote(1, 1))] if is_given_a_file else []

    result = command("ingest", *given)

    assert result.exit_code == code
    assert "Nothing in 00000001-votes-of-others.jsonl could be used: not valid JSON." in (
        result.stderr
    )
    # Files that nobody takes are named with what is taken.
    told = [line for line in result.stderr.splitlines() if " stays in the inbox: " in line]
    assert sorted(line.partition(" stays ")[0] for line in told) == [
        "notes.txt",
        "orders.csv",
        "votes",
        "votes.zip",
    ]
    assert all("posts (" in line and "votes (" in line and "trips (" in line for line in told)
    assert len(house.waiting()) == len(names) + 1


def test_the_asset_of_rejected_records_names_files_that_nobody_takes(house: House) -> None:
    house.deliver("orders.csv", "order,amount\n1,2\n")

    result = house.run("rejected_records", checks=False)

    (event,) = result.get_asset_materialization_events()
    left: Any = event.materialization.metadata["files_nobody_takes"].value
    assert list(left) == ["orders.csv"]


def test_a_failed_blocking_check_is_told_in_words_and_exits_with_1(
    command: Command, house: House, only: Only
) -> None:
    only("votes")
    house.deliver("votes.jsonl", [vote(1, 1)])
    house.run("votes", checks=False)
    twice = {"id": 9, "post_id": 1, "creation_date": "2022-01-10", "arrival": 7}
    add_rows(house, "votes", twice, twice)

    result = command("ingest")

    assert result.exit_code == 1
    assert "FAILED votes.key_is_unique: 1 rows violate this: Every row has its own id." in (
        result.output
    )
    assert "| 9 | 2 |" in result.output
    assert "dagster" not in result.output
    assert "Traceback" not in result.output


def test_a_step_that_fails_is_told_in_words_and_exits_with_1(
    command: Command, house: House, mine: Path
) -> None:
    votes = write_records(mine / "votes.jsonl", vote(1, 1))
    house.warehouse.path.parent.mkdir(parents=True)
    house.warehouse.path.write_text("not a database")

    result = command("ingest", votes)

    assert result.exit_code == 1
    assert "votes failed: The warehouse sqlite:///" in result.output
    assert "is not a readable SQLite database" in result.output
    assert "Traceback" not in result.output
    assert "Error:" not in result.output


def test_an_archive_that_cannot_be_made_is_told_in_words(
    command: Command, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    votes = write_records(mine / "votes.jsonl", vote(1, 1))
    monkeypatch.setenv("ARCHIVE", str(votes / "archive"))

    result = command("ingest", votes)

    assert result.exit_code == 1
    assert "Check the setting ARCHIVE" in result.output
    assert "Traceback" not in result.output
