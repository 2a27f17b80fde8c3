"""The sample files of the forum, which are like a supplier's."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from warehouse_assets.samples.forum import write_forum_samples
from warehouse_assets_tests.house import House

WEEKS = ("votes_per_post_per_week", "mean_votes_per_post_per_week")


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


def test_a_year_of_samples_is_taken_but_for_the_damaged_records(house: House) -> None:
    write_forum_samples(house.settings.inbox, 2_000, seed=1)

    assert house.run("posts", "votes", *WEEKS, checks=False).success

    assert len(house.published("votes")) == 2_000
    assert len(house.published("posts")) == 100
    assert sorted(reason for _, _, _, reason, _ in house.rejected()) == [
        "Id is not a whole number: -",
        "PostId is missing; CreationDate is not a date and time: 2022-02-30T00:00:00.000",
        "not valid JSON",
    ]
    assert sum(row[2] for row in house.published("votes_per_post_per_week")) == 2_000
    # No vote is made with the type 4; the first file is the first to arrive.
    arrivals = house.stored("votes", "arrival, id, vote_type_id")
    assert [row for row in arrivals if row[1] <= 1_000 and row[0] == 2] == [(2, 1, 4)]
    weeks = house.published("mean_votes_per_post_per_week")
    assert len(weeks) == 52
    # Week 30 after Monday 2022-01-03 begins on 2022-08-01; weeks 7 and 8 are busy.
    assert [row[0] for row in weeks if row[1] == 0] == ["2022-08-01"]
    busiest = sorted(weeks, key=lambda row: -row[1])[:2]
    assert [row[0] for row in busiest] == ["2022-02-21", "2022-02-28"]
