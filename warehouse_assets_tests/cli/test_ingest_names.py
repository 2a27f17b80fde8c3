"""`warehouse ingest`: how files are recognised, and the names they get in the inbox."""

import gzip
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
