"""Sample deliveries: what is in them, and that they are made once."""

import json
from datetime import timedelta
from pathlib import Path

from warehouse_assets.defs.deliveries.average import RunningAverage
from warehouse_assets.defs.deliveries.records import RecordError, latest_now, read_line
from warehouse_assets.samples.deliveries import sample_lines, write_deliveries_samples


def taken(lines: list[str]) -> tuple[RunningAverage, int]:
    average, unusable = RunningAverage(), 0
    for line in lines:
        try:
            average.add(*read_line(line, latest_now()))
        except RecordError:
            unusable += 1
    return average, unusable


def test_samples_hold_all_that_real_feeds_hold() -> None:
    lines = list(sample_lines(5000, seed=1))

    average, unusable = taken(lines)

    assert lines == list(sample_lines(5000, seed=1))
    assert average.successes > 800
    assert min(average.abandoned, average.repetitions, average.rejected, unusable) > 5
    assert average.average is not None
    assert timedelta(minutes=5) < average.average < timedelta(hours=2)
    usable = [line for line in lines[8:] if line.endswith("}") and "2025" in line]
    times = [json.loads(line)["Timestamp"] for line in usable]
    assert times != sorted(times)


def test_the_samples_begin_with_the_records_of_the_question() -> None:
    average, unusable = taken(list(sample_lines(0, seed=1)))

    assert (average.average, average.successes, unusable) == (timedelta(minutes=20), 1, 0)


def test_a_feed_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    feed = tmp_path / "deliveries.jsonl"
    assert write_deliveries_samples(feed, 100, 1) == {feed: True}
    content = feed.read_bytes()

    assert write_deliveries_samples(feed, 200, 1) == {feed: False}

    assert feed.read_bytes() == content
