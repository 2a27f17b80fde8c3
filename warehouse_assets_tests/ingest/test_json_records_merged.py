"""Records merged by key: once, with their types, and the bad ones rejected once."""

import json
import time
from collections.abc import Generator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from warehouse_assets.defs.school.tables import STUDENTS
from warehouse_assets.ingest.json_records import Records
from warehouse_assets.ingest.load import Part, Source, loaded_at
from warehouse_assets.ingest.loaded import Loaded
from warehouse_assets.ingest.validate import Validator
from warehouse_assets.lake import Lake, Written
from warehouse_assets.tables import REJECTED_RECORDS
from warehouse_assets_tests.ingest.stored import make_lake, rejected, stored, version

TIME = "2026-11-20 13:51:54.463573"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return make_lake(tmp_path)


def student(number: Any, name: Any = "Ann", batch: Any = 7, created_at: Any = TIME) -> Any:
    return {"id": number, "name": name, "batch_id": batch, "created_at": created_at}


class Given(Source):
    """Records, and what judges them."""

    def __init__(self, lake: Lake, validator: Validator, records: Sequence[object]) -> None:
        super().__init__(lake, str(validator.table.name), validator.table)
        self.validator = validator
        self.records = records

    def parts(self) -> Generator[Part, None, None]:
        yield Records(self.lake, self.validator, "given", self.records)


def take(lake: Lake, *records: object, validator: Validator | None = None) -> Loaded:
    return Given(lake, validator or Validator(STUDENTS), records).load()


def test_records_are_merged_by_key(lake: Lake) -> None:
    first = take(lake, student(1), student(2, None, None, None), {"id": 3, "unknown": [1]})
    assert (first.records, first.rejected, first.written.inserted) == (3, 0, 3)
    assert first.unknown_fields == ("unknown",)
    created = datetime.fromisoformat(TIME)
    assert stored(lake, STUDENTS) == [
        (1, "Ann", 7, created),
        (2, None, None, None),
        (3, None, None, None),
    ]
    second = take(lake, student(1, batch=8), student(2, None, None, None), student(4))
    assert (second.records, second.written.inserted, second.written.updated) == (3, 1, 1)
    assert stored(lake, STUDENTS, "id, batch_id") == [(1, 8), (2, None), (3, None), (4, 7)]


def test_what_is_known_is_not_committed(lake: Lake) -> None:
    take(lake, student(1, "a"), student(1, "b"), student(1, "c"), student(2))
    assert stored(lake, STUDENTS, "id, name") == [(1, "c"), (2, "Ann")]
    before = version(lake, STUDENTS)
    at = loaded_at(lake.table(STUDENTS).open(), "students")
    assert at is not None
    assert abs(at - time.time()) < 60
    again = take(lake, student(2), student(1, "a"), student(1, "c"))
    assert (again.records, again.written) == (3, Written())
    assert take(lake).records == 0
    assert version(lake, STUDENTS) == before
    assert loaded_at(lake.table(STUDENTS).open(), "students") == at
    assert version(lake, REJECTED_RECORDS) == -1
    take(lake, student(1, "a"), student(1, "b"))
    assert stored(lake, STUDENTS, "name") == [("Ann",), ("b",)]


UNUSABLE: list[tuple[Any, str]] = [
    (student("x"), "id is not a whole number: x"),
    ({}, "id is missing"),
    (student(1, batch=[3]), "batch_id is not a whole number: [3]"),
    (student(1, name="a\ud800"), "not valid UTF-8: byte 18"),
    (5, "not a JSON object but a number"),
    (student(1, "x" * 17 * 2**20), "longer than 16 MiB"),
]


def test_what_cannot_be_used_is_rejected_once(lake: Lake) -> None:
    bad = [content for content, _ in UNUSABLE]
    taken = take(lake, *bad, student(2, "Zoë", "8"), student(3, {"first": "y"}))
    assert (taken.records, taken.rejected, taken.rejected_before) == (2, len(bad), 0)
    found = rejected(lake, "position, source, unit, reason, raw")
    assert [row[:4] for row in found] == [
        (position, "students", "00000001-given", reason)
        for position, (_, reason) in enumerate(UNUSABLE, start=1)
    ]
    assert [json.loads(row[4]) for row in found[:3]] == bad[:3]
    assert json.loads(found[3][4])["name"] == "a\ufffd\ufffd\ufffd"
    assert len(found[5][4]) == 1000
    assert stored(lake, STUDENTS, "id, name, batch_id") == [(2, "Zoë", 8), (3, '{"first":"y"}', 7)]

    before = version(lake, REJECTED_RECORDS)
    again = take(lake, student(1), *bad)
    assert (again.rejected, again.rejected_before) == (0, len(bad))
    assert version(lake, REJECTED_RECORDS) == before
    # At the position of another one, twice.
    more = take(lake, student("z"), student("x"), student("z"))
    assert (more.rejected, more.rejected_before) == (1, 2)
    last = ("00000002-given", 1, "id is not a whole number: z")
    assert rejected(lake, "unit, position, reason")[-1] == last
    other = STUDENTS.to_metadata(type(STUDENTS.metadata)(), name="pupils")
    assert take(lake, student("x"), validator=Validator(other)).rejected == 1
