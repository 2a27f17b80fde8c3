"""How long work tells what it is doing, to whoever listens: a terminal, a log, a page."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb

_SECONDS_BETWEEN_REPORTS = 0.5


@dataclass(frozen=True)
class Progress:
    """How far one activity on one table has come; `done` and `total` are in `unit`."""

    table: str
    activity: str
    done: int
    total: int
    unit: str


Listener = Callable[[Progress], None]


def nobody(progress: Progress) -> None:
    """A listener that does nothing."""


@contextmanager
def query_progress(
    connection: duckdb.DuckDBPyConnection,
    report: Callable[[float], None],
) -> Iterator[None]:
    """Report how much of the statements run in the block is done, as a share from 0 to 1."""
    connection.execute("SET enable_progress_bar = true")
    connection.execute("SET enable_progress_bar_print = false")
    finished = threading.Event()

    def watch() -> None:
        while not finished.wait(_SECONDS_BETWEEN_REPORTS):
            percent = connection.query_progress()
            if percent > 0:  # -1 between statements
                report(min(percent, 100.0) / 100)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        finished.set()
        watcher.join()
