"""The short form of `python -m warehouse_assets_tests.stress`, which goes on for longer."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import warehouse_assets_tests

_REPOSITORY = Path(warehouse_assets_tests.__file__).parents[1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the warehouses of a test live."""
    folder = tmp_path / "fire"
    folder.mkdir()
    return folder


def test_kills_a_crowd_and_a_living_school_make_no_difference(folder: Path) -> None:
    # In one process, for its imports take longer than some of what it does; but not in this one,
    # which has threads, and a fork does not take those along.
    trials = [part for name in ("crash", "contention", "school") for part in ("--only", name)]
    options = ["--minutes", "0", "--folder", str(folder), "--seed", "1", "--deliveries", "2"]
    options += ["--points", "2"]
    finished = subprocess.run(
        [sys.executable, "-m", str(__package__), *options, *trials],
        cwd=_REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=1800,
    )

    assert finished.returncode == 0, finished.stdout + finished.stderr
    (line,) = re.findall(".*, differences 0", finished.stdout)
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


# Rejected records are committed without the transactions that tell that they were.
_FORGETFUL = """
import sys
from warehouse_assets.ingest import load
from warehouse_assets_tests.stress.__main__ import main
append = load.append
load.append = lambda *arguments: append(*arguments[:-1], {})
sys.exit(main())
"""


def test_a_warehouse_that_is_not_exactly_once_is_found_out_and_kept(folder: Path) -> None:
    options = ["--minutes", "0", "--folder", str(folder), "--only", "crash", "--seed", "1"]
    finished = subprocess.run(
        [sys.executable, "-c", _FORGETFUL, *options, "--deliveries", "1"],
        cwd=_REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=1800,
    )

    assert finished.returncode == 1
    assert "DIFFERENCE with --seed " in finished.stdout
    assert "rejected_records" in finished.stdout
    (kept,) = folder.iterdir()
    assert f"Kept for inspection: {kept}" in finished.stdout
