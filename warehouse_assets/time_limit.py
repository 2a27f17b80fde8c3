"""How long queries may take that somebody waits for: those that take longer are interrupted."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from warehouse_assets.errors import BusyError

_DEADLINE: ContextVar[tuple[float, str] | None] = ContextVar("deadline", default=None)
_SECONDS_BETWEEN_INTERRUPTIONS = 0.05


@contextmanager
def time_limit(seconds: float, advice: str) -> Iterator[None]:
    """Have what is read in this block, also in threads that it waits for, end after some seconds.

    Args:
        advice: what to do then, as a sentence.
    """
    told = f"That takes longer than {seconds:g} s, and was interrupted. {advice}"
    token = _DEADLINE.set((time.monotonic() + seconds, told))
    try:
        yield
    finally:
        _DEADLINE.reset(token)


@contextmanager
def interruptible(interrupt: Callable[[], object]) -> Iterator[None]:
    """Have the queries of a block interrupted when its time is over; there may be no limit.

    Args:
        interrupt: ends the query that runs, from another thread; if none does it changes nothing.

    Raises:
        BusyError: a query was interrupted.
    """
    limit = _DEADLINE.get()
    if limit is None:
        yield
        return
    (deadline, told), is_done = limit, threading.Event()

    def watch() -> None:
        if is_done.wait(max(0.0, deadline - time.monotonic())):
            return
        interrupt()
        while not is_done.wait(_SECONDS_BETWEEN_INTERRUPTIONS):  # the next query, too
            interrupt()

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield
    except Exception as error:
        if time.monotonic() >= deadline:
            raise BusyError(told) from error
        raise
    finally:
        is_done.set()
        watching.join()
