"""`warehouse ingest`: how files are recognised and named, and what becomes of them."""

import gzip
import os
from pathlib import Path

import pytest

from warehouse_assets.catalogue import TABLES
from warehouse_assets.definitions import defs
from warehouse_assets.defs.forum.tables import VOTES_PER_POST_PER_WEEK
from warehouse_assets.tables import aggregates
from warehouse_assets_tests.cli.conftest import Command, Only, write_records
from warehouse_assets_tests.house import FORUM, House, post, vote
from warehouse_assets_tests.ingest.csv_files import HEADER, trip
from warehouse_assets_tests.orchestration.lake_rows import add_rows


@pytest.fixture
def only_posts_and_votes(only: Only) -> None:
    """What follows from the files is not computed."""
    only("posts", "votes", checks=False)


# The running average is a number, not a table.
UNCHANGED = (" unchanged, 0 rows", "average_delivery_duration: its source is not there, unchanged")
# Tables that add up note of which rows; others are as they were made.
ADDED_UP = {str(table.name) for table in TABLES if aggregates(table)}


def test_weeks_are_computed_anew_and_what_differed_is_told(command: Command, filled: House) -> None:
    right = filled.stored("votes_per_post_per_week")
    table = filled.lake.table(VOTES_PER_POST_PER_WEEK)
    table.open().update(updates={"votes": "votes + 7"})  # which nothing remembers
    wrong = filled.stored("votes_per_post_per_week")

    result = command("recompute", "--from", "2022-01-12")

    assert result.exit_code == 0
    assert "votes_per_post_per_week: 0 rows inserted, 1 updated, 0 deleted, 2 rows" in result.stdout
    assert "daily_trips: unchanged" in result.stdout
    assert filled.stored("votes_per_post_per_week") == [wrong[0], right[1]]
    assert command("recompute", "--from", "2022-01-09", "--to", "2022-01-12").exit_code == 0
    assert filled.stored("votes_per_post_per_week") == right
    (row,) = filled.published("mean_votes_per_post_per_week", "votes")[:1]
    assert row in {(1,), (9,)}
    result = command("recompute", "--from", "2022-01-12", "--to", "2022-01-03")
    assert (result.exit_code, "is after" in result.stderr) == (2, True)


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
    changed_now = {str(t.name) for t in FORUM if t.name != "outlier_weeks"} | {"loads"}
    assert unchanged == assets - changed_now
    absent = {line.partition(":")[0] for line in lines if ": its source is not there, " in line}
    assert absent >= {"batches", "students", "test_runs"}
    # Whether files have come is no question of a source that may be missing.
    assert "trips" not in absent
    changed = {name for name, version in house.versions().items() if version}
    assert changed & unchanged <= ADDED_UP


def test_what_became_of_files_is_told_and_the_answers_are_published(
    command: Command, house: House, mine: Path, only: Only
) -> None:
    only("votes", "votes_per_post_per_week")
    votes = write_records(mine / "votes.jsonl", vote(1, 1), vote(2, 1, Weight=[1]))
    with votes.open("a") as stream:
        stream.write('{"Id":"x"\n{bad\n{"Id":"x","PostId":"1","CreationDate":"2022-01-03"}\n')
    before = votes.read_bytes()

    result = command("ingest", votes)

    assert result.exit_code == 0
    assert (
        "votes: took 2 records of 1 files, rejected 3, 2 rows inserted, 0 updated, 0 deleted, "
        "2 rows\nvotes: fields that no column is for: Weight\n"
    ) in result.stdout
    assert "votes_per_post_per_week: 1 rows inserted, 0 updated, 0 deleted, 1 rows" in result.output
    rejected = [line for line in result.output.splitlines() if "│ 00000001-votes" in line]
    # unit, reason, what was seen at first, how many records, the first of them
    assert [[cell.strip() for cell in line.strip("│").split("│")] for line in rejected] == [
        ["00000001-votes.jsonl", "not valid JSON", "null", "2", "3"],
        ["00000001-votes.jsonl", "Id is not a whole number", "x", "1", "5"],
    ]
    assert "FAILED votes.rejected_share_is_low: 3 records were rejected" in result.output
    assert house.published("votes_per_post_per_week") == [(1, "2022-01-03", 2)]
    assert house.waiting() == []
    assert (list(mine.iterdir()), votes.read_bytes()) == ([votes], before)

    only("votes", "votes_per_post_per_week", checks=False)
    versions = house.versions()
    known = command("ingest", votes)
    assert known.exit_code == 0
    assert f"{votes} was taken before: its content is known." in " ".join(known.output.split())
    assert "votes: unchanged, 2 rows" in known.output
    assert "not valid JSON" not in known.output  # a run tells of its own
    assert house.versions() == versions

    result = command("ingest", write_records(mine / "votes-2.jsonl", vote(2, 7), vote(3, 7)))
    assert "votes: took 2 records of 1 files, 1 rows inserted, 1 updated, 0 deleted, 3 rows" in (
        result.output
    )
    assert house.published("votes_per_post_per_week") == [
        (1, "2022-01-03", 1),
        (7, "2022-01-03", 2),
    ]

    only("votes")
    twice = {"id": 9, "post_id": 1, "creation_date": "2022-01-10", "arrival": 7}
    add_rows(house, "votes", twice, twice)
    blocked = command("ingest")
    assert blocked.exit_code == 1
    assert "FAILED votes.key_is_unique: 1 rows violate this: Every row has its own id." in (
        blocked.output
    )
    assert "| 9 | 2 |" in blocked.output
    assert "dagster" not in blocked.output
    assert "Traceback" not in blocked.output


