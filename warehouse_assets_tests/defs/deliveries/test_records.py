"""Records: every spelling that is read, and what is said of what is not."""

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from warehouse_assets.defs.deliveries.average import RunningAverage
from warehouse_assets.defs.deliveries.records import RecordError, latest_now, read_line, read_record

NOON = datetime.fromisoformat("2020-01-01T12:00:00")
RECORD: dict[str, Any] = {"Delivery Step": 1, "Customer": 7, "Timestamp": "2020-01-01T12:00:00"}


@pytest.mark.parametrize(
    "record",
    [
        RECORD,
        {"deliveryStep": 1, "customer": 7, "timestamp": "2020-01-01T12:00:00"},
        {"deliveryStep": "1", "Customer": " 7 ", "Timestamp": "2020-01-01 12:00:00.000"},
        {**RECORD, "Timestamp": NOON},
        {**RECORD, "Timestamp": NOON.replace(tzinfo=timezone.utc)},
        {**RECORD, "Timestamp": "2020-01-01T12:00:00Z"},
        {**RECORD, "Timestamp": "2020-01-01T14:00:00.0+02:00"},
        {**RECORD, "Timestamp": "2020-01-01T14:00:00.000000999+0200"},
        {**RECORD, "Timestamp": "2020-01-01T12:00", "city": "Prague"},
    ],
)
def test_spellings_of_one_step(record: dict[str, Any]) -> None:
    average = RunningAverage()
    average.ingest(record)

    assert read_record(record) == (7, 1, NOON)
    assert average.opened == {7: NOON}


@pytest.mark.parametrize(
    ("change", "reason", "field"),
    [
        ({"Delivery Step": 5}, "Delivery Step is not 1 to 4: 5", "Delivery Step"),
        ({"Delivery Step": 0}, "Delivery Step is not 1 to 4: 0", "Delivery Step"),
        ({"Delivery Step": 1.0}, "Delivery Step is not a whole number: 1.0", "Delivery Step"),
        ({"Delivery Step": True}, "Delivery Step is not a whole number: True", "Delivery Step"),
        ({"Delivery Step": None}, "Delivery Step is missing", "Delivery Step"),
        ({"Delivery Step": []}, "Delivery Step is not a whole number: []", "Delivery Step"),
        ({"Customer": "x"}, "Customer is not a whole number: x", "Customer"),
        ({"Customer": ""}, "Customer is missing", "Customer"),
        ({"Customer": 2**63}, f"Customer is too great a number: {2**63}", "Customer"),
        ({"Timestamp": ""}, "Timestamp is missing", "Timestamp"),
        ({"Timestamp": "noon"}, "Timestamp is not a date and time: noon", "Timestamp"),
        ({"Timestamp": 12}, "Timestamp is not a date and time: 12", "Timestamp"),
        ({"Timestamp": " \t"}, "Timestamp is missing", "Timestamp"),
        ({"Timestamp": "2020-01"}, "Timestamp is not a date and time: 2020-01", "Timestamp"),
        (
            {"Timestamp": "0001-01-01T00:00:00+01:00"},
            "Timestamp is not a date and time: 0001-01-01T00:00:00+01:00",
            "Timestamp",
        ),
        (
            {"Timestamp": "2020-02-30T12:00:00"},
            "Timestamp is not a date and time: 2020-02-30T12:00:00",
            "Timestamp",
        ),
    ],
)
def test_a_record_that_cannot_be_used_changes_nothing_and_says_why(
    change: dict[str, Any], reason: str, field: str
) -> None:
    average = RunningAverage()

    with pytest.raises(RecordError) as raised:
        average.ingest({**RECORD, **change})

    assert (str(raised.value), raised.value.field) == (reason, field)
    assert (average.opened, average.openings) == ({}, 0)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[1]", "not a JSON object"),
        ("null", "not a JSON object"),
        ("{}", "Delivery Step is missing"),
        ("1" * 5000, "not valid JSON"),
        (f'{json.dumps(RECORD)[:-1]}, "Customer": 8}}', "Customer is there more than once"),
        (f'{json.dumps(RECORD)[:-1]}, "customer": 7}}', "Customer is there more than once"),
        (f'{{"Timestamp": 1, {json.dumps(RECORD)[1:]}', "Timestamp is there more than once"),
    ],
)
def test_lines_that_are_no_records(line: str, reason: str) -> None:
    with pytest.raises(RecordError, match=f"^{reason}$"):
        read_line(line, latest_now())


@pytest.mark.parametrize(
    "more", ['"x": 1, "x": 2', '"note": "\\"Customer\\": 8"', '"x": {"Customer": 8}']
)
def test_what_no_field_is_read_from_may_be_there_more_than_once(more: str) -> None:
    assert read_line(f"{json.dumps(RECORD)[:-1]}, {more}}}", latest_now()) == (7, 1, NOON)


def test_a_clock_that_is_a_day_ahead_is_not_believed() -> None:
    line = json.dumps(RECORD)

    assert read_line(line, NOON) == (7, 1, NOON)
    with pytest.raises(RecordError, match="more than a day after now: 2020-01-01 12:00:00"):
        read_line(line, NOON - timedelta(microseconds=1))
