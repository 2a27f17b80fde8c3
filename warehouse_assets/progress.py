"""How long work tells what it is doing, to whoever listens: a terminal, a log, a page."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import duckdb

_SECONDS_BETWEEN_REPORTS = 0.5


@dataclass(frozen=True)
class Progress:
    """How far one activity on one table has come; `done` and `total` are in `unit`.

    `total` is None where it is not known how long the activity will take.
    """

    table: str
    activity: str
    done: int = 0
    total: int | None = None
    unit: str = ""


Listener = Callable[[Progress], None]


def nobody(progress: Progress) -> None:
    """A listener that does nothing."""


@contextmanager
def query_progress(
    connection: duckdb.DuckDBPyConnection,
    report: Callable[[float | None], None],
) -> Iterator[None]:
    """Report how much of the first statement run in the block is done, as shares from 0 to 1.

    They never get smaller. From its end on None is reported, again and again: what further
    statements go through is the same once more, and how many there will be nobody knows.
    """
    connection.execute("SET enable_progress_bar = true")
    connection.execute("SET enable_progress_bar_print = false")
    finished = threading.Event()

    def watch() -> None:
        furthest, is_over = 0.0, False
        while not finished.wait(_SECONDS_BETWEEN_REPORTS):
            percent = min(max(connection.query_progress(), 0.0), 100.0)  # -1 between statements
            is_over = is_over or percent < furthest
            furthest = max(furthest, percent)
            if is_over:
                report(None)
            elif percent > 0:
                report(percent / 100)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        finished.set()
        watcher.join()
