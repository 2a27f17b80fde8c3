"""The sample files: the same from the same seed, and like a supplier's."""

import gzip
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from warehouse_assets.samples.forum import write_forum_samples
from warehouse_assets_tests.house import House

WEEKS = ("votes_per_post_per_week", "mean_votes_per_post_per_week")


def contents(paths: Iterable[Path]) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in paths}


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


def test_names_tell_what_the_files_hold_and_how_they_were_made(tmp_path: Path) -> None:
    assert [path.name for path in write_forum_samples(tmp_path, 100, seed=3)] == [
        "posts-sample-100-3.json",
        "votes-sample-100-3-1.jsonl",
        "votes-sample-100-3-2.jsonl.gz",
    ]


def test_the_same_size_and_seed_make_the_same_bytes(tmp_path: Path) -> None:
    first = contents(write_forum_samples(tmp_path / "a", 500, seed=3))

    assert contents(write_forum_samples(tmp_path / "b", 500, seed=3)) == first


def test_another_process_makes_the_same_bytes(tmp_path: Path) -> None:
    first = contents(write_forum_samples(tmp_path / "a", 500, seed=3))
    code = (
        "from pathlib import Path; from warehouse_assets.samples.forum import write_forum_samples;"
        "write_forum_samples(Path('b'), 500, 3)"
    )

    subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        check=True,
        env={"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"},
    )

    assert contents(sorted((tmp_path / "b").iterdir())) == first


def test_another_seed_makes_other_posts_and_votes(tmp_path: Path) -> None:
    first = write_forum_samples(tmp_path / "a", 500, seed=3)
    second = write_forum_samples(tmp_path / "b", 500, seed=4)

    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() != other.read_bytes()


def test_writing_again_leaves_no_other_files(tmp_path: Path) -> None:
    paths = write_forum_samples(tmp_path / "a", 100, seed=1)
    write_forum_samples(tmp_path / "a", 100, seed=1)

    assert sorted((tmp_path / "a").iterdir()) == sorted(paths)


@pytest.mark.parametrize(("votes", "posts"), [(0, 1), (1, 1), (39, 1), (40, 2), (10_000, 500)])
def test_there_is_a_post_for_every_twenty_votes(tmp_path: Path, votes: int, posts: int) -> None:
    posts_file, first, second = write_forum_samples(tmp_path, votes, seed=1)

    numbers = [int(record["Id"]) for record in json.loads(posts_file.read_text())]
    assert numbers == list(range(1, posts + 1))
    cast = {record["Id"] for record in [*votes_of(first), *votes_of(second)]}
    assert cast - {"-", "900000001"} == {str(number) for number in range(1, votes + 1)}


@pytest.mark.parametrize("votes", [0, 1, 1_000])
def test_samples_of_any_size_are_taken_but_for_the_damaged_records(
    house: House, votes: int
) -> None:
    write_forum_samples(house.settings.inbox, votes, seed=1)

    assert house.run(checks=votes > 1).success

    assert len(house.published("votes")) == votes
    assert len(house.published("posts")) == max(votes // 20, 1)
    assert sorted(reason for _, _, _, reason, _ in house.rejected()) == [
        "Id is not a whole number: -",
        "PostId is missing; CreationDate is not a date and time: 2022-02-30T00:00:00.000",
        "not valid JSON",
    ]
    weekly = house.published("votes_per_post_per_week")
    assert sum(row[2] for row in weekly) == votes


def test_delivering_samples_again_changes_nothing(house: House) -> None:
    write_forum_samples(house.settings.inbox, 200, seed=1)
    house.run(checks=False)
    versions = house.versions()

    write_forum_samples(house.settings.inbox, 200, seed=1)

    assert house.run(checks=False).success
    assert house.versions() == versions
    assert house.waiting() == []


def test_the_second_file_of_votes_changes_one_vote_of_the_first(house: House) -> None:
    write_forum_samples(house.settings.inbox, 200, seed=1)
    house.run("votes", checks=False)

    # No vote is made with the type 4; the first file is the first to arrive.
    arrivals = house.stored("votes", "arrival, id, vote_type_id")
    assert [row for row in arrivals if row[1] <= 100 and row[0] == 2] == [(2, 1, 4)]


def test_a_year_of_samples_has_a_quiet_week_and_busy_weeks(house: House) -> None:
    write_forum_samples(house.settings.inbox, 5_000, seed=1)
    house.run("posts", "votes", *WEEKS, checks=False)

    weeks = house.published("mean_votes_per_post_per_week")

    assert len(weeks) == 52
    # Week 30 after Monday 2022-01-03 begins on 2022-08-01; weeks 7 and 8 are busy.
    assert [row[0] for row in weeks if row[1] == 0] == ["2022-08-01"]
    busiest = sorted(weeks, key=lambda row: -row[1])[:2]
    assert [row[0] for row in busiest] == ["2022-02-21", "2022-02-28"]
