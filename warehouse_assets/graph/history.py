"""Dagster's history in SQLite, kept open while a run lasts.

Dagster opens a database for each event and closes it again. When the last connection closes,
SQLite folds the write-ahead log into the file and removes it: most of what an event costs, and a
run has hundreds. With one more connection open that happens once, at the end.
"""

import sqlite3
from pathlib import Path

import dagster as dg


def keep_open(instance: dg.DagsterInstance, run_id: str = "") -> None:
    """Keep the databases of `instance`, and that of the run, open until another run begins here.

    Nothing is done where history is kept otherwise, and nothing depends on it.
    """
    keep_open_in(Path(instance.storage_directory()).parent, run_id)


def keep_open_in(home: Path, run_id: str = "") -> None:
    """The same for the history in the folder `home`, if there is one."""
    history = home / "history"
    runs = history / "runs"
    paths = (history / "runs.db", runs / "index.db", runs / f"{run_id}.db")
    _kept.keep([path for path in paths if path.exists()])


class _Kept:
    """The databases kept open by this process, of one run at a time."""

    def __init__(self) -> None:
        self._paths: list[Path] = []
        self._connections: list[sqlite3.Connection] = []

    def keep(self, paths: list[Path]) -> None:
        if paths == self._paths:
            return
        former = self._connections
        opened = [_open(path) for path in paths]
        self._paths = paths
        self._connections = [connection for connection in opened if connection is not None]
        for connection in former:
            connection.close()


_kept = _Kept()


def _open(path: Path) -> sqlite3.Connection | None:
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=rw", uri=True, check_same_thread=False
        )
        # Only a connection that has read something counts as open to SQLite.
        connection.execute("PRAGMA user_version").fetchall()
    except sqlite3.Error:
        return None
    return connection
