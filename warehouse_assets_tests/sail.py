"""An engine, which is a process of its own: Sail, that speaks Spark Connect."""

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from warehouse_assets_tests.ports import free_port

_SECONDS_TO_START = 60


class Sail:
    """A server on a port of its own, which can be killed and started again."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._port = free_port()
        self.url = f"sc://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, unless it runs, and wait until it listens."""
        if self._process is not None:
            return
        command = [str(Path(sys.executable).with_name("sail")), "spark", "server"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--ip", "127.0.0.1", "--port", str(self._port)], stdout=log, stderr=log
            )
        end = time.monotonic() + _SECONDS_TO_START
        while not self._listens():
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < end, self._log.read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def hang(self) -> None:
        """Stop it with SIGSTOP: the system goes on to accept connections for it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0
