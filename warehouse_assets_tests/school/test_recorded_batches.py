"""Batches come from a file with what a server would answer."""

import json
from pathlib import Path

import pytest

from warehouse_assets.errors import SourceError
from warehouse_assets.lake import Lake, Written
from warehouse_assets.school.batches import batches_client, catch_up_batches
from warehouse_assets.school.tables import BATCHES
from warehouse_assets.sources.keyed import CaughtUp
from warehouse_assets_tests.school.batch_server import batch
from warehouse_assets_tests.sources.stored import make_lake, version


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return make_lake(tmp_path)


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    path = tmp_path / "batches.json"
    path.write_text(json.dumps([batch(n, n // 200) for n in range(500)]))
    return path


def test_a_recorded_file_is_taken_whole_each_time(lake: Lake, recorded: Path) -> None:
    client = batches_client(str(recorded))
    first = catch_up_batches(lake, client, True, str)
    assert (first.written.inserted, first.pages_read) == (500, 1)
    assert first.bytes_read == recorded.stat().st_size
    before = version(lake, BATCHES)
    again = catch_up_batches(lake, client, True, str)
    assert (again.written, again.pages_read) == (Written(), 1)
    assert version(lake, BATCHES) == before
    new = recorded.with_name("new.json")
    new.write_text(json.dumps([batch(3, name="renamed"), batch(900)]))
    new.replace(recorded)
    third = catch_up_batches(lake, client, True, str)
    assert (third.written.inserted, third.written.updated) == (1, 1)


def test_a_recorded_file_that_is_not_there_is_no_error_unless_it_was_given(
    lake: Lake, tmp_path: Path
) -> None:
    client = batches_client(str(tmp_path / "none.json"))
    told: list[str] = []
    assert catch_up_batches(lake, client, False, told.append) == CaughtUp(is_missing=True)
    assert str(tmp_path / "none.json") in told[0]
    with pytest.raises(SourceError, match="BATCHES_URL") as raised:
        catch_up_batches(lake, client, True, str)
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
        catch_up_batches(lake, batches_client(str(path)), False, str)
    for part in (str(path), "BATCHES_URL"):
        assert part in str(raised.value)
