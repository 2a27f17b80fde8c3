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


def stress(folder: Path, *options: str) -> dict[str, int]:
    """Run the command; returns the figures of its last line, by the word before each."""
    # A process of its own: this one has threads, which a fork does not take along.
    finished = subprocess.run(
        [sys.executable, "-m", __package__, "--minutes", "0", "--folder", folder, *options],
        cwd=_REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    (line,) = re.findall(r".* differences 0", finished.stdout)
    return {name: int(figure) for name, figure in re.findall(r"(\w+) (\d+)", line)}


def test_a_warehouse_killed_again_and_again_ends_like_an_undisturbed_one(folder: Path) -> None:
    figures = stress(folder, "--only", "crash", "--seed", "1", "--deliveries", "4")

    assert figures["kills"] >= 5
    assert figures["at"] >= 4
    assert list(folder.iterdir()) == []


def test_a_crowd_of_runs_and_readers_loses_nothing_and_sees_no_half_change(folder: Path) -> None:
    figures = stress(folder, "--only", "contention", "--seed", "1")

    assert figures["runs"] >= 1
    assert figures["told"] >= 1
    assert figures["maintenances"] >= 1
    assert figures["warehouse"] >= 20
    assert figures["lake"] >= 5


def test_a_living_school_is_caught_up_with_exactly_once(folder: Path) -> None:
    figures = stress(folder, "--only", "school", "--seed", "1")

    assert figures["ups"] >= 1
    assert figures["students"] >= 100
    assert figures["lines"] >= 10_000
    assert figures["rotations"] >= 1


# Rejected records are committed without the transactions that tell that they were.
_FORGETFUL = """
import sys
from warehouse_assets.sources import delivery_files
from warehouse_assets_tests.stress.__main__ import main
append = delivery_files.append
delivery_files.append = lambda *arguments: append(*arguments[:-1], {})
sys.exit(main())
"""


def test_a_warehouse_that_is_not_exactly_once_is_found_out_and_kept(folder: Path) -> None:
    options = ["--minutes", "1", "--folder", str(folder), "--only", "crash", "--seed", "1"]
    finished = subprocess.run(
        [sys.executable, "-c", _FORGETFUL, *options, "--deliveries", "4"],
        cwd=_REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    assert finished.returncode == 1
    assert "DIFFERENCE with --seed " in finished.stdout
    assert "rejected_records" in finished.stdout
    (kept,) = folder.iterdir()
    assert f"Kept for inspection: {kept}" in finished.stdout
