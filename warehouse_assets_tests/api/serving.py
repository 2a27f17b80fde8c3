"""The service in a thread of the test, or in a process of its own, and clients of it."""

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from fastapi import FastAPI

import warehouse_assets_tests
from warehouse_assets.api.app import Server, build_app, listen, serve
from warehouse_assets.api.runs import Runs
from warehouse_assets.api.service import Service
from warehouse_assets.ingest.file_kinds import name_in_inbox
from warehouse_assets.ingestions import Ingestion
from warehouse_assets.settings import Settings
from warehouse_assets.tables import METADATA
from warehouse_assets_tests.integration.processes import fork

REPOSITORY = Path(warehouse_assets_tests.__file__).parents[1]
COLUMNS = "region,origin_coord,destination_coord,datetime,datasource\n"
ROW = "Prague,POINT (14.4 50.0),POINT (14.5 50.1),2018-05-28 09:03:40,funny_car\n"


class NoRuns(Runs):
    """Counts the runs that are asked for, and has none."""

    def __init__(self) -> None:
        super().__init__()
        self.assets: list[str] = []
        self.is_started = False
        self.is_stopped = False

    @property
    def requested(self) -> int:
        """How many runs were asked for."""
        return len(self.assets)

    def start(self) -> None:
        self.is_started = True

    def request(self, asset: str) -> None:
        self.assets.append(asset)

    def stop(self) -> None:
        self.is_stopped = True


@dataclass
class Served:
    """A service that can be reached at `address`, and a client that knows no proxy."""

    address: str
    service: Service
    client: requests.Session
    runs: NoRuns

    @property
    def inbox(self) -> list[str]:
        """The names in the folder of the inbox, hidden ones included."""
        return sorted(path.name for path in self.service.settings.inbox.iterdir())

    def send(self, content: Any, **options: Any) -> requests.Response:
        """Send a file as the body of a request."""
        headers = {"Content-Type": "text/csv", **options.pop("headers", {})}
        return self.client.post(
            f"{self.address}/trips/ingestions", data=content, headers=headers, **options
        )

    def send_form(self, **parts: tuple[str | None, str | bytes]) -> requests.Response:
        """Send a form; each part is its file name, if it is a file, and its content."""
        return self.client.post(f"{self.address}/trips/ingestions", files=parts)

    def ingestion(self, response: requests.Response) -> Ingestion:
        """The ingestion that `response` tells of."""
        assert response.status_code == 202, response.text
        found = self.service.ingestions.get(response.json()["id"])
        assert found is not None
        return found

    def create(self, name: str = "trips.csv", kind: str = "trips") -> Ingestion:
        """An ingestion without any file."""
        return self.service.ingestions.create(kind, name)


def file_of(ingestion: Ingestion) -> str:
    """The name in the inbox of the file of an ingestion."""
    name = str(ingestion.events()[0].data["name"])
    return name_in_inbox(METADATA.tables[ingestion.kind], name, ingestion.id)


def client() -> requests.Session:
    """A client that heeds no settings of this machine."""
    session = requests.Session()
    session.trust_env = False
    return session


def pages(served: Served, path: str, **values: Any) -> list[Any]:
    """All pages of an answer, each as the header `Link` of the one before leads to it."""
    found, query = [], None
    while query is None or query:
        url = f"{served.address}{path}{query or ''}"
        response = served.client.get(url, params=None if query else values)
        assert response.status_code == 200, response.text
        found.append(response.json())
        query = response.links["next"]["url"] if "next" in response.links else ""
        assert bool(query) is (found[-1]["next"] is not None)
    return found


def settings_of(folder: Path, **environment: str) -> Settings:
    """The settings of a house in `folder`."""
    return Settings.from_environment({"WAREHOUSE_HOME": str(folder), **environment})


