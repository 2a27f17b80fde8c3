"""Runs on demand, each in a process forked from one that has imported everything already.

Importing Dagster takes seconds, a run need not: Python's fork server does it once. The runs are
recorded in Dagster's history like any other. Where they cannot be had, the inbox sensor of
`dagster dev` takes the files, somewhat later.
"""

import logging
import logging.config
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from multiprocessing import forkserver

from warehouse_assets.api.telemetry import LOGS

_PRELOADED = ["__main__", "warehouse_assets.runs", __name__]
_SECONDS_FOR_A_RUN_TO_END = 5.0
_SECONDS_TO_INTERRUPT_A_RUN = 8.0
_SECONDS_BETWEEN_LOOKS = 0.1
_MOST_TRIES_OF_A_RUN = 3
_logger = logging.getLogger(__name__)

Environment = Mapping[str, str]


def take_files(environment: Environment, assets: Sequence[str]) -> None:
    """Be a process that takes what waits in the inbox for `assets`, and what follows from it."""
    os.environ.clear()
    os.environ.update(environment)
    os.setsid()  # a Ctrl+C in the terminal is not for it
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    logging.config.dictConfig(LOGS)
    threading.Thread(target=_end_with_the_service, daemon=True).start()
    from warehouse_assets import runs
    from warehouse_assets.settings import Settings

    with suppress(KeyboardInterrupt):  # Dagster records the run as interrupted
        try:
            settings = Settings.from_environment()
            runs.end_dead(settings)
            failed = runs.failed_steps(runs.materialize(settings, assets))
        except Exception as error:
            failed = [("", f"{type(error).__name__}: {error}")]
        for step, reason in failed:
            _logger.warning("A run failed%s: %s", f" in {step}" if step else "", reason)


def _end_with_the_service() -> None:
    service = multiprocessing.parent_process()
    if service is not None:
        service.join()
        time.sleep(_SECONDS_FOR_A_RUN_TO_END)
        os.kill(os.getpid(), signal.SIGINT)


class Runs:
    """Runs in processes of their own, one at a time, with the environment of this process.

    Args:
        task: what a process does.
    """

    def __init__(self, task: Callable[[Environment, Sequence[str]], object] = take_files) -> None:
        self._task = task
        self._context = multiprocessing.get_context("forkserver")
        self._requested: set[str] = set()
        self._is_requested = threading.Event()
        self._is_stopped = threading.Event()
        self._thread = threading.Thread(target=self._run_when_requested, daemon=True)

    def start(self) -> None:
        """Start importing in the background."""
        self._context.set_forkserver_preload(_PRELOADED)
        forkserver.ensure_running()
        self._thread.start()

    def request(self, asset: str) -> None:
        """Have a run of `asset` start as soon as none is running; all until then are one."""
        self._requested.add(asset)
        self._is_requested.set()

    def stop(self) -> None:
        """End; a run that takes long is interrupted, to be gone on with later."""
        self._is_stopped.set()
        self._is_requested.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run_when_requested(self) -> None:
        while True:
            self._is_requested.wait()
            if self._is_stopped.is_set():
                return
            self._is_requested.clear()
            requested = sorted(self._requested)
            self._requested.difference_update(requested)
            for _ in range(_MOST_TRIES_OF_A_RUN):
                try:
                    code = self._run(requested)
                except OSError as error:
                    _logger.warning("A run cannot be started: %s", error)
                    break
                if code == 0 or self._is_stopped.is_set():
                    break
                _logger.warning("The process of a run has ended before the run did (%s).", code)

    def _run(self, assets: Sequence[str]) -> int | None:
        """Have a run; the exit code of its process, which is 0 if the run came to an end."""
        task = (dict(os.environ), assets)
        process = self._context.Process(target=self._task, args=task, daemon=True)
        process.start()
        while process.is_alive() and not self._is_stopped.is_set():
            process.join(_SECONDS_BETWEEN_LOOKS)
        process.join(_SECONDS_FOR_A_RUN_TO_END)
        if process.is_alive() and process.pid is not None:
            os.kill(process.pid, signal.SIGINT)
            process.join(_SECONDS_TO_INTERRUPT_A_RUN)
            process.kill()
            process.join()
        return process.exitcode
