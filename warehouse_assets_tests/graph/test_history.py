"""Dagster's history is kept open while a run lasts, and only then."""

import sqlite3
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest

from warehouse_assets.graph.history import keep_open


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """The folder of a history of two runs, `one` and `two`."""
    runs = tmp_path / "history" / "runs"
    runs.mkdir(parents=True)
    for path in (
        runs.parent / "runs.db",
        *(runs / f"{name}.db" for name in ("index", "one", "two")),
    ):
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("CREATE TABLE events (id INTEGER)")
    return runs


def is_open(path: Path) -> bool:
    """Whether a write by another connection leaves the log where it is when that closes."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO events VALUES (1)")
        connection.commit()
    return path.with_name(f"{path.name}-wal").exists()


def test_the_databases_of_the_run_are_open_until_the_next(history: Path, tmp_path: Path) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        keep_open(instance, "one")
        assert is_open(history / "index.db")
        assert is_open(history / "one.db")
        assert is_open(history.parent / "runs.db")
        assert not is_open(history / "two.db")

        keep_open(instance, "two")
        assert is_open(history / "index.db")
        assert is_open(history / "two.db")
        assert not is_open(history / "one.db")


def test_a_history_that_is_not_of_files_or_broken_is_left_alone(
    history: Path, tmp_path: Path
) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        keep_open(instance, "one")
        assert not is_open(history / "one.db")

    (history / "one.db").write_bytes(b"not a database" * 100)
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        keep_open(instance, "one")
        assert is_open(history / "index.db")
