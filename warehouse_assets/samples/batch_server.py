"""The REST server of the sample school's batches, as such servers really answer.

GET /batches gives the first 100 batches by creation, ?after=2026-11-20T13:51:54.463 the first 100
of that second and later: it compares whole seconds, so that those of the boundary come again. The
answer is JSON and says that it is text/html. On wish the server fails now and then.
"""

import json
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from urllib.parse import parse_qs, urlsplit

from warehouse_assets.errors import SettingError
from warehouse_assets.samples.school import Batch

_PAGE = 100
_HOST = "127.0.0.1"
_TO_THE_SECOND = len("2026-11-20 13:51:54")
_SHARE_OF_FAILURES = 0.25
_MOST_FAILURES_IN_A_ROW = 2  # who tries three times gets through
_FAILURES = ("error", "unavailable", "delay", "cut off", "broken off", "page")
_MAINTENANCE = b"<!DOCTYPE html><html><body><h1>Down for maintenance</h1></body></html>"


class BatchServer(ThreadingHTTPServer):
    """Serves what `batches` returns, in the order of creation. As a context it does so meanwhile.

    Args:
        batches: returns a sequence that is never changed afterwards.
        port: 0 for any that is free; `address` says which.
        chance: what fails and when; None for never.
        longest_delay: of a late answer, in seconds.

    Raises:
        SettingError: the port cannot be had.
    """

    daemon_threads = False  # closing waits for the answers that are under way

    def __init__(
        self,
        batches: Callable[[], Sequence[Batch]],
        port: int = 0,
        chance: Random | None = None,
        longest_delay: float = 1.5,
    ) -> None:
        self._batches = batches
        self._chance = chance
        self._longest_delay = longest_delay
        self._failures_in_a_row = self.requests = self.failures = 0
        self._counting = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        try:
            super().__init__((_HOST, port), _Handler)
        except OSError as error:
            raise SettingError(
                f"The batches cannot be served at port {port}: {error.strerror}. Take another one "
                "with --port, or 0 for any that is free."
            ) from None
        self.address = f"http://{_HOST}:{self.server_port}"

    def __enter__(self) -> "BatchServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Answer the requests that have come, then stop."""
        self.shutdown()
        self._thread.join()
        self.server_close()

    def page(self, after: datetime | None) -> list[Batch]:
        """The page of batches from the whole second of `after` on, or from the beginning."""
        batches = self._batches()
        begin = 0
        if after is not None:
            second = f"{after:%Y-%m-%d %H:%M:%S}"
            begin = bisect_left(batches, second, key=lambda b: b.created_at[:_TO_THE_SECOND])
        return list(batches[begin : begin + _PAGE])

    def fate(self) -> tuple[str, float]:
        """How the next answer fails, '' if it does not, and for how many seconds it is late."""
        with self._counting:
            self.requests += 1
            chance = self._chance
            if (
                chance is None
                or self._failures_in_a_row >= _MOST_FAILURES_IN_A_ROW
                or chance.random() >= _SHARE_OF_FAILURES
            ):
                self._failures_in_a_row = 0
                return "", 0
            self._failures_in_a_row += 1
            self.failures += 1
            failure = chance.choice(_FAILURES)
            return failure, chance.uniform(0.1, self._longest_delay) if failure == "delay" else 0


class _Handler(BaseHTTPRequestHandler):
    server: BatchServer
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
        failure, delay = self.server.fate()
        time.sleep(delay)
        body = json.dumps([batch._asdict() for batch in self.server.page(after)]).encode()
        half, size = body[: len(body) // 2], str(len(body))
        if failure == "error":
            return self._send(HTTPStatus.INTERNAL_SERVER_ERROR, b"Internal Server Error")
        if failure == "unavailable":
            later = {"Retry-After": "1"}
            return self._send(HTTPStatus.SERVICE_UNAVAILABLE, b"Try again later", **later)
        if failure == "broken off":
            return self._send(HTTPStatus.OK, half, **{"Content-Length": size})
        return self._send(HTTPStatus.OK, {"cut off": half, "page": _MAINTENANCE}.get(failure, body))

    def _send(self, status: HTTPStatus, body: bytes, **headers: str) -> None:
        with suppress(ConnectionError):  # whoever asked has gone
            self.send_response(status)
            defaults = {"Content-Type": "text/html", "Content-Length": str(len(body))}
            for name, value in (defaults | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: the simulation counts the requests."""
