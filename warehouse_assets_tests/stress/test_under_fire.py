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
    (line,) = re.findall(r".* differences 0", finished.stdout)
    crashes, crowds, schools, _ = (
        {name: int(figure) for name, figure in re.findall(r"(\w+) (\d+)", part)}
        for part in line.removesuffix(" | differences 0").split(" | ")
    )
    # Each trial goes on until so much has happened, however busy the machine is.
    assert crashes["at"] >= 2
    assert crowds["runs"] >= 1
    assert crowds["told"] >= 1
    assert crowds["maintenances"] >= 1
    assert crowds["warehouse"] >= 10
    assert crowds["lake"] >= 5
    assert schools["ups"] >= 1
    assert schools["rotations"] >= 1
    assert schools["lines"] >= 1_000
    assert schools["students"] >= 10
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
