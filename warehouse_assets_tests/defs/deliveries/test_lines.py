"""The feed in the lake: what is taken, what is rejected and the state made from it again."""

import json
import shutil
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from warehouse_assets.defs import deliveries
from warehouse_assets.defs.deliveries.average import LATE, NOTHING_OPEN
from warehouse_assets.defs.deliveries.tables import DELIVERIES, DELIVERY_DURATIONS
from warehouse_assets.orchestration.computation import Part, compute
from warehouse_assets.progress import heard_by
from warehouse_assets.tables import REJECTED_RECORDS
from warehouse_assets_tests.defs.deliveries.feeds import Feed, come_to
from warehouse_assets_tests.defs.deliveries.steps import (
    NOON,
    ORIGINAL,
    WINDOW,
    Step,
    any_steps,
    expected,
    step_of,
)
from warehouse_assets_tests.ingest.stored import WHY

QUERY = (Path(deliveries.__file__).parent / "sql" / "delivery_durations.sql").read_text()


def rows(feed: Feed, query: str) -> list[tuple[Any, ...]]:
    with feed.lake.connect() as connection:
        for table in (DELIVERIES, DELIVERY_DURATIONS, REJECTED_RECORDS):
            feed.lake.view_newest(connection, table)
        return connection.execute(query).fetchall()


def compute_durations(feed: Feed) -> None:
    table = feed.lake.table(DELIVERY_DURATIONS)
    with feed.lake.lock(table.name):
        compute(feed.lake, table, [DELIVERIES], QUERY, Part("customer"))


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def test_the_eight_records_make_one_duration(tmp_path: Path) -> None:
    feed = Feed(tmp_path)
    feed.write(step_of(record) for record in ORIGINAL)

    assert feed.take_into_lake().records == 8
    compute_durations(feed)

    opened, delivered = NOON + minutes(15), NOON + minutes(35)
    size = len(json.dumps(ORIGINAL[0])) + 1
    assert rows(feed, "FROM delivery_durations") == [(2, opened, delivered, 1200.0, 7 * size)]
    assert rows(feed, "SELECT count(*), bool_or(is_rejected) FROM deliveries") == [(8, False)]


def test_what_cannot_be_used_is_rejected_with_its_place_and_reason(tmp_path: Path) -> None:
    feed = Feed(tmp_path)
    lines = [
        '{"Delivery Step": 1, "Customer": 1, "Timestamp": "2020-01-01T12:00:00"}',
        '{"Delivery Step": 3, "Customer": 2, "Timestamp": "2020-01-01T12:00:00"}',
        '{"Delivery Step": 9, "Customer": 2, "Timestamp": "2020-01-01T12:00:00"}\x01',
        "",
        "{",
        '{"Delivery Step": 1, "Customer": 3, "Timestamp": "2020-01-01T10:59:59.999999"}',
        '{"Delivery Step": 1, "Customer": 3, "Timestamp": "2999-01-01T00:00:00"}',
    ]
    feed.append("\n".join(lines) + "\n")
    feed.append(b"\xff\n")

    taken = feed.take_into_lake()

    position = [sum(len(line) + 1 for line in lines[:n]) for n in range(len(lines) + 1)]
    found = rows(feed, f"SELECT position, {WHY}, raw FROM rejected_records ORDER BY position")
    assert found == [
        (position[1], NOTHING_OPEN, lines[1]),
        (position[2], "not valid JSON", lines[2]),
        (position[4], "not valid JSON", "{"),
        (position[5], LATE, lines[5]),
        (
            position[6],
            "Timestamp is more than a day after now: 2999-01-01 00:00:00",
            lines[6],
        ),
        (position[7], "not valid UTF-8: byte 1", "\N{REPLACEMENT CHARACTER}"),
    ]
    assert rows(feed, "SELECT log_position FROM deliveries WHERE is_rejected ORDER BY 1") == [
        (position[1],),
        (position[5],),
    ]
    assert (taken.records, taken.rejected) == (3, 6)
    now = feed.average.catch_up().after
    assert (now.records, now.unusable, now.rejected) == (3, 4, 2)


def assert_agree(feed: Feed, steps: list[Step]) -> None:
    model = expected(steps)
    compute_durations(feed)
    successes, total = rows(
        feed,
        "SELECT count(*), coalesce(sum(duration_seconds), 0) FROM delivery_durations",
    )[0]
    assert (successes, total) == (model.successes, model.total.total_seconds())
    rejected = rows(feed, "SELECT count(*) FROM rejected_records")[0]
    assert rejected == (model.rejected,)
    assert rows(feed, "SELECT count(*) FROM deliveries WHERE is_rejected")[0] == rejected


def test_any_sequence_taken_in_any_parts_comes_to_the_same_in_lake_state_and_replay(
    tmp_path: Path,
) -> None:
    numbers = count()

    @settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(any_steps(40), st.data())
    def holds(steps: list[Step], data: st.DataObject) -> None:
        feed = Feed(tmp_path / str(next(numbers)), together=7)
        feed.path.touch()
        cut = data.draw(st.integers(0, len(steps)))
        feed.write(steps[:cut])
        feed.take_into_lake()
        feed.average.catch_up()
        feed.write(steps[cut:])
        feed.take_into_lake()
        if steps:
            assert_agree(feed, steps)
        feed.state.unlink()
        assert come_to(feed.another().catch_up().after, expected(steps))
        shutil.rmtree(feed.path.parent)

    holds()


def test_a_lost_state_is_made_from_the_lake_and_goes_on_with_the_feed(tmp_path: Path) -> None:
    feed = Feed(tmp_path)
    feed.append("{\n")
    feed.write([(1, 1, NOON), (1, 4, NOON + minutes(4)), (2, 1, NOON)])
    feed.average.catch_up()
    feed.take_into_lake()
    for path in feed.state.parent.glob("state.db*"):
        path.unlink()
    # What the lake holds is no longer in the feed.
    feed.path.rename(feed.path.with_name("deliveries.jsonl.1"))
    feed.path.with_name("deliveries.jsonl.1").write_bytes(
        b" " * 2 + feed.path.with_name("deliveries.jsonl.1").read_bytes()[2:]
    )
    feed.write([(2, 4, NOON + minutes(8))])
    told: list[str] = []

    with heard_by(told.append):
        now = feed.another().catch_up().after

    assert "made again from the lake" in told[0]
    assert (now.records, now.unusable, now.successes) == (4, 1, 2)
    assert now.average == minutes(6)


def test_another_time_to_stay_open_counts_from_then_on(tmp_path: Path) -> None:
    feed = Feed(tmp_path)
    feed.write([(1, 1, NOON), (1, 4, NOON + minutes(90)), (2, 1, NOON + minutes(90))])
    feed.take_into_lake()
    assert feed.average.catch_up().after.successes == 0
    longer = Feed(tmp_path, window=2 * WINDOW)
    longer.write([(2, 4, NOON + minutes(190))])

    now = longer.average.catch_up().after
    longer.take_into_lake()
    compute_durations(longer)

    assert (now.successes, now.average) == (1, minutes(100))
    assert rows(longer, "SELECT customer, duration_seconds FROM delivery_durations") == [
        (2, 6000.0)
    ]
