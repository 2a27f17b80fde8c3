"""The live simulation: a school and deliveries whose sources grow while they are read, and fail."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timezone
from random import Random

from warehouse_assets.samples.batch_server import BatchServer
from warehouse_assets.samples.deliveries import DeliveryLife
from warehouse_assets.samples.files import Places, append, end_line, writing
from warehouse_assets.samples.school import KINDS_OF_LINES, School, kind_of
from warehouse_assets.samples.school_sources import SchoolSources, locked

JOURNALS = ("rollback", "wal", "alternating")

_TICK_SECONDS = 0.05
_REPORT_SECONDS = 1.0  # between two pauses of `Simulation.run`
_SECONDS_OF_A_LOCK = (0.2, 1.5)
_LARGEST_GROUP = 1000
_MOST_DELIVERIES = 2000.0  # steps in a second
_USUAL_DELIVERIES = 200.0
_ROTATED_LOGS = 100


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
