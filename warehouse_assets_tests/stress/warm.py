"""Processes that begin warm: forked from one that has imported everything and opened nothing.

A new interpreter takes seconds to import Dagster; a fork is there at once, so that hundreds of
runs can be killed in minutes. The process that forks must never run a query, open a table or make
a Dagster instance: what those leave behind, threads above all, does not survive a fork.
"""

import os
import pickle
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

# Longer than anything here takes; a process that is still there after it hangs.
SECONDS_BEFORE_IT_HANGS = 600.0
_SECONDS_BETWEEN_LOOKS = 0.002


class DifferenceError(Exception):
    """Something is not as it must be; the message says what."""


class Child:
    """A process that does `task` and hands over what that returns."""

    def __init__(self, task: Callable[[], Any], folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / uuid4().hex
        self.code: int | None = None
        with warnings.catch_warnings():
            # The libraries' own idle threads, of which they take care themselves.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.process = os.fork()
        if self.process == 0:
            self._do(task)

    def _do(self, task: Callable[[], Any]) -> None:
        """Be the child: whatever happens, never return into the parent's code."""
        code = 1
        try:
            said = os.open(self._said, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(said, 1)
            os.dup2(said, 2)
            self.path.write_bytes(pickle.dumps(task()))
            code = 0
        except BaseException:  # also what would end the parent's program
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    @property
    def _said(self) -> Path:
        return self.path.with_suffix(".log")

    @property
    def said(self) -> str:
        """What the process printed."""
        return self._said.read_text("utf-8", errors="replace") if self._said.exists() else ""

    def wait(self, seconds: float = SECONDS_BEFORE_IT_HANGS) -> int | None:
        """The exit code, negative for a signal, or None if it runs longer than `seconds`."""
        until = time.monotonic() + seconds
        while self.code is None:
            process, status = os.waitpid(self.process, os.WNOHANG)
            if process:
                self.code = os.waitstatus_to_exitcode(status)
            elif time.monotonic() > until:
                return None
            else:
                time.sleep(_SECONDS_BETWEEN_LOOKS)
        return self.code

    def kill(self) -> int | None:
        """Kill it, unless it has ended; returns its exit code."""
        if self.wait(0) is None:
            os.kill(self.process, signal.SIGKILL)
        return self.wait()

    def result(self, seconds: float = SECONDS_BEFORE_IT_HANGS) -> Any:
        """What the task returned.

        Raises:
            DifferenceError: it failed, was killed or hangs.
        """
        code = self.wait(seconds)
        if code is None:
            self.kill()
            raise DifferenceError(f"a process hung for {seconds:g} s:\n{self.said}")
        if code != 0:
            raise DifferenceError(f"a process ended with {code}:\n{self.said}")
        return pickle.loads(self.path.read_bytes())