def test_files_of_which_nothing_can_be_used_are_named_and_exit_with_1_each_time(
    command: Command, house: House, mine: Path, only: Only
) -> None:
    only("posts", "votes", "trips", "rejected_records", checks=False)
    trips = HEADER + trip("Prague") + "\n"
    bad = {
        "trips-1.csv": (trips.partition("\n")[2], "columns missing in the header"),
        "trips-2.csv": (trips.replace("2018", "yesterday"), "datetime"),
        "votes.jsonl": ("{bad\n", "not valid JSON"),
        "posts.json": ('[{"Id": 1}, ', "not a whole JSON array"),
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

    again = command("ingest", mine / "posts.json", good)
    assert again.exit_code == 1
    assert f"{mine / 'posts.json'} was rejected as a whole then: not a whole JSON" in again.stderr
    assert command("ingest", good).exit_code == 0


def test_what_others_left_in_the_inbox_fails_the_command_only_if_it_takes_what_waits(
    command: Command, house: House, mine: Path, only: Only
) -> None:
    only("votes", "rejected_records", checks=False)
    names = ["orders.csv", "notes.txt", "votes.zip", "votes", ".hidden.csv", "orders.csv.part"]
    for name in names:
        house.deliver(name, "order,amount\n1,2\n")
    house.deliver("trips.csv", HEADER)  # will be taken, though not by this run
    for number, (given, code) in enumerate(
        (([write_records(mine / "votes.jsonl", vote(1, 1))], 0), ([], 1))
    ):
        house.deliver(f"votes-{number}-of-others.jsonl", "{bad" + "\n" * number)
        result = command("ingest", *given)

        assert result.exit_code == code
        assert f"-votes-{number}-of-others.jsonl could be used: not valid JSON." in result.stderr
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


def test_a_step_that_fails_is_told_in_words_and_exits_with_1(
    command: Command, house: House, mine: Path, only: Only, monkeypatch: pytest.MonkeyPatch
) -> None:
    only("votes", checks=False)
    votes = write_records(mine / "votes.jsonl", vote(1, 1))
    house.warehouse.path.parent.mkdir(parents=True)
    house.warehouse.path.write_text("not a database")

    result = command("ingest", votes)

    assert result.exit_code == 1
    assert "votes failed: The warehouse sqlite:///" in result.output
    assert "is not a readable SQLite database" in result.output
    assert "Traceback" not in result.output
    assert "Error:" not in result.output

    monkeypatch.setenv("ARCHIVE", str(votes / "archive"))
    votes.write_text(votes.read_text().replace("2022", "2021"))
    result = command("ingest", votes)
    assert result.exit_code == 1
    assert "Check the setting ARCHIVE" in result.output
    assert "Traceback" not in result.output


@pytest.mark.usefixtures("only_posts_and_votes")
def test_files_are_known_by_name_or_content_or_are_told_and_keep_what_they_can_of_their_names(
    command: Command, house: House, mine: Path
) -> None:
    (mine / "other").mkdir()
    packed = mine / "export.bin"
    packed.write_bytes(gzip.compress(b'{"Id":"5","PostId":"1","CreationDate":"2022-01-03"}\n'))
    (mine / "linked.jsonl").symlink_to(write_records(mine / "2022.dat", vote(6, 1)))
    recognised = [
        write_records(mine / "votes.json", vote(1, 1)),
        write_records(mine / "Votes_2022.NDJSON", vote(2, 1)),
        write_records(mine / "export.jsonl", vote(3, 1)),  # recognised by its fields
        write_records(mine / "other" / "votes.json", vote(4, 1)),
        mine / "linked.jsonl",
    ]
    told = [
        packed,
        *(
            write_records(mine / name, vote(number, 1))
            for number, name in enumerate(("export.dat", "votes", "posts.json", "déjà vu [1].t"), 7)
        ),
    ]

    result = command(
        "ingest",
        *recognised,
        *(word for file in told for word in ("--votes", file)),
        "--posts",
        write_records(mine / "a", post(1)),
    )

    assert result.exit_code == 0, result.output
    assert house.archived() == [
        "posts/00000001-posts-a.json",
        "votes/00000001-votes.json",
        "votes/00000002-Votes_2022.NDJSON",
        "votes/00000003-votes-export.jsonl",
        "votes/00000004-votes-2.json",
        "votes/00000005-votes-linked.jsonl",
        "votes/00000006-votes-export.bin.json",
        "votes/00000007-votes-export.dat.json",
        "votes/00000008-votes-votes.json",
        "votes/00000009-votes-posts.json",
        "votes/00000010-votes-déjà vu [1].t.json",
    ]
    assert sorted(number for (number,) in house.stored("votes", "id")) == list(range(1, 11))
    assert (mine / "linked.jsonl").is_symlink()


def test_what_is_not_recognised_or_no_file_is_wrong_usage_and_nothing_is_copied(
    command: Command, house: House, mine: Path
) -> None:
    good = write_records(mine / "votes.json", vote(1, 1))
    contents = {"x.json": '{"name": "x"}', "y.json": "\0\1\2", "z.csv": "region,origin\n"}
    for name, content in contents.items():
        strange = mine / name
        strange.write_text(content)

        result = command("ingest", good, strange)

        assert result.exit_code == 2
        assert f"{strange} is not recognised as posts, votes or trips" in result.output
        assert "with --posts FILE, --votes FILE or --trips FILE." in result.output

    os.mkfifo(mine / "pipe.jsonl")
    for path, words in (
        (mine / "pipe.jsonl", "is no file but a pipe or a device"),
        (mine / "none.json", "does not exist"),
        (mine, "is a directory"),
    ):
        result = command("ingest", path)
        assert (result.exit_code, words in result.output) == (2, True), result.output
    assert not house.settings.home.exists()


@pytest.mark.usefixtures("only_posts_and_votes")
def test_a_link_that_waits_in_the_inbox_is_named_and_stays(
    command: Command, house: House, mine: Path
) -> None:
    secret = mine / "secret"
    secret.write_text("password=hunter2")
    votes = house.deliver("votes.jsonl", [vote(1, 1)])
    votes.with_name("votes-2.jsonl").symlink_to(secret)

    result = command("ingest")

    assert result.exit_code == 0
    assert "votes-2.jsonl stays in the inbox: it is a symbolic link" in result.stderr
    assert "hunter2" not in result.output
    assert house.rejected() == []


@pytest.mark.usefixtures("only_posts_and_votes")
def test_a_file_replaces_none_that_waits_and_the_last_one_given_counts_as_the_newest(
    command: Command, house: House, mine: Path
) -> None:
    house.deliver("votes.tar.json", [vote(2, 1)])
    older = write_records(mine / "votes.tar.json", vote(1, 7))
    newer = write_records(mine / "votes-a.json", vote(1, 8))

    assert command("ingest", older, newer).exit_code == 0

    assert house.archived() == [
        "votes/00000001-votes.tar.json",
        "votes/00000002-votes-2.tar.json",
        "votes/00000003-votes-a.json",
    ]
    assert house.stored("votes", "id, post_id") == [(1, 8), (2, 1)]
