"""How work tells what it is doing to whoever listens: the log of a run, a terminal, a page.

Work passes no listener along: it is heard by those in whose `heard_by` it is done.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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


@dataclass(frozen=True)
class _Listener:
    tell: Callable[[str], object]
    report: Callable[[Progress], object]


_listeners: ContextVar[tuple[_Listener, ...]] = ContextVar("listeners", default=())


@contextmanager
def heard_by(
    tell: Callable[[str], object] = lambda _: None,
    report: Callable[[Progress], object] = lambda _: None,
) -> Iterator[None]:
    """Have all that is told while the block runs heard, by these as by those around it.

    Args:
        tell: given each sentence.
        report: given how far work has come, also by other threads.
    """
    before = _listeners.set((*_listeners.get(), _Listener(tell, report)))
    try:
        yield
    finally:
        _listeners.reset(before)


def tell(sentence: str) -> None:
    """Tell whoever listens, if anybody does, what is worth knowing."""
    for listener in _listeners.get():
        listener.tell(sentence)


def report(progress: Progress) -> None:
    """Tell whoever listens, if anybody does, how far an activity has come."""
    for listener in _listeners.get():
        listener.report(progress)


@contextmanager
def query_progress(
    connection: "duckdb.DuckDBPyConnection",
    told: Callable[[float], object],
    seconds: float = _SECONDS_BETWEEN_REPORTS,
) -> Iterator[None]:
    """Tell how much of the first statement run in the block is done, as shares from 0 to 1.

    They never get smaller. Of further statements nothing is told.

    Args:
        seconds: how long it is from one telling to the next.
    """
    connection.execute("SET enable_progress_bar = true")
    connection.execute("SET enable_progress_bar_print = false")
    finished = threading.Event()

    def watch() -> None:
        furthest = 0.0
        while not finished.wait(seconds):
            percent = min(max(connection.query_progress(), 0.0), 100.0)  # -1 between statements
            if percent < furthest:
                return
            if percent > 0:
                furthest = percent
                told(percent / 100)

    watcher = threading.Thread(target=copy_context().run, args=(watch,), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        finished.set()
        watcher.join()
