"""Having a block of code die at a crash point of the package."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from warehouse_assets import crash_points


class Killed(BaseException):
    """The process dies here; nothing catches it."""


@contextmanager
def hooked(hook: Callable[[str, str], object]) -> Iterator[None]:
    """Call `hook` at every crash point in the block."""
    crash_points.hook = hook
    try:
        yield
    finally:
        crash_points.hook = None


@contextmanager
def killed_at(name: str, call: int = 1, subject: str | None = None) -> Iterator[None]:
    """The block comes to the crash point for the `call`-th time, and dies there."""
    with pytest.raises(Killed), dying_at(name, call, subject):
        yield


@contextmanager
def dying_at(name: str, call: int = 1, subject: str | None = None) -> Iterator[None]:
    """The block dies at the crash point, if it comes to it for the `call`-th time."""
    calls = 0

    def die(point: str, of: str) -> None:
        nonlocal calls
        if point == name and subject in (None, of):
            calls += 1
            if calls == call:
                raise Killed

    with hooked(die):
        yield


def kill_at(name: str, subject: str) -> None:
    """Let this process be killed, without a moment to put anything right, at the crash point."""

    def kill(point: str, of: str) -> None:
        if (point, of) == (name, subject):
            os.kill(os.getpid(), signal.SIGKILL)

    crash_points.hook = kill
