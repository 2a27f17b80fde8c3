"""The sample files of the forum, which are like a supplier's."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from warehouse_assets.samples.forum import write_forum_samples


def votes_of(path: Path) -> list[dict[str, Any]]:
    """The records of a file of votes that are valid JSON."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        data = gzip.decompress(data)
    records = []
    for line in data.decode().splitlines():
        try:
            records.append(json.loads(line))
        except ValueError:
            continue
    return records


@pytest.mark.parametrize(("votes", "posts"), [(0, 1), (1, 1), (39, 1), (40, 2), (10_000, 500)])
def test_there_is_a_post_for_every_twenty_votes(tmp_path: Path, votes: int, posts: int) -> None:
    posts_file, first, second = write_forum_samples(tmp_path, votes, seed=1)

    numbers = [int(record["Id"]) for record in json.loads(posts_file.read_text())]
    assert numbers == list(range(1, posts + 1))
    cast = {record["Id"] for record in [*votes_of(first), *votes_of(second)]}
    assert cast - {"-", "900000001"} == {str(number) for number in range(1, votes + 1)}
