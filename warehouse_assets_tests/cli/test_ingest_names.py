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


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("strange.json", '{"name": "x"}'),
        ("strange.json", "\0\1\2"),
        ("strange.csv", "region,origin\n"),
    ],
)
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


def test_what_is_no_file_is_wrong_usage_and_not_waited_for(
    command: Command, house: House, mine: Path
) -> None:
    os.mkfifo(mine / "pipe.jsonl")
    for path, words in (
        (mine / "pipe.jsonl", "is no file but a pipe or a device"),
        (mine / "none.json", "does not exist"),
        (mine, "is a directory"),
    ):
        result = command("ingest", path)
        assert (result.exit_code, words in result.output) == (2, True), result.output
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
