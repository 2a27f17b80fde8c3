"""Object storage, which is a process of its own: moto, that speaks S3; and faults before it."""

import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from threading import Lock, Thread
from xml.etree import ElementTree

import requests

from warehouse_assets_tests.ports import free_port

_SECONDS_TO_START = 120
_OF_ONE_HOP = {"connection", "keep-alive", "transfer-encoding", "server", "date"}
_COMMIT = re.compile(r"/_delta_log/\d{20}\.json$")

_numbers = count(1)


class Bucket:
    """A bucket, and what a process has in its environment that reads and writes it."""

    def __init__(self, port: int) -> None:
        self.name = f"bucket-{next(_numbers)}"
        self.uri = f"s3://{self.name}/lake"
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "somebody",
            "AWS_SECRET_ACCESS_KEY": "a secret",
        }
        self._url = f"http://127.0.0.1:{port}/{self.name}"
        requests.put(self._url, timeout=60).raise_for_status()

    def names(self) -> set[str]:
        """The names of what is in it."""
        found = set[str]()
        token = ""
        while True:
            asked = {"list-type": "2", **({"continuation-token": token} if token else {})}
            page = ElementTree.fromstring(requests.get(self._url, asked, timeout=60).content)
            found |= {str(key.text) for key in page.findall("{*}Contents/{*}Key")}
            token = page.findtext("{*}NextContinuationToken", "")
            if not token:
                return found


class ObjectStore:
    """A server on a port of its own; it forgets everything when it is killed."""

    def __init__(self, log: Path) -> None:
        self.port = free_port()
        self._log = log.open("ab")
        command = [str(Path(sys.executable).with_name("moto_server"))]
        self._process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(self.port)],
            stdout=self._log,
            stderr=self._log,
        )
        end = time.monotonic() + _SECONDS_TO_START
        while not self._listens():
            assert self._process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        self._process.kill()
        self._process.wait()
        self._log.close()

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class Fault(Enum):
    """What becomes of a request."""

    REFUSED = "it is answered 503"
    SLOW = "it is answered after a while"
    CUT = "the connection ends before it is carried out"
    LOST = "it is carried out, and the connection ends before the answer"


class Proxy:
    """Stands before a server and has requests fail, as `fault` says of each.

    Attributes:
        fault: what becomes of a request, by its method and path.
        faults: how many there were.
    """

    seconds_of_slow = 0.3

    def __init__(self, port: int) -> None:
        self.fault: Callable[[str, str], Fault | None] = lambda *_: None
        self.faults = 0
        self._lock = Lock()
        proxy = self

        class Handler(_Handler):
            def decide(self) -> "Fault | None":
                return proxy.decide(self.command, self.path.partition("?")[0])

            upstream_port = port

        self._server = ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def decide(self, method: str, path: str) -> Fault | None:
        """What becomes of this request."""
        with self._lock:
            fault = self.fault(method, path)
            self.faults += fault is not None
            return fault

    @contextmanager
    def serving(self) -> Iterator["Proxy"]:
        """It serves during the block."""
        Thread(target=self._server.serve_forever, daemon=True).start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()


def is_commit(method: str, path: str) -> bool:
    """Whether a request makes the next version of a table."""
    return method == "PUT" and _COMMIT.search(path) is not None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    upstream_port = 0

    def decide(self) -> Fault | None:
        raise NotImplementedError

    def log_request(self, *_: object) -> None:
        pass

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self.decide()
        if fault is Fault.CUT:
            return self._cut()
        if fault is Fault.REFUSED:
            self.send_response(503)
            self.send_header("Content-Length", "0")
            return self.end_headers()
        if fault is Fault.SLOW:
            time.sleep(Proxy.seconds_of_slow)
        server = HTTPConnection("127.0.0.1", self.upstream_port)
        server.request(self.command, self.path, body, dict(self.headers))
        answer = server.getresponse()
        content = answer.read()
        server.close()
        if fault is Fault.LOST:
            return self._cut()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in {*_OF_ONE_HOP, "content-length"}:
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else len(content)
        self.send_header("Content-Length", str(length or 0))
        self.end_headers()
        with suppress(ConnectionError):  # the client may be dead
            self.wfile.write(content)
        return None

    def _cut(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass_on  # noqa: N815
