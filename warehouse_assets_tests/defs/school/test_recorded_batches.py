"""Batches come from a file with what their server would answer; what is an address of one."""

import json
from pathlib import Path

import pytest

from warehouse_assets.defs.school.batches import BatchesSource, load_batches
from warehouse_assets.defs.school.tables import BATCHES
from warehouse_assets.errors import SourceError
from warehouse_assets.ingest.load import Loaded
from warehouse_assets.lake import Lake, Written
from warehouse_assets.progress import heard_by
from warehouse_assets_tests.defs.school.batch_server import batch
from warehouse_assets_tests.ingest.stored import make_lake, version


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return make_lake(tmp_path)


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    path = tmp_path / "batches.json"
    path.write_text(json.dumps([batch(n, n // 200) for n in range(500)]))
    return path


def test_a_recorded_file_is_taken_whole_each_time(lake: Lake, recorded: Path) -> None:
    file = BatchesSource(str(recorded))
    first = load_batches(lake, file, True)
    assert (first.written.inserted, first.pages_read) == (500, 1)
    assert first.bytes_read == recorded.stat().st_size
    before = version(lake, BATCHES)
    again = load_batches(lake, file, True)
    assert (again.written, again.pages_read) == (Written(), 1)
    assert version(lake, BATCHES) == before
    new = recorded.with_name("new.json")
    new.write_text(json.dumps([batch(3, name="renamed"), batch(900)]))
    new.replace(recorded)
    third = load_batches(lake, file, True)
    assert (third.written.inserted, third.written.updated) == (1, 1)


def test_a_recorded_file_that_is_not_there_is_no_error_unless_it_was_given(
    lake: Lake, tmp_path: Path
) -> None:
    file = BatchesSource(str(tmp_path / "none.json"))
    told: list[str] = []
    with heard_by(told.append):
        assert load_batches(lake, file, False) == Loaded(is_missing=True)
    assert str(tmp_path / "none.json") in told[0]
    with pytest.raises(SourceError, match="BATCHES_URL") as raised:
        load_batches(lake, file, True)
    assert str(tmp_path / "none.json") in str(raised.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('[{"id": 1', "not whole JSON"),
        ('{"id": 1}', "not an array"),
        ("", "nothing"),
        ("<html>", "HTML"),
        (None, "directory"),
    ],
)
def test_a_recorded_file_that_cannot_be_read_is_told(
    lake: Lake, tmp_path: Path, content: str | None, words: str
) -> None:
    path = tmp_path / "b.json"
    if content is None:
        path.mkdir()
    else:
        path.write_text(content)
    with pytest.raises(SourceError, match=words) as raised:
        load_batches(lake, BatchesSource(str(path)), False)
    for part in (str(path), "BATCHES_URL"):
        assert part in str(raised.value)


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        ("http://host:80", "http://host:80/batches"),
        ("http://host:80/", "http://host:80/batches"),
        ("http://host:80/batches", "http://host:80/batches"),
        ("http://host:80/batches/", "http://host:80/batches"),
        ("http://host:80/api", "http://host:80/api/batches"),
        ("http://host:80/api/batches//", "http://host:80/api/batches"),
        ("http://batches", "http://batches/batches"),
        ("http://host/mybatches", "http://host/mybatches/batches"),
        ("http://host/batches?key=1", "http://host/batches?key=1"),
        ("HTTPS://host/x/", "https://host/x/batches"),
        ("/tmp/batches.json", None),
    ],
)
def test_batches_may_be_named_in_the_address(address: str, asked: str | None) -> None:
    assert BatchesSource(address).endpoint == asked
