"""The answers from the sample files, held against a model that reads the files itself."""

import gzip
import json
from datetime import datetime
from pathlib import Path
from typing import Any

from warehouse_assets.samples.forum import write_forum_samples
from warehouse_assets_tests.defs.forum import model
from warehouse_assets_tests.house import House


def read(path: Path) -> list[Any]:
    """The records of a sample file; those that are damaged are left out."""
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
    if text.startswith("["):
        return list(json.loads(text))
    records = []
    for line in text.splitlines():
        try:
            record = json.loads(line)
            int(record["Id"]), int(record["PostId"])
            datetime.fromisoformat(record["CreationDate"])
        except (ValueError, KeyError):
            continue
        records.append(record)
    return records


def test_the_answers_from_the_samples_are_those_of_the_model(house: House, tmp_path: Path) -> None:
    paths = write_forum_samples(tmp_path / "samples", votes=3000, seed=5)
    for path in paths:
        house.deliver(path.name, path.read_bytes())
    assert house.run(checks=False).success

    posts_file, *votes_files = paths
    posts = [datetime.fromisoformat(record["CreationDate"]) for record in read(posts_file)]
    by_id = {record["Id"]: record for path in votes_files for record in read(path)}
    votes = [
        (int(record["PostId"]), datetime.fromisoformat(record["CreationDate"]))
        for record in by_id.values()
    ]
    assert (len(posts), len(votes)) == (150, 3000)

    outliers = model.outlier_weeks([moment for _, moment in votes])
    assert 2 <= len(outliers) < 40
    assert sorted(house.published("outlier_weeks")) == [
        (*values, str(week)) for *values, week in outliers
    ]
    assert sorted(house.published("votes_per_post_per_week")) == [
        (post, str(week), count) for post, week, count in model.votes_per_post_per_week(votes)
    ]
    weeks = model.mean_votes_per_post_per_week(posts, votes)
    assert len(weeks) == 52
    assert sorted(house.published("mean_votes_per_post_per_week"), key=lambda row: row[0]) == [
        (str(week), *values) for week, *values in weeks
    ]
    # Week 30 after Monday 2022-01-03 begins on 2022-08-01; weeks 7 and 8 are busy.
    assert [str(row[0]) for row in weeks if row[1] == 0] == ["2022-08-01"]
    busiest = sorted(weeks, key=lambda row: -row[1])[:2]
    assert [str(row[0]) for row in busiest] == ["2022-02-21", "2022-02-28"]
    # The damaged lines end the second file, after 11 votes that come again and the last 1,500.
    assert sorted((unit[9:], *why) for _, unit, *why, _ in house.rejected()) == [
        (votes_files[1].name, 1512, "Id is not a whole number: -"),
        (
            votes_files[1].name,
            1513,
            "PostId is missing; CreationDate is not a date and time: 2022-02-30T00:00:00.000",
        ),
        (votes_files[1].name, 1514, "not valid JSON"),
    ]
    # No vote is made with the type 4, but for one that comes again.
    assert (1, 4) in house.stored("votes", "id, vote_type_id")
