"""Files of posts and votes as suppliers send them: which they are, and what becomes of them."""

import codecs
import gzip
import json
from pathlib import Path

import dagster as dg
import pytest

from warehouse_assets.defs.forum.family import VOTES_FILES, holds
from warehouse_assets.defs.forum.tables import VOTES
from warehouse_assets.errors import SettingError
from warehouse_assets.ingest.files import load_files
from warehouse_assets.ingest.inbox import InboxFile
from warehouse_assets.warehouse import publish
from warehouse_assets_tests.house import House, post, vote

POST, VOTE = json.dumps(post(1)), json.dumps(vote(1, 1))


def held(folder: Path, name: str, content: str | bytes) -> str | None:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return holds(InboxFile.look_at(path))


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("posts.json", "posts"),
        ("Posts-2022.JSONL", "posts"),
        ("POSTS.ndjson.gz", "posts"),
        ("posts_and_votes.json", "posts"),
        ("votes.json.gz", "votes"),
        ("VOTES_7.json", "votes"),
        ("votesofposts.jsonl.GZ", "votes"),
    ],
)
@pytest.mark.parametrize("content", ["", "no JSON", POST, VOTE])
def test_the_name_tells_whatever_is_in_the_file(
    tmp_path: Path, name: str, table: str, content: str
) -> None:
    assert held(tmp_path, name, content) == table


@pytest.mark.parametrize(
    ("content", "table"),
    [
        (POST, "posts"),
        (VOTE, "votes"),
        (f"[{POST}]", "posts"),
        (json.dumps([vote(1, 1)], indent=2), "votes"),
        (f"\n\nbroken\n{VOTE}\n{POST}", "votes"),
        ("\ufeff" + POST, "posts"),
        ('{"PostId": 1}', "votes"),
        ('{"Id": 1}', "unrecognised"),
        ('{"id": 1, "creationDate": ""}', "unrecognised"),
        ("", "unrecognised"),
        ("[]", "unrecognised"),
        ("<html>", "unrecognised"),
        (b"\x89PNG\r\n\x1a\n", "unrecognised"),
    ],
)
@pytest.mark.parametrize("name", ["dump.json", "1-posts.jsonl", "x.ndjson"])
def test_where_the_name_does_not_tell_the_fields_do(
    tmp_path: Path, name: str, content: str | bytes, table: str
) -> None:
    assert held(tmp_path, name, content) == table
    raw = content.encode() if isinstance(content, str) else content
    assert held(tmp_path, f"{name}.gz", gzip.compress(raw)) == table


@pytest.mark.parametrize("name", ["posts.xml", "posts", "votes.csv", "posts.json.zip", "posts.gz"])
def test_files_that_are_not_named_as_json_are_not_the_forums(tmp_path: Path, name: str) -> None:
    assert held(tmp_path, name, POST) is None


ANSWERS = ("votes_per_post_per_week", "mean_votes_per_post_per_week", "outlier_weeks")
TABLES = ("posts", "votes", *ANSWERS)


def test_a_mixed_delivery_ends_as_rows_and_rejected_records(house: House) -> None:
    house.deliver("posts.json", codecs.BOM_UTF8 + json.dumps([post(1), post(2)], indent=1).encode())
    house.deliver("Votes-1.JSONL", b"\r\n".join([json.dumps(vote(1, 1)).encode(), b"", b"x", b""]))
    house.deliver("votes-2.json.gz", gzip.compress(json.dumps([vote(2, 2), None]).encode()))
    house.deliver("votes-3.json", json.dumps([vote(9, 9)])[:-9])
    house.deliver("empty.votes.json", "")
    house.deliver("unnamed.ndjson", [vote(3, 99), vote(4, 1, PostId="one")])
    house.deliver("votes.png.json", b"\x89PNG\r\n\x1a\n")
    house.deliver("table.csv", "Id,PostId")

    assert house.run("posts", "votes", "rejected_records", checks=False).success

    assert house.stored("posts", "id") == [(1,), (2,)]
    assert house.stored("votes", "id, post_id") == [(1, 1), (2, 2), (3, 99)]
    found = {(source, unit[9:], position) for source, unit, position, _, _ in house.rejected()}
    assert found == {
        ("votes", "Votes-1.JSONL", 3),
        ("votes", "votes-2.json.gz", 2),
        ("votes", "votes-3.json", 0),
        ("votes", "unnamed.ndjson", 2),
        ("votes", "votes.png.json", 1),
        ("votes", "votes.png.json", 2),
        ("unrecognised", "empty.votes.json", 0),
    }
    assert all(reason for *_, reason, _ in house.rejected())
    assert house.waiting() == ["table.csv"]
    published = {row[:3] for row in house.published("rejected_records")}
    assert published == {row[:3] for row in house.rejected()}


