"""Samples follow from their sizes and their seed: the same in any process, others from another."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from click.testing import CliRunner

from warehouse_assets.cli import main

_SIZES = [
    "--votes",
    "500",
    "--students",
    "60",
    "--trips",
    "500",
    "--reviews",
    "300",
    "--deliveries",
    "300",
]


def content(path: Path) -> object:
    """The bytes of a file, or the rows of a database, whose bytes SQLite decides on."""
    if path.suffix != ".db":
        return path.read_bytes()
    with closing(sqlite3.connect(path)) as connection:
        (table,) = {"students", "reviews"} & {
            name for (name,) in connection.execute("SELECT name FROM sqlite_master")
        }
        return connection.execute(f"SELECT * FROM {table}").fetchall()


def made(folder: Path, seed: int) -> dict[str, object]:
    options = ["--seed", str(seed), "--into", str(folder)]
    assert CliRunner().invoke(main, ["samples", *_SIZES, *options]).exit_code == 0
    return {path.name: content(path) for path in sorted(folder.iterdir())}


def test_the_same_sizes_and_seed_make_the_same_in_any_process(tmp_path: Path) -> None:
    code = "from warehouse_assets.cli import main; main()"
    subprocess.run(
        [sys.executable, "-c", code, "samples", *_SIZES, "--seed", "3", "--into", tmp_path / "b"],
        env={**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"},
        capture_output=True,
        check=True,
    )

    first = made(tmp_path / "a", seed=3)

    assert list(first) == [
        "batches.json",
        "deliveries.jsonl",
        "posts-sample-500-3.json",
        "reviews.db",
        "students.db",
        "test_runs.log",
        "trips-sample-500-3-1.csv",
        "trips-sample-500-3-2.csv.gz",
        "votes-sample-500-3-1.jsonl",
        "votes-sample-500-3-2.jsonl.gz",
    ]
    assert {path.name: content(path) for path in sorted((tmp_path / "b").iterdir())} == first
    other = made(tmp_path / "c", seed=4)
    renamed = {name.replace("500-4", "500-3"): there for name, there in other.items()}
    same = {name for name, there in first.items() if renamed[name] == there}
    assert same <= {"batches.json", "posts-sample-500-3.json"}
