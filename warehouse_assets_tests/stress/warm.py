"""Processes that begin warm: forked from one that has imported everything and opened nothing.

A new interpreter takes seconds to import Dagster; a fork is there at once, so that hundreds of
runs can be killed in minutes. The process that forks must never run a query, open a table or make
a Dagster instance: what those leave behind, threads above all, does not survive a fork.
"""

import os
import pickle
import signal
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

# Longer than anything here takes; a process that is still there after it hangs.
SECONDS_BEFORE_IT_HANGS = 600.0
_SECONDS_BETWEEN_LOOKS = 0.002
_COMMAND = "from warehouse_assets.cli import main; main()"


class DifferenceError(Exception):
    """Something is not as it must be; the message says what."""


def demand(holds: bool, otherwise: str) -> None:
    """Raise a DifferenceError that says `otherwise` unless it holds."""
    if not holds:
        raise DifferenceError(otherwise)


def compare(what: str, expected: Any, found: Any) -> None:
    """Raise a DifferenceError unless both are equal: of tables by name, of rows, or of values."""
    if expected == found:
        return
    if isinstance(expected, dict) and isinstance(found, dict):
        for name in sorted({*expected, *found}):
            compare(f"{what}: {name}", expected.get(name), found.get(name))
    if isinstance(expected, list) and isinstance(found, list):
        missing = [row for row in expected if row not in found][:5]
        extra = [row for row in found if row not in expected][:5]
        raise DifferenceError(
            f"{what} differ: {len(expected)} and {len(found)} rows, missing {missing}, "
            f"too many {extra}"
        )
    raise DifferenceError(f"{what} differ: {expected} and {found}")


def wait_until(is_so: Callable[[], object], is_alive: Callable[[], bool], otherwise: str) -> None:
    """Wait until something is so, as long as whoever makes it so is alive.

    Raises:
        DifferenceError: it has not come about; the message is `otherwise`.
    """
    until = time.monotonic() + SECONDS_BEFORE_IT_HANGS
    while not is_so():
        demand(is_alive() and time.monotonic() < until, otherwise)
        time.sleep(0.05)


@contextmanager
def command(
    home: Path, environment: Mapping[str, str], *words: str
) -> Iterator["subprocess.Popen[bytes]"]:
    """A `warehouse` command over `home` while the block runs; it must end well when told to.

    What it prints goes into a file in `home`.
    """
    home.mkdir(parents=True, exist_ok=True)
    with (home / f"{words[0]}.out").open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", _COMMAND, *words],
            env={**os.environ, "WAREHOUSE_HOME": str(home), **environment},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        code = process.wait(SECONDS_BEFORE_IT_HANGS)
        demand(code == 0, f"`{' '.join(words)}` ended with {code}")
    finally:
        process.kill()
        process.wait()


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