def test_answers_follow_what_comes_in_whatever_order(house: House) -> None:
    # Sunday 2022-01-09 in New York is Monday in UTC; Monday 2022-01-10 in Berlin is Sunday.
    # Saturday 2022-01-01 in Tokyo is still 2021 in UTC. A time without a zone stays as written.
    times = [
        "2022-01-09T22:00:00-05:00",
        "2022-01-10T00:30:00+01:00",
        "2022-01-01T08:00:00+09:00",
        "2022-01-09T23:59:59.999",
    ]
    house.deliver("votes.json", [vote(n, n, CreationDate=time) for n, time in enumerate(times)])
    assert house.run(*TABLES[1:], checks=False).success
    assert house.published("votes_per_post_per_week") == [
        (0, "2022-01-10", 1),
        (1, "2022-01-03", 1),
        (2, "2021-12-27", 1),
        (3, "2022-01-03", 1),
    ]
    assert [row[4:] for row in house.published("mean_votes_per_post_per_week")] == [(0, None)] * 3
    # Weeks of 1, 2 and 1 votes; the mean is 4/3.
    assert sorted(house.published("outlier_weeks")) == [
        (2021, 52, 1, "2021-12-27"),
        (2022, 1, 2, "2022-01-03"),
        (2022, 2, 1, "2022-01-10"),
    ]

    house.deliver("posts.json", [post(3)])  # after its vote
    house.deliver("newer.votes.json", [vote(2, 3), vote(0, 0, CreationDate=times[0])])
    assert house.run(*TABLES, checks=False).success

    assert house.published("votes_per_post_per_week") == [
        (0, "2022-01-10", 1),
        (1, "2022-01-03", 1),
        (3, "2022-01-03", 2),
    ]
    assert house.published("mean_votes_per_post_per_week") == [
        ("2022-01-03", 3, 2, 1.5, 1, 3.0),
        ("2022-01-10", 1, 1, 1.0, 1, 1.0),
    ]
    assert sorted(house.published("outlier_weeks")) == [
        (2022, 1, 3, "2022-01-03"),
        (2022, 2, 1, "2022-01-10"),
    ]


def test_files_are_taken_merged_and_published(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    house = House(tmp_path / "st*r with space é{x}", instance)
    house.deliver("votes.json", [vote(1, 1), {"Id": "-"}])
    load_files(house.lake, house.inbox, VOTES_FILES)
    publish(house.lake, house.warehouse, house.lake.table(VOTES))
    house.deliver("votes-2.json", [vote(1, 1, VoteTypeId="3"), vote(2, 1)])  # by Delta's merge
    assert house.run("votes", checks=False).success
    assert [row[:3] for row in house.published("votes")] == [(1, 1, 3), (2, 1, 2)]
    assert [row[4] for row in house.rejected()] == ['{"Id": "-"}']


@pytest.mark.parametrize("name", ["a%20b", "a\\b", "a#b", "a?b", "[1]"])
def test_a_folder_that_cannot_hold_a_delta_table_is_refused(
    tmp_path: Path, instance: dg.DagsterInstance, name: str
) -> None:
    with pytest.raises(SettingError, match="LAKE_URI"):
        House(tmp_path / name, instance)


def test_another_threshold_has_the_weeks_computed_again(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    house = House(tmp_path, instance)
    # Weeks of 2, 3 and 1 votes: one and a half and half the mean.
    days = ["2022-01-03"] * 2 + ["2022-01-10"] * 3 + ["2022-01-17"]
    house.deliver("votes.json", [vote(n, 1, day) for n, day in enumerate(days)])
    for threshold, numbers in (("0.2", [2, 3]), ("0.5", []), ("0.4999", [2, 3]), ("0.5", [])):
        again = House(tmp_path, instance, OUTLIER_THRESHOLD=threshold)
        assert again.run("votes", "outlier_weeks", checks=False).success
        assert sorted(row[1] for row in again.published("outlier_weeks")) == numbers
