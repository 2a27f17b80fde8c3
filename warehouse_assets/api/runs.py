"""Runs on demand, in a process that is kept warm: importing Dagster takes seconds, a run need not.

The runs are recorded in Dagster's history like any other. Where the process cannot run, the inbox
sensor of `dagster dev` takes the files, somewhat later.
"""

import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

_COMMAND = (sys.executable, "-m", "warehouse_assets.api.worker", "trips")
_SECONDS_TO_END = 15.0  # more than the process takes to interrupt a run
_SECONDS_BEFORE_RESTARTS = (0.5, 2.0, 10.0, 60.0)
_MOST_TRIES_OF_A_RUN = 3
_logger = logging.getLogger(__name__)


class WarmRuns:
    """Runs in a process of their own, one at a time.

    Args:
        command: the process: it writes a line when it is ready, and one after each run, which it
            has for each line that it reads; it ends when its input ends. Its settings are those
            of this process's environment.
    """

    def __init__(self, command: Sequence[str] = _COMMAND) -> None:
        self._command = command
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._is_idle = False
        self._is_requested = False
        self._tries = 0
        self._thread = threading.Thread(target=self._keep_running, daemon=True)

    def start(self) -> None:
        """Start the process in the background."""
        self._thread.start()

    def request(self) -> None:
        """Have a run start as soon as none is running; all requests until then are one."""
        with self._lock:
            self._is_requested = True
            self._tries = 0
            self._order_if_due()

    def stop(self) -> None:
        """End the process; a run in it that takes long is interrupted, to be gone on with later."""
        self._stopping.set()
        with self._lock:
            process = self._process
        if process is not None and process.stdin is not None:
            try:
                process.stdin.close()
            except OSError:
                _logger.debug("The run worker has ended already.")
            try:
                process.wait(_SECONDS_TO_END)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._thread.is_alive():
            self._thread.join()

    def _order_if_due(self) -> None:
        """Order a run of the process if one is requested; the lock is held."""
        if not (self._is_requested and self._is_idle and self._process and self._process.stdin):
            return
        self._is_requested = self._is_idle = False
        self._tries += 1
        try:
            self._process.stdin.write("run\n")
            self._process.stdin.flush()
        except (OSError, ValueError):  # it has just ended; another one will be started
            self._is_requested = True

    def _keep_running(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            is_ready = self._run_process()
            if is_ready and time.monotonic() - began > _SECONDS_BEFORE_RESTARTS[-1]:
                failures = 0
            if self._stopping.is_set():
                return
            seconds = _SECONDS_BEFORE_RESTARTS[min(failures, len(_SECONDS_BEFORE_RESTARTS) - 1)]
            failures += 1
            _logger.warning("The run worker has ended; it is started again in %g s.", seconds)
            self._stopping.wait(seconds)

    def _run_process(self) -> bool:
        """Start the process and heed what it says until it ends; whether it was ever ready."""
        try:
            # In a session of its own, a Ctrl+C in the terminal is not for it.
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        except OSError as error:
            _logger.warning("The run worker cannot be started: %s", error)
            return False
        with self._lock:
            self._process = process
        if self._stopping.is_set() and process.stdin is not None:
            process.stdin.close()
        is_ready = False
        assert process.stdout is not None
        for line in process.stdout:
            if is_ready:
                _log(line)
            is_ready = True
            with self._lock:
                self._is_idle = True
                self._order_if_due()
        process.stdout.close()
        with self._lock:
            is_cut = is_ready and not self._is_idle
            self._is_idle = False
            self._process = None
            if is_cut and self._tries < _MOST_TRIES_OF_A_RUN:
                self._is_requested = True
        process.wait()
        if process.stdin is not None and not process.stdin.closed:
            try:
                process.stdin.close()
            except OSError:
                _logger.debug("The run worker did not read its last order.")
        return is_ready


def _log(line: str) -> None:
    try:
        outcome = json.loads(line)
        failed = outcome["failed"]
    except (ValueError, KeyError, TypeError):
        return
    for step, reason in failed:
        _logger.warning("A run failed%s: %s", f" in {step}" if step else "", reason)
