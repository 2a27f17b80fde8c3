"""`warehouse ingest`: how files are recognised, and the names they get in the inbox."""

import gzip
import os
from pathlib import Path

import pytest

from warehouse_assets_tests.cli.conftest import Command, Only, write_records
from warehouse_assets_tests.house import House, post, vote


@pytest.fixture(autouse=True)
def what_follows_from_the_files_is_not_computed(only: Only) -> None:
    only("posts", "votes", checks=False)


def test_recognised_files_keep_what_they_can_of_their_names(
    command: Command, house: House, mine: Path
) -> None:
    votes = [
        write_records(mine / "votes.json", vote(1, 1)),
        write_records(mine / "Votes_2022.NDJSON", vote(2, 1)),
        write_records(mine / "export.jsonl", vote(3, 1)),  # recognised by its fields
    ]

    assert command("ingest", *votes).exit_code == 0

    assert house.archived() == [
        "votes/00000001-votes.json",
        "votes/00000002-Votes_2022.NDJSON",
        "votes/00000003-votes-export.jsonl",
    ]
    assert len(house.published("votes")) == 3


def test_files_of_votes_may_have_any_name(command: Command, house: House, mine: Path) -> None:
    names = ["export.dat", "export", "votes", "posts.json", "déjà vu [1].txt"]
    options: list[str | Path] = []
    for number, name in enumerate(names):
        options += ["--votes", write_records(mine / name, vote(number, 1))]

    assert command("ingest", *options).exit_code == 0

    assert house.archived() == [
        "votes/00000001-votes-export.dat.json",
        "votes/00000002-votes-export.json",
        "votes/00000003-votes-votes.json",
        "votes/00000004-votes-posts.json",
        "votes/00000005-votes-déjà vu [1].txt.json",
    ]
    assert len(house.published("votes")) == 5


def test_a_compressed_file_may_have_any_name(command: Command, house: House, mine: Path) -> None:
    votes = write_records(mine / "plain", vote(1, 1))
    packed = mine / "export.bin"
    packed.write_bytes(gzip.compress(votes.read_bytes()))

    assert command("ingest", "--votes", packed).exit_code == 0
    assert len(house.published("votes")) == 1


def test_posts_and_votes_can_be_given_in_every_way_at_once(
    command: Command, house: House, mine: Path
) -> None:
    result = command(
        "ingest",
        write_records(mine / "votes.json", vote(1, 1)),
        "--posts",
        write_records(mine / "a", post(1)),
        "--votes",
        write_records(mine / "b", vote(2, 1)),
        "--posts",
        write_records(mine / "c", post(2)),
    )

    assert result.exit_code == 0
    assert len(house.published("posts")) == len(house.published("votes")) == 2


@pytest.mark.parametrize("content", ['{"name": "x"}', "", "region,origin\n", "[]", "\0\1\2"])
@pytest.mark.parametrize("name", ["strange.json", "strange.csv"])
def test_a_file_that_is_not_recognised_is_wrong_usage_and_nothing_is_copied(
    command: Command, house: House, mine: Path, name: str, content: str
) -> None:
    good = write_records(mine / "votes.json", vote(1, 1))
    strange = mine / name
    strange.write_text(content)

    result = command("ingest", good, strange)

    assert result.exit_code == 2
    assert f"{strange} is not recognised as posts, votes or trips" in result.output
    assert "with --posts FILE, --votes FILE or --trips FILE." in result.output
    assert not house.settings.home.exists()


def test_a_link_given_by_its_owner_is_followed(command: Command, house: House, mine: Path) -> None:
    file = write_records(mine / "2022.dat", vote(1, 1))
    (mine / "votes.jsonl").symlink_to(file)

    assert command("ingest", mine / "votes.jsonl").exit_code == 0

    assert house.archived() == ["votes/00000001-votes.jsonl"]
    assert house.stored("votes", "id") == [(1,)]
    assert file.exists()


def test_a_pipe_is_wrong_usage_and_not_waited_for(
    command: Command, house: House, mine: Path
) -> None:
    os.mkfifo(mine / "votes.jsonl")

    result = command("ingest", mine / "votes.jsonl")

    assert result.exit_code == 2
    assert "is no file but a pipe or a device" in result.output
    assert not house.settings.home.exists()


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


def test_a_file_that_does_not_exist_is_wrong_usage(command: Command, mine: Path) -> None:
    result = command("ingest", mine / "votes.json")

    assert result.exit_code == 2
    assert "does not exist" in result.output


def test_a_folder_is_wrong_usage(command: Command, mine: Path) -> None:
    result = command("ingest", mine)

    assert result.exit_code == 2
    assert "is a directory" in result.output


def test_a_file_does_not_replace_one_of_its_name_that_waits(
    command: Command, house: House, mine: Path
) -> None:
    house.deliver("votes.tar.json", [vote(1, 1)])

    assert command("ingest", write_records(mine / "votes.tar.json", vote(2, 1))).exit_code == 0

    assert house.archived() == [
        "votes/00000001-votes.tar.json",
        "votes/00000002-votes-2.tar.json",
    ]
    assert len(house.published("votes")) == 2


def test_two_files_of_one_name_are_both_taken(command: Command, house: House, mine: Path) -> None:
    (mine / "other").mkdir()
    first = write_records(mine / "votes.json", vote(1, 1))
    second = write_records(mine / "other" / "votes.json", vote(2, 1))

    assert command("ingest", first, second).exit_code == 0

    assert len(house.published("votes")) == 2


def test_the_last_file_given_counts_as_the_newest(
    command: Command, house: House, mine: Path
) -> None:
    newer = write_records(mine / "votes-a.json", vote(1, 8))
    older = write_records(mine / "votes-b.json", vote(1, 7))

    assert command("ingest", older, newer).exit_code == 0

    assert house.stored("votes", "id, post_id") == [(1, 8)]
