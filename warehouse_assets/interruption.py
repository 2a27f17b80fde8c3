"""Commands that Ctrl-C and SIGTERM end at once, whatever they are doing.

The signals are waited for by a thread of its own, and no other gets them: neither Dagster nor a
library that computes, copies or waits for a lock can hold that up or take it for a failure of a
step. Ending the process in the middle of anything is harmless, as is killing it: every commit is
made whole or not at all.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click

_SECONDS_TO_TIDY_UP = 1.0
_FINISHED = signal.SIGUSR1  # from the command to the thread that waits
_SHOW_CURSOR = b"\x1b[?25h"
_STOPPED = b"Stopped. Nothing is half done: the same command, run again, goes on from here."
_tidying: list[Callable[[], object]] = []


class InterruptibleCommand(click.Command):
    """A command that ends at once when it is told to: with 130 by Ctrl-C, with 143 by SIGTERM."""

    def invoke(self, ctx: click.Context) -> Any:
        """Do the command's work while another thread waits for signals."""
        # What is ignored, as nohup has it, stays so.
        heeded = {
            number
            for number in (signal.SIGINT, signal.SIGTERM)
            if signal.getsignal(number) is not signal.SIG_IGN
        }
        heeded.add(_FINISHED)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, heeded)
        # Dagster redirects standard error into its own logs while a step runs.
        terminal = None
        with suppress(OSError, ValueError):  # there is none
            terminal = os.dup(sys.stderr.fileno())
        waiting = threading.Thread(target=_wait, args=(heeded, terminal), daemon=True)
        waiting.start()
        try:
            return super().invoke(ctx)
        finally:
            if waiting.ident is not None:
                signal.pthread_kill(waiting.ident, _FINISHED)
            waiting.join()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            if terminal is not None:
                os.close(terminal)


@contextmanager
def when_told_to_end(tidy_up: Callable[[], object]) -> Iterator[None]:
    """Have `tidy_up` called, in another thread, if the process is told to end during the block."""
    _tidying.append(tidy_up)
    try:
        yield
    finally:
        _tidying.remove(tidy_up)


def _wait(heeded: set[signal.Signals], terminal: int | None) -> None:
    """End the process at the first signal: tidy up, and say how to go on."""
    told = signal.sigwait(heeded)
    if told == _FINISHED:
        return
    tidying = threading.Thread(target=_tidy_up, args=(list(_tidying),), daemon=True)
    tidying.start()
    tidying.join(_SECONDS_TO_TIDY_UP)
    with suppress(OSError):
        if terminal is not None:
            cursor = _SHOW_CURSOR if os.isatty(terminal) else b""
            os.write(terminal, cursor + b"\n" + _STOPPED + b"\n")
    os._exit(128 + told)


def _tidy_up(actions: list[Callable[[], object]]) -> None:
    for action in reversed(actions):
        with suppress(Exception):
            action()
