import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from warehouse_assets.cli.service import serve
from warehouse_assets.errors import SettingError
from warehouse_assets.ingestions import Ingestions
from warehouse_assets_tests.api.serving import (
    REPOSITORY,
    client,
    eventually,
    listening_to,
    served_by_a_process,
)
from warehouse_assets_tests.integration.processes import BIN


@contextmanager
def command(folder: Path, *options: str) -> Iterator[Any]:
    """The command as people start it, and what it prints."""
    process = subprocess.Popen(
        [
            BIN / "python",
            "-c",
            "from warehouse_assets.cli import service; service.serve()",
            *options,
        ],
        env={
            **os.environ,
            "WAREHOUSE_HOME": str(folder),
            "PYTHONPATH": str(REPOSITORY),
            "PYTHONUNBUFFERED": "1",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def children_of(process_id: int) -> list[int]:
    """The processes that `process_id` has started."""
    tasks = Path(f"/proc/{process_id}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def has_ended(process_id: int) -> bool:
    """Whether a process that is not our own child has ended."""
    try:
        return Path(f"/proc/{process_id}/stat").read_text().split()[2] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_where_it_says_until_it_is_told_to_end(
    tmp_path: Path, number: signal.Signals
) -> None:
    port = free_port()
    with command(tmp_path, "--port", str(port)) as process:
        assert process.stdout.readline().split()[4] == f"http://127.0.0.1:{port}"
        with client() as session:
            secret = {"webhook": "http://example.com/?token=s3cret"}
            url = f"http://127.0.0.1:{port}/trips/ingestions"
            assert session.post(url, params=secret, data="x").status_code == 422
        process.send_signal(number)
        _, logged = process.communicate(timeout=30)

    assert process.returncode == 0, logged
    (line,) = [line for line in logged.splitlines() if "{" in line]
    entry = json.loads(line[line.index("{") :])
    assert (entry["method"], entry["path"], entry["status"]) == ("POST", "/trips/ingestions", 422)
    assert "s3cret" not in logged


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs to see other processes")
def test_the_worker_ends_with_a_killed_service(tmp_path: Path) -> None:
    with command(tmp_path, "--port", str(free_port())) as process:
        process.stdout.readline()
        eventually(lambda: children_of(process.pid))
        (worker,) = children_of(process.pid)
        process.kill()
    eventually(lambda: has_ended(worker))


def test_streams_end_when_the_service_is_told_to_end(tmp_path: Path) -> None:
    ingestion = Ingestions(tmp_path / "ingestions").create("a.csv")
    with (
        served_by_a_process(tmp_path) as (address, process),
        listening_to(f"{address}/trips/ingestions/{ingestion.id}/events") as stream,
    ):
        heard = iter(stream)
        assert next(heard).name == "received"
        process.send_signal(signal.SIGTERM)
        assert list(heard) == []
        assert process.wait(4) == 0


def test_a_taken_port_is_said_with_what_to_do(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        environment = {"WAREHOUSE_HOME": str(tmp_path), "API_PORT": port}
        result = CliRunner().invoke(serve, [], env=environment)

    assert isinstance(result.exception, SettingError)
    assert f"127.0.0.1 port {port}" in str(result.exception)
    assert "API_PORT" in str(result.exception)


def test_a_host_of_another_machine_is_said(tmp_path: Path) -> None:
    environment = {"WAREHOUSE_HOME": str(tmp_path)}
    result = CliRunner().invoke(serve, ["--no-keys", "--host", "192.0.2.1"], env=environment)

    assert isinstance(result.exception, SettingError)
    assert "--host" in str(result.exception)
