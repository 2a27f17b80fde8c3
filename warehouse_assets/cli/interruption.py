"""Commands that Ctrl-C and SIGTERM end at once, whatever they are doing.

The work of such a command is done by a thread of its own, so that the main thread, which is the one
that gets signals, is always free to end the process: neither Dagster nor a library that computes,
copies or waits for a lock can hold that up or take it for a failure of a step. Ending the process
in the middle of anything is harmless, as is killing it: every commit is made whole or not at all.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, NoReturn

import click

_SECONDS_TO_TIDY_UP = 1.0
_SHOW_CURSOR = "\x1b[?25h"
_tidying: list[Callable[[], object]] = []


class _ToldToEnd(BaseException):
    """The process got a signal that ends it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class InterruptibleCommand(click.Command):
    """A command that ends at once when it is told to: with 130 by Ctrl-C, with 143 by SIGTERM."""

    def invoke(self, ctx: click.Context) -> Any:
        """Do the command's work in a thread and wait for its end or for a signal."""
        if threading.current_thread() is not threading.main_thread():
            return super().invoke(ctx)
        return _do(lambda: super(InterruptibleCommand, self).invoke(ctx))


@contextmanager
def when_told_to_end(tidy_up: Callable[[], object]) -> Iterator[None]:
    """Have `tidy_up` called, in another thread, if the process is told to end during the block."""
    _tidying.append(tidy_up)
    try:
        yield
    finally:
        _tidying.remove(tidy_up)


def _do(work: Callable[[], Any]) -> Any:
    """Do `work` in a thread and return what it returns, or raise what it raises."""
    finished = threading.Event()
    returned: list[Any] = []
    raised: list[BaseException] = []

    def run() -> None:
        # Programs that Dagster starts end with this one, without a word on Ctrl-C.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            returned.append(work())
        except BaseException as error:  # also SystemExit, which ends only the thread
            raised.append(error)
        finally:
            finished.set()

    # Dagster redirects standard error into its own logs while a step runs.
    with _copy_of_standard_error() as terminal:
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        heeded = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
        try:
            for number in heeded:
                signal.signal(number, _end)
            threading.Thread(target=run, name="command", daemon=True).start()
            finished.wait()
            for number in heeded:
                signal.signal(number, before[number])
        except _ToldToEnd as told:
            _end_process(told.number, terminal)
    if raised:
        raise raised[0]
    return returned[0]


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    raise _ToldToEnd(number)


def _end_process(number: int, terminal: int | None) -> NoReturn:
    """Tidy up, say how to go on, and end the process without waiting for its work."""
    for again in (signal.SIGINT, signal.SIGTERM):
        signal.signal(again, signal.SIG_DFL)  # the second time at once
    tidying = threading.Thread(target=_tidy_up, args=(list(_tidying),), daemon=True)
    tidying.start()
    tidying.join(_SECONDS_TO_TIDY_UP)
    with suppress(OSError):
        if terminal is not None:
            line = "Stopped. Nothing is half done: the same command, run again, goes on from here."
            cursor = _SHOW_CURSOR if os.isatty(terminal) else ""
            os.write(terminal, f"{cursor}\n{line}\n".encode())
    os._exit(128 + number)


def _tidy_up(actions: list[Callable[[], object]]) -> None:
    for action in reversed(actions):
        with suppress(Exception):
            action()


@contextmanager
def _copy_of_standard_error() -> Iterator[int | None]:
    try:
        descriptor = os.dup(sys.stderr.fileno())
    except (OSError, ValueError):  # there is none
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)
