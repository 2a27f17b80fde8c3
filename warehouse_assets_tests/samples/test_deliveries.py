"""Sample deliveries: what is in them, the live feed, and what is told from what others wrote."""

import json
import time
from datetime import datetime, timedelta
from pathlib import Path

from warehouse_assets.deliveries.average import RunningAverage
from warehouse_assets.deliveries.records import RecordError, latest_now, read_line
from warehouse_assets.samples.deliveries import sample_lines
from warehouse_assets.samples.deliveries_made import ledger_in, remembered
from warehouse_assets.samples.deliveries_simulator import (
    DeliveriesSimulation,
    make_deliveries_samples,
)


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
    assert make_deliveries_samples(feed, tmp_path / ".made", 100, 1) is None
    content = feed.read_bytes()

    note = make_deliveries_samples(feed, tmp_path / ".made", 200, 1)

    assert note is not None
    assert "stays as it is" in note
    assert feed.read_bytes() == content
    made = remembered(ledger_in(tmp_path / ".made"))
    assert made is not None
    assert made.is_as_made()


def test_the_live_feed_goes_on_from_the_samples_at_its_pace(tmp_path: Path) -> None:
    feed, made = tmp_path / "deliveries.jsonl", tmp_path / ".made"
    make_deliveries_samples(feed, made, 100, 1)
    with DeliveriesSimulation(feed, made, 200, seed=1) as running:
        began = time.monotonic()
        while running.records < 50 and time.monotonic() < began + 120:
            time.sleep(0.01)

    passed = time.monotonic() - began
    lines = feed.read_text().splitlines()
    assert len(lines) == 108 + running.records
    assert 50 <= running.records <= 200 * passed + 100
    newest = max(line[-28:-2] for line in lines[108:] if line.endswith('"}'))
    assert abs(datetime.fromisoformat(newest) - latest_now() + timedelta(days=1)) < timedelta(
        minutes=1
    )
    known = remembered(ledger_in(made))
    assert known is not None
    assert known.is_as_made()


def test_a_feed_that_others_have_written_to_is_not_taken_for_one_made_here(tmp_path: Path) -> None:
    feed, made = tmp_path / "deliveries.jsonl", tmp_path / ".made"
    make_deliveries_samples(feed, made, 10, 1)
    with feed.open("a") as stream:
        stream.write("of another program")
    with DeliveriesSimulation(feed, made, 100, seed=1):
        until = time.monotonic() + 120
        while feed.read_bytes().count(b"\n") < 20 and time.monotonic() < until:
            time.sleep(0.01)

    known = remembered(ledger_in(made))
    assert known is not None
    assert not known.is_as_made()
    lines = feed.read_text().splitlines()
    assert lines[18] == "of another program"
    assert len(lines) > 19