@contextmanager
def serving(
    settings: Settings, runs: Any = None, app: FastAPI | None = None, **options: Any
) -> Iterator[Served]:
    """The service on a free port while the block runs."""
    app = app or build_app(settings, runs or NoRuns())
    with listen("127.0.0.1", 0) as listening, client() as session:
        server = Server(app, **options)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            eventually(lambda: server.started)
            address = f"http://127.0.0.1:{listening.getsockname()[1]}"
            yield Served(address, app.state.service, session, app.state.service.runs)
        finally:
            server.should_exit = True
            thread.join()


BYTES_OF_AN_UPLOAD = 5_000_000


def begin_upload(address: str, content: bytes) -> socket.socket:
    """A connection on which the beginning of an upload has been sent."""
    parts = urlsplit(address)
    connection = socket.create_connection((parts.hostname or "", parts.port or 0))
    head = "POST /trips/ingestions HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/csv\r\n"
    size = f"Content-Length: {BYTES_OF_AN_UPLOAD}\r\n\r\n"
    connection.sendall(f"{head}{size}".encode() + content)
    return connection


@dataclass
class Process:
    """A service in a process of its own, without runs."""

    address: str
    process: BaseProcess
    output: Path

    def tell_to_end(self, number: int = signal.SIGTERM) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def ended(self) -> str:
        """What it printed, when it has ended, which it must do by itself."""
        self.process.join(60)
        assert self.process.exitcode == 0
        return self.output.read_text()


@contextmanager
def served_by_a_process(folder: Path) -> Iterator[Process]:
    """A service in a process of its own; it is ended with the block if need be."""
    output, told = folder.with_suffix(".out"), folder.with_suffix(".address")
    told.unlink(missing_ok=True)  # of one before
    process = fork(_serve, {**os.environ, "WAREHOUSE_HOME": str(folder)}, output, told)
    try:
        eventually(lambda: told.exists() and told.read_text().endswith("\n"))
        yield Process(told.read_text().strip(), process, output)
    finally:
        process.kill()
        process.join()


def _serve(environment: Mapping[str, str], output: Path, told: Path) -> None:
    with output.open("wb") as stream:
        for descriptor in (1, 2):
            os.dup2(stream.fileno(), descriptor)
    os.environ.clear()
    os.environ.update(environment)
    with listen("127.0.0.1", 0) as listening:
        told.write_text(f"http://127.0.0.1:{listening.getsockname()[1]}\n")
        serve(build_app(Settings.from_environment(), NoRuns()), listening)


def assert_is_problem(response: requests.Response, status: int, *words: str) -> None:
    """Assert that an answer is a problem document which says all of `words`."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert (problem["status"], problem["type"]) == (status, "about:blank")
    for word in words:
        assert word in problem["detail"]
    if status == 503:
        assert int(response.headers["Retry-After"]) > 0


def eventually(holds: Callable[[], object], seconds: float = 60) -> None:
    """Wait until `holds()`; fail if that takes longer than `seconds`."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


@dataclass
class Heard:
    """One server-sent event."""

    id: int
    name: str
    data: Mapping[str, Any]


@contextmanager
def listening_to(url: str, **options: Any) -> Iterator[Iterator[Heard]]:
    """The events of the stream at `url`, as they are heard."""
    options = {"timeout": 10, **options}
    with client() as session, session.get(url, stream=True, **options) as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        yield _heard(response)


def _heard(response: requests.Response) -> Iterator[Heard]:
    for id_, name, data in events_in(response):
        yield Heard(int(id_ or 0), name, data)


def events_in(response: requests.Response) -> Iterator[tuple[str | None, str, Any]]:
    """The events of a stream, each with its id, its name and what it says."""
    found: dict[str, str] = {}
    for raw in response.iter_lines(chunk_size=1):
        name, _, value = raw.decode().partition(": ")
        if name:
            found[name] = value
        elif "data" in found:
            yield found.get("id"), found["event"], json.loads(found["data"])
            found = {}


def events_url(served: Served, ingestion: Ingestion) -> str:
    """Where the events of `ingestion` are streamed."""
    return f"{served.address}/trips/ingestions/{ingestion.id}/events"
