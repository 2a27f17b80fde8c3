"""A process that has imported the asset graph and runs parts of it when told to.

    python -m warehouse_assets.api.worker ASSET…

It says `ready` on standard output when it is, has a run for each line on standard input, and
answers each with a line: a JSON object with `is_successful` and `failed`, reasons by step. It ends
when its standard input does; a run that takes much longer is interrupted, and the next one goes on
from there.
"""

import importlib
import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TextIO

_SECONDS_FOR_A_RUN_TO_END = 5.0
_SECONDS_TO_INTERRUPT_A_RUN = 8.0


class _Orders:
    """The lines on standard input, and its end, which is heeded at any moment."""

    def __init__(self) -> None:
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._idle = threading.Event()
        self._idle.set()
        threading.Thread(target=self._read, daemon=True).start()

    def next(self) -> str | None:
        """The next line, or None when there is none to come."""
        return self._lines.get()

    @contextmanager
    def running(self) -> Iterator[None]:
        """A run lasts as long as the block."""
        self._idle.clear()
        try:
            yield
        finally:
            self._idle.set()

    def _read(self) -> None:
        for line in sys.stdin:
            self._lines.put(line)
        self._lines.put(None)
        if self._idle.wait(_SECONDS_FOR_A_RUN_TO_END):
            os._exit(0)
        # Dagster records the run as interrupted.
        os.kill(os.getpid(), signal.SIGINT)
        self._idle.wait(_SECONDS_TO_INTERRUPT_A_RUN)
        os._exit(1)


def _answers() -> TextIO:
    """A way to whoever reads standard output; what else is printed goes to standard error."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1, encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return answers


def _run(assets: Sequence[str]) -> dict[str, object]:
    from warehouse_assets.cli import runs
    from warehouse_assets.settings import Settings

    try:
        result = runs.materialize(Settings.from_environment(), assets)
    except Exception as error:
        return {"is_successful": False, "failed": [["", f"{type(error).__name__}: {error}"]]}
    failed = [list(step) for step in runs.failed_steps(result)]
    return {"is_successful": result.success, "failed": failed}


def _end_dead_runs() -> None:
    """End the runs of a worker before this one that was killed."""
    from warehouse_assets.cli import runs
    from warehouse_assets.settings import Settings

    with suppress(Exception):  # what is wrong, the first run says
        runs.end_dead(Settings.from_environment())


def main(assets: Sequence[str]) -> None:
    """Run `assets`, and what follows from them, once for each line on standard input."""
    orders = _Orders()
    answers = _answers()
    importlib.import_module("warehouse_assets.cli.runs")
    _end_dead_runs()
    answers.write("ready\n")
    while orders.next() is not None:
        with orders.running():
            outcome = _run(assets)
        answers.write(json.dumps(outcome) + "\n")


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):  # as Dagster turns a SIGTERM into
        main(sys.argv[1:])
