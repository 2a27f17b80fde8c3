"""Records merged by key: once, with their types, and the bad ones rejected once."""

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from warehouse_assets.errors import SourceError
from warehouse_assets.lake import Lake, Written
from warehouse_assets.progress import Progress
from warehouse_assets.schema import REJECTED_RECORDS
from warehouse_assets.school.tables import STUDENTS
from warehouse_assets.sources import keyed
from warehouse_assets.sources.file_marks import taken_at
from warehouse_assets.sources.keyed import CaughtUp, catch_up_keyed
from warehouse_assets_tests.sources.keyed_records import TIME, Given, student, take
from warehouse_assets_tests.sources.stored import make_lake, rejected, stored, version


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return make_lake(tmp_path)


def test_records_are_merged_by_key(lake: Lake) -> None:
    first = take(lake, student(1), student(2, None, None, None), {"id": 3, "unknown": [1]})
    assert (first.records, first.rejected) == (3, 0)
    assert first.written.inserted == 3
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
    take(lake, student(1), student(2))
    before = version(lake, STUDENTS)
    again = take(lake, student(2), student(1))
    assert (again.records, again.written) == (2, Written())
    assert take(lake).records == 0
    assert version(lake, STUDENTS) == before
    assert version(lake, REJECTED_RECORDS) == -1


def test_of_a_key_that_comes_again_the_last_record_counts(lake: Lake) -> None:
    take(lake, student(1, "a"), student(1, "b"), student(1, "c"))
    assert stored(lake, STUDENTS, "id, name") == [(1, "c")]
    before = version(lake, STUDENTS)
    take(lake, student(1, "a"), student(1, "c"))
    assert version(lake, STUDENTS) == before
    take(lake, student(1, "a"), student(1, "b"))
    assert stored(lake, STUDENTS, "id, name") == [(1, "b")]


def test_records_are_written_in_parts(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyed, "_RECORDS_AT_ONCE", 10)
    contents = [student(n % 30) if n % 7 else student("x") for n in range(60)]
    source = Given(contents)
    source.records_together = 20
    taken = catch_up_keyed(lake, STUDENTS, source, str)
    assert (taken.records, taken.rejected, taken.rejected_before) == (60, 1, 8)
    assert stored(lake, STUDENTS, "id") == sorted([(n,) for n in range(30)], key=repr)
    assert version(lake, STUDENTS) == 3
    assert take(lake, *contents).written == Written()


def test_records_that_come_slowly_are_written_meanwhile(lake: Lake) -> None:
    versions: list[int] = []

    def slowly() -> Iterator[Any]:
        for number in range(3):
            versions.append(version(lake, STUDENTS))
            yield student(number)

    source = Given(slowly())
    source.seconds_together = 0
    assert catch_up_keyed(lake, STUDENTS, source, str).written.inserted == 3
    assert versions == [0, 1, 2]


def test_progress_counts_records(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyed, "_RECORDS_BETWEEN_REPORTS", 2)
    source = Given([student(n) for n in range(5)])
    source.expected = 3
    heard: list[Progress] = []
    catch_up_keyed(lake, STUDENTS, source, str, heard.append)
    assert [(p.done, p.total) for p in heard] == [(2, 3), (4, 4), (5, 5)]
    assert (heard[-1].table, heard[-1].unit) == ("students", "records")


@pytest.mark.parametrize("error", [SourceError("gone"), ValueError("broken")])
def test_what_was_read_before_an_error_is_kept(lake: Lake, error: Exception) -> None:
    with pytest.raises(type(error)) as raised:
        take(lake, student(1), student("x"), fingerprint=5, error=error)
    assert raised.value is error
    assert stored(lake, STUDENTS, "id") == [(1,)]
    assert rejected(lake, "position, reason") == [(2, "id is not a whole number: x")]
    assert not take(lake, student(1), fingerprint=5).is_unchanged_source


def test_of_a_reading_that_is_killed_nothing_is_kept(lake: Lake) -> None:
    with pytest.raises(KeyboardInterrupt):
        take(lake, student(1), error=KeyboardInterrupt())
    assert stored(lake, STUDENTS) == []
    assert list(lake.scratch.iterdir()) == []


def test_a_source_that_looks_as_before_is_not_read(lake: Lake) -> None:
    assert not take(lake, student(1), fingerprint=5).is_unchanged_source
    source = Given([student(2)], fingerprint=5)
    taken = catch_up_keyed(lake, STUDENTS, source, str)
    assert taken == CaughtUp(is_unchanged_source=True)
    assert not source.has_been_read
    for fingerprint in (6, None):
        assert take(lake, student(3), fingerprint=fingerprint).records == 1


def test_a_new_column_makes_the_source_worth_reading(lake: Lake) -> None:
    take(lake, student(1), fingerprint=5)
    fewer = STUDENTS.to_metadata(type(STUDENTS.metadata)())
    del fewer.c.batch_id.info["field"]
    assert not catch_up_keyed(lake, fewer, Given([], fingerprint=5), str).is_unchanged_source


@pytest.mark.parametrize(("worth", "is_remembered"), [(2, True), (3, False)])
def test_a_look_is_remembered_by_itself_if_reading_takes_long(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, worth: int, is_remembered: bool
) -> None:
    monkeypatch.setattr(keyed, "_WORTH_REMEMBERING", worth)
    take(lake, student(1), student(2))
    taken = lake.table(STUDENTS).open()
    assert take(lake, student(1), student(2), fingerprint=5).written == Written()
    assert version(lake, STUDENTS) == taken.version() + is_remembered
    assert take(lake, fingerprint=5).is_unchanged_source == is_remembered
    assert taken_at(lake.table(STUDENTS).open(), "students") == taken_at(taken, "students")


def test_when_rows_came_is_remembered(lake: Lake) -> None:
    take(lake)
    assert taken_at(lake.table(STUDENTS).open(), "students") is None
    take(lake, student(1))
    first = taken_at(lake.table(STUDENTS).open(), "students")
    assert first is not None
    assert abs(first - time.time()) < 60
    take(lake, student(1))
    assert taken_at(lake.table(STUDENTS).open(), "students") == first
