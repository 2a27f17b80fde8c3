"""How the service begins and ends, and what its command refuses."""

import asyncio
import json
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests
from click.testing import CliRunner

from warehouse_assets.api.app import build_app
from warehouse_assets.cli.service import serve
from warehouse_assets.errors import SettingError
from warehouse_assets.ingestions import Ingestions
from warehouse_assets.settings import Settings
from warehouse_assets_tests.api.serving import (
    BYTES_OF_AN_UPLOAD,
    NoRuns,
    assert_is_problem,
    begin_upload,
    client,
    eventually,
    listening_to,
    served_by_a_process,
    serving,
    settings_of,
)


def test_streams_end_with_the_service_and_uploads_get_some_seconds(tmp_path: Path) -> None:
    ingestions = Ingestions(tmp_path / "ingestions")
    ingestion = ingestions.create("trips", "a.csv")
    with (
        served_by_a_process(tmp_path) as service,
        listening_to(f"{service.address}/trips/ingestions/{ingestion.id}/events") as stream,
    ):
        heard = iter(stream)
        assert next(heard).name == "received"
        with begin_upload(service.address, b"xx") as upload, upload.makefile() as answer:
            eventually(lambda: len(ingestions.all()) == 2)
            service.tell_to_end()
            assert list(heard) == []
            upload.sendall(b"x" * (BYTES_OF_AN_UPLOAD - 2))
            assert "202 Accepted" in answer.readline()
        assert "timeout" not in service.ended()  # nothing had to be cancelled
    (path,) = (tmp_path / "inbox").iterdir()
    assert path.stat().st_size == BYTES_OF_AN_UPLOAD


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
    journals = Ingestions(tmp_path / "ingestions").all()
    assert all("broken off" in journal.events()[-1].data["reason"] for journal in journals)
    assert list((tmp_path / "inbox").iterdir()) == []
    feed = Settings.from_environment({"WAREHOUSE_HOME": str(tmp_path)}).deliveries_feed
    assert not feed.exists() or not feed.read_bytes()


def refusal_of(folder: Path, *options: str, **environment: str) -> str:
    """Why the command does not serve."""
    result = CliRunner().invoke(serve, options, env={"WAREHOUSE_HOME": str(folder), **environment})
    assert isinstance(result.exception, SettingError)
    return str(result.exception)


def test_where_it_cannot_or_must_not_listen_is_said_with_what_to_do(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        told = refusal_of(tmp_path, API_PORT=port)
    assert f"127.0.0.1 port {port}" in told
    assert "API_PORT" in told
    assert "--host" in refusal_of(tmp_path, "--no-keys", "--host", "192.0.2.1")
    for host in ("0.0.0.0", "::", "192.0.2.1"):
        told = refusal_of(tmp_path, API_HOST=host)
        assert "warehouse api-key" in told
        assert "--no-keys" in told


def test_requests_under_way_are_answered_before_the_service_ends_or_told_that_it_does(
    tmp_path: Path,
) -> None:
    app = build_app(settings_of(tmp_path), NoRuns())
    asked = {path: threading.Event() for path in ("slow", "endless")}
    may_end = threading.Event()

    @app.get("/slow")
    def slow() -> str:
        asked["slow"].set()
        may_end.wait(60)
        return "done"

    @app.get("/endless")
    async def endless() -> None:
        asked["endless"].set()
        await asyncio.sleep(60)

    with (
        ThreadPoolExecutor() as pool,
        serving(settings_of(tmp_path), app=app, seconds_at_the_end=1) as served,
    ):
        assert served.runs.is_started
        answers = [pool.submit(requests.get, f"{served.address}/{path}") for path in asked]
        assert all(event.wait(60) for event in asked.values())
        threading.Timer(0.3, may_end.set).start()
    assert answers[0].result().json() == "done"
    assert_is_problem(answers[1].result(), 503)
    assert served.runs.is_stopped
