"""Which inbox files are posts, which are votes, and which are not the forum's."""

import gzip
import json
from pathlib import Path

import pytest

from warehouse_assets.defs.forum.family import holds
from warehouse_assets.ingest.inbox import InboxFile
from warehouse_assets_tests.house import post, vote

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
