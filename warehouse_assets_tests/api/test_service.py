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

from warehouse_assets.cli.service import command as serve
from warehouse_assets.errors import SettingError
from warehouse_assets.ingestions import Ingestions
from warehouse_assets.settings import Settings
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
            "from warehouse_assets.cli import service; service.command()",
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


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs to see other processes")
def test_the_command_serves_where_it_says_and_what_it_started_ends_with_it(tmp_path: Path) -> None:
    port = free_port()
    with command(tmp_path, "--port", str(port)) as process:
        assert process.stdout.readline().split()[4] == f"http://127.0.0.1:{port}"
        with client() as session:
            assert session.get(f"http://127.0.0.1:{port}/health/live").status_code == 200
        eventually(lambda: len(children_of(process.pid)) == 2)
        started = children_of(process.pid)
        process.kill()
    # What it imports at that moment it imports to the end.
    eventually(lambda: all(has_ended(child) for child in started), seconds=600)


def test_streams_end_when_the_service_is_told_to_end(tmp_path: Path) -> None:
    ingestion = Ingestions(tmp_path / "ingestions").create("a.csv")
    with (
        served_by_a_process(tmp_path) as service,
        listening_to(f"{service.address}/trips/ingestions/{ingestion.id}/events") as stream,
    ):
        heard = iter(stream)
        assert next(heard).name == "received"
        service.tell_to_end()
        assert list(heard) == []
        assert "timeout" not in service.ended()  # nothing had to be cancelled


_STEP = b'{"Delivery Step": 1, "Customer": 1, "Timestamp": "2020-01-01T12:00:00"}'
_FORM = b'--b\r\nContent-Disposition: form-data; name="file"; filename="t.csv"\r\n\r\nregion,'


_BROKEN_OFF = [
    ("/deliveries", "application/json", b""),
    ("/deliveries", "application/json", _STEP[:40]),
    ("/deliveries", "application/json", _STEP),
    ("/trips/ingestions", "text/csv", b"region,"),
    ("/trips/ingestions", "multipart/form-data; boundary=b", _FORM),
]


def test_a_body_that_breaks_off_is_a_line_of_the_log_and_nothing_of_it_is_taken(
    tmp_path: Path,
) -> None:
    with served_by_a_process(tmp_path) as service:
        host, _, port = service.address.removeprefix("http://").partition(":")
        for path, kind, body in _BROKEN_OFF:
            chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            for head, sent in (
                ("Content-Length: 1000", body),
                ("Transfer-Encoding: chunked", chunk),
            ):
                request = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {kind}\r\n{head}"
                with socket.create_connection((host, int(port)), 20) as connection:
                    connection.sendall(f"{request}\r\n\r\n".encode() + sent)
                    connection.shutdown(socket.SHUT_WR)
                    connection.recv(1000)
        with client() as session:
            assert session.get(f"{service.address}/health/live?token=s3cret").status_code == 422
        service.tell_to_end(signal.SIGINT)
        logged = service.ended()

    assert "s3cret" not in logged
    entries = [json.loads(line) for line in logged.splitlines()]  # a traceback is no JSON
    told = [(entry["path"], entry["status"]) for entry in entries]
    expected = [(path, 400) for path, _, _ in _BROKEN_OFF for _ in range(2)]
    assert sorted(told) == sorted([*expected, ("/health/live", 422)])
    assert not list(tmp_path.rglob("*.part"))
    feed = Settings.from_environment({"WAREHOUSE_HOME": str(tmp_path)}).deliveries_feed
    assert not feed.exists() or not feed.read_bytes()


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
