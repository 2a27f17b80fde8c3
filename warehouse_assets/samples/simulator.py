"""The live simulation: a school and deliveries whose sources grow while they are read, and fail.

Its server of batches answers as such servers really do. GET /batches gives the first 100 batches by
creation, ?after=2026-11-20T13:51:54.463 the first 100 of that second and later: it compares whole
seconds, so that those of the boundary come again. The answer is JSON and says that it is text/html.
On wish the server fails now and then.
"""

import json
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from urllib.parse import parse_qs, urlsplit

from warehouse_assets.errors import SettingError
from warehouse_assets.samples.deliveries import DeliveryLife
from warehouse_assets.samples.files import Places, append, end_line, writing
from warehouse_assets.samples.school import KINDS_OF_LINES, Batch, School, kind_of
from warehouse_assets.samples.school_sources import SchoolSources, locked

JOURNALS = ("rollback", "wal", "alternating")

_TICK_SECONDS = 0.05
_REPORT_SECONDS = 1.0  # between two pauses of `Simulation.run`
_SECONDS_OF_A_LOCK = (0.2, 1.5)
_LARGEST_GROUP = 1000
_MOST_DELIVERIES = 2000.0  # steps in a second
_USUAL_DELIVERIES = 200.0
_ROTATED_LOGS = 100

_PAGE = 100
_HOST = "127.0.0.1"
_TO_THE_SECOND = len("2026-11-20 13:51:54")
_SHARE_OF_FAILURES = 0.25
_MOST_FAILURES_IN_A_ROW = 2  # who tries three times gets through
_FAILURES = ("error", "unavailable", "delay", "cut off", "broken off", "page")
_MAINTENANCE = b"<!DOCTYPE html><html><body><h1>Down for maintenance</h1></body></html>"


@dataclass(frozen=True)
class Plan:
    """How a simulation goes.

    Attributes:
        rate: events per second; 0 for as many as there can be.
        seconds: when it ends by itself; None for never.
        seed: of what happens; another one makes other events.
        port: of the server of batches; 0 for any that is free.
        has_failures: whether the server fails, the students are locked and the log is rotated.
        rotate_every: lines after which the log is rotated; None for never, but for failures.
        keep: rotated logs that stay; older ones are deleted, with whatever nobody has read.
        journal: of the students' database, one of `JOURNALS`.
        disturbed_every: seconds between failures of each kind, and between journals, from the
            fewest to the most.
    """

    rate: float = 20.0
    seconds: float | None = None
    seed: int = 1
    port: int = 0
    has_failures: bool = False
    rotate_every: int | None = None
    keep: int = _ROTATED_LOGS
    journal: str = "rollback"
    disturbed_every: tuple[float, float] = (3.0, 15.0)


class Simulation:
    """A simulation over the sources at `places`, which goes on from what they hold.

    Use it as a context: at its end everything that was begun is written. `figures` counts what it
    has made: events of the school by their kind, rotations and steps of deliveries.

    Raises:
        BusyError: another process writes to the school.
        SettingError: the port cannot be had.
        SourceError: a source was made by something else, or cannot be written.
    """

    def __init__(self, places: Places, plan: Plan) -> None:
        self.figures: Counter[str] = Counter()
        self._plan = plan
        self._chance = Random(plan.seed)
        self._lines_of_log = 0  # since it was rotated last, or since this simulation began
        self._feed = places.deliveries
        self._life = DeliveryLife(plan.seed)
        with ExitStack() as opened:
            # Its port comes first: without one nothing is made.
            self.server = BatchServer(
                lambda: self._sources.batches,
                plan.port,
                Random(plan.seed) if plan.has_failures else None,
            )
            opened.callback(self.server.server_close)
            opened.enter_context(locked(places))
            self._sources = opened.enter_context(SchoolSources(places, self._chance))
            self._is_wal = plan.journal == "wal"
            self._sources.use_wal(self._is_wal)
            batches = self._sources.batches
            last_batch_at = batches[-1].created_at if batches else ""
            students = self._sources.count()
            self._school = School(plan.seed, students, len(batches), last_batch_at)
            with writing(self._feed):
                self._feed.parent.mkdir(parents=True, exist_ok=True)
                end_line(self._feed)
            opened.enter_context(self.server)
            self._opened = opened.pop_all()

    def __enter__(self) -> "Simulation":
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def run(self, is_stopped: Callable[[], bool]) -> Iterator[None]:
        """Let things happen until `is_stopped` or the time is up; pauses now and then.

        Raises:
            BusyError: another program kept the students locked.
            SourceError: a source cannot be written.
        """
        plan = self._plan
        steps = min(plan.rate or _USUAL_DELIVERIES, _MOST_DELIVERIES)
        begin = reported = now = time.monotonic()
        disturbances = {disturb: now + self._pause() for disturb in self._disturbances()}
        done = 0
        while not is_stopped() and (plan.seconds is None or now - begin < plan.seconds):
            # What a locked database held up is made good, yet in groups of a size.
            due = int((now - begin) * plan.rate) - done if plan.rate else _LARGEST_GROUP
            due = self._live(due)
            done += due
            self._deliver(int((now - begin) * steps) - self.figures["steps of deliveries"])
            for disturb, moment in disturbances.items():
                if moment <= now:
                    disturb()
                    disturbances[disturb] = time.monotonic() + self._pause()
            if not due:
                time.sleep(_TICK_SECONDS)
            now = time.monotonic()
            if now - reported >= _REPORT_SECONDS:
                reported = now
                yield

    def _live(self, due: int) -> int:
        """Let so many events happen, of which none is for the next log; returns how many did."""
        room = self._plan.rotate_every or _LARGEST_GROUP
        due = min(due, _LARGEST_GROUP, room - self._lines_of_log % room)
        if due <= 0:
            return 0
        now = f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S.%f}"
        events = [self._school.next_event(now) for _ in range(due)]
        self._sources.write(events)
        made = Counter(map(kind_of, events))
        self.figures += made
        self._lines_of_log += sum(made[kind] for kind in KINDS_OF_LINES)
        if self._plan.rotate_every and self._lines_of_log >= self._plan.rotate_every:
            self._rotate()
        return due

    def _deliver(self, due: int) -> None:
        """Append so many steps of deliveries to their feed."""
        now = datetime.now(timezone.utc).replace(tzinfo=None)
        lines = [f"{self._life.next_line(now)}\n" for _ in range(due)]
        with writing(self._feed):
            append(self._feed, "".join(lines).encode())
        self.figures["steps of deliveries"] += len(lines)

    def _disturbances(self) -> Iterator[Callable[[], None]]:
        """What happens now and then."""
        if self._plan.journal == "alternating":
            yield self._change_journal
        if self._plan.has_failures:
            yield self._lock_students
            if not self._plan.rotate_every:
                yield self._rotate

    def _pause(self) -> float:
        return self._chance.uniform(*self._plan.disturbed_every)

    def _rotate(self) -> None:
        self._sources.rotate(self._plan.keep)
        self._lines_of_log = 0
        self.figures["rotations"] += 1

    def _lock_students(self) -> None:
        self._sources.lock_students(self._chance.uniform(*_SECONDS_OF_A_LOCK))

    def _change_journal(self) -> None:
        self._is_wal = not self._is_wal
        self._sources.use_wal(self._is_wal)


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
