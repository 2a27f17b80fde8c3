"""The short form of `python -m warehouse_assets_tests.stress`, which goes on for longer."""

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from warehouse_assets.ingest import load
from warehouse_assets.lake import append
from warehouse_assets_tests.integration.processes import fork, tell_in
from warehouse_assets_tests.stress.__main__ import main

_SECONDS_UNTIL_IT_HANGS = 1800


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the warehouses of a test live."""
    folder = tmp_path / "fire"
    folder.mkdir()
    return folder


def put_under_fire(told: Path, options: Sequence[str], is_forgetful: bool) -> None:
    """Be the process of the command; one that is forgetful is not exactly once."""
    tell_in(told)
    if is_forgetful:
        # Rejected records are committed without the transactions that tell that they were.
        plain: Callable[..., object] = append
        pytest.MonkeyPatch().setattr(load, "append", lambda *given: plain(*given[:-1], {}))
    sys.exit(main(options))


def under_fire(folder: Path, *options: str, is_forgetful: bool = False) -> tuple[int | None, str]:
    """Do the least there is of some trials; the exit code and what was told."""
    told = folder.with_name("told")
    shortest = ["--minutes", "0", "--folder", str(folder), "--seed", "3", "--deliveries", "1"]
    process = fork(put_under_fire, told, [*shortest, *options], is_forgetful)
    process.join(_SECONDS_UNTIL_IT_HANGS)
    return process.exitcode, told.read_text()


def test_kills_a_crowd_and_a_living_school_make_no_difference(folder: Path) -> None:
    trials = [part for name in ("crash", "contention", "school") for part in ("--only", name)]

    code, told = under_fire(folder, *trials, "--points", "2")

    assert code == 0, told
    (line,) = re.findall(".*, differences 0", told)
    figures = {name: int(figure) for name, figure in re.findall(r"([a-z][a-z -]*) (\d+)", line)}
    # Each trial goes on until so much has happened, however busy the machine is.
    least = {
        "points of kills": 2,
        "runs": 1,
        "waits told": 1,
        "maintenances": 1,
        "reads of the warehouse": 10,
        "reads of the lake": 5,
        "catch-ups": 1,
        "rotations": 1,
        "lines": 1_000,
        "students": 10,
    }
    assert {name: figures[name] for name in least if figures[name] < least[name]} == {}
    assert list(folder.iterdir()) == []


def test_a_warehouse_that_is_not_exactly_once_is_found_out_and_kept(folder: Path) -> None:
    code, told = under_fire(folder, "--only", "crash", is_forgetful=True)

    assert code == 1, told
    assert "DIFFERENCE with --seed " in told
    assert "rejected_records" in told
    (kept,) = folder.iterdir()
    assert f"Kept for inspection: {kept}" in told
