"""The REST server of the sample school's batches, as such servers really answer.

GET /batches gives the first 100 batches by creation, ?after=2026-11-20T13:51:54.463 the first 100
of that second and later: it compares whole seconds, so that those of the boundary come again. The
answer is JSON and says that it is text/html. On wish the server fails now and then.
"""

import json
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from urllib.parse import parse_qs, urlsplit

from warehouse_assets.errors import SettingError
from warehouse_assets.samples.school import Batch

PAGE = 100
_HOST = "127.0.0.1"
_TO_THE_SECOND = len("2026-11-20 13:51:54")
_SHARE_OF_FAILURES = 0.25
_MOST_FAILURES_IN_A_ROW = 2  # who tries three times gets through
_MAINTENANCE = b"<!DOCTYPE html><html><body><h1>Down for maintenance</h1></body></html>"

FAILURES = ("error", "unavailable", "delay", "cut off", "broken off", "page")


class BatchServer:
    """Serves what `batches` returns, in the order of creation, from `start` on until it is closed.

    As a context it serves while the block runs.

    Args:
        batches: returns a sequence that is never changed afterwards.
        port: 0 for any that is free; `address` says which.
        chance: what fails and when; None for never.
        longest_delay: of a late answer, in seconds.

    Raises:
        SettingError: the port cannot be had.
    """

    def __init__(
        self,
        batches: Callable[[], Sequence[Batch]],
        port: int = 0,
        chance: Random | None = None,
        longest_delay: float = 1.5,
    ) -> None:
        self._batches = batches
        self._longest_delay = longest_delay
        self._chance = chance
        self._failures_in_a_row = 0
        self._counting = threading.Lock()
        self.requests = 0
        self.failures = 0
        try:
            self._server = _Server((_HOST, port), _Handler)
        except OSError as error:
            raise SettingError(
                f"The batches cannot be served at port {port}: {error.strerror}. Take another one "
                "with --port, or 0 for any that is free."
            ) from None
        self._server.owner = self
        self.address = f"http://{_HOST}:{self._server.server_port}"
        serve = self._server.serve_forever
        self._thread = threading.Thread(target=serve, args=(0.05,), daemon=True)

    def __enter__(self) -> "BatchServer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Begin to answer; who has asked before, has waited."""
        self._thread.start()

    def close(self) -> None:
        """Answer the requests that have come, then stop."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def page(self, after: datetime | None) -> list[Batch]:
        """The page of batches from the whole second of `after` on, or from the beginning."""
        batches = self._batches()
        begin = 0
        if after is not None:
            second = f"{after:%Y-%m-%d %H:%M:%S}"
            begin = bisect_left(batches, second, key=lambda b: b.created_at[:_TO_THE_SECOND])
        return list(batches[begin : begin + PAGE])

    def failure(self) -> str | None:
        """Whether the next answer fails, and how."""
        with self._counting:
            self.requests += 1
            fails = (
                self._chance is not None
                and self._failures_in_a_row < _MOST_FAILURES_IN_A_ROW
                and self._chance.random() < _SHARE_OF_FAILURES
            )
            self._failures_in_a_row = self._failures_in_a_row + 1 if fails else 0
            self.failures += fails
            return self._chance.choice(FAILURES) if self._chance and fails else None

    def delay(self) -> float:
        """For how many seconds an answer is late."""
        return self._chance.uniform(0.1, self._longest_delay) if self._chance else 0


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # closing waits for the answers that are under way
    owner: BatchServer


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 5  # for a request that does not come

    def do_GET(self) -> None:
        """Answer a request for batches."""
        address = urlsplit(self.path)
        if not address.path.rstrip("/").endswith("/batches"):
            return self._send(HTTPStatus.NOT_FOUND, b"There is nothing but /batches.")
        try:
            given = parse_qs(address.query).get("after")
            after = datetime.fromisoformat(given[-1]) if given else None
        except ValueError:
            return self._send(HTTPStatus.BAD_REQUEST, b"after must be YYYY-MM-DDTHH:MM:SS.SSS")
        owner = self.server.owner
        failure = owner.failure()
        if failure == "delay":
            time.sleep(owner.delay())
        body = json.dumps([batch._asdict() for batch in owner.page(after)]).encode()
        return self._fail(failure, body) if failure else self._send(HTTPStatus.OK, body)

    def _fail(self, failure: str, body: bytes) -> None:
        if failure == "error":
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, b"Internal Server Error")
        elif failure == "unavailable":
            self._send(HTTPStatus.SERVICE_UNAVAILABLE, b"Try again later", {"Retry-After": "1"})
        elif failure == "cut off":
            self._send(HTTPStatus.OK, body[: len(body) // 2])
        elif failure == "broken off":
            self._send(HTTPStatus.OK, body[: len(body) // 2], {"Content-Length": str(len(body))})
        elif failure == "page":
            self._send(HTTPStatus.OK, _MAINTENANCE)
        else:  # it was only late
            self._send(HTTPStatus.OK, body)

    def _send(
        self, status: HTTPStatus, body: bytes, headers: Mapping[str, str] | None = None
    ) -> None:
        try:
            self.send_response(status)
            defaults = {"Content-Type": "text/html", "Content-Length": str(len(body))}
            for name, value in {**defaults, **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:
            pass  # whoever asked has gone

    def log_message(self, *_: object) -> None:
        """Say nothing: the simulation counts the requests."""
