"""The commands do with a lake in a bucket what they do with one in a folder."""

import re
from pathlib import Path

import dagster as dg
import pytest

from warehouse_assets_tests.cluster.everything import everything
from warehouse_assets_tests.house import House
from warehouse_assets_tests.integration.processes import run_forked
from warehouse_assets_tests.object_store import Bucket

pytestmark = pytest.mark.own_duckdb


_FEW = [
    word
    for kind in ("votes", "students", "trips", "reviews", "deliveries")
    for word in (f"--{kind}", "100")
]


def _told(house: House, *words: str) -> str:
    """What a command tells, which must succeed, but for names of places and times."""
    code, told = run_forked(house, house.settings.home.with_suffix(".told"), "warehouse", *words)
    assert code == 0, told
    return re.sub(r"\d+(\.\d+)? s\b", "", told.replace(str(house.settings.home), "HOME"))


def test_commands_do_the_same_as_with_a_folder(
    tmp_path: Path, instance: dg.DagsterInstance, bucket: Bucket
) -> None:
    here = House(tmp_path / "here", instance)
    there = House(tmp_path / "there", instance, LAKE_URI=bucket.uri)
    for house in (here, there):
        _told(house, "samples", *_FEW)
        _told(house, "ingest")
    answers = _told(here, "answers")
    assert "weekly" in answers
    assert _told(there, "answers") == answers
    assert everything(there) == everything(here)
    for words in (("label", "then"), ("check", "--deep"), ("maintain",), ("rebuild",)):
        _told(there, *words)
    assert everything(there) == everything(here)
    assert _told(there, "answers", "--as-of", "then") == _told(here, "answers", "--as-of", "today")
    assert _told(there, "answers") == answers
    assert not (there.settings.home / "lake").exists()
