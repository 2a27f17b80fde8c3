"""The live simulation: a school whose sources grow while they are read, and now and then fail."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timezone
from random import Random
from types import TracebackType

from warehouse_assets.samples.school import Line, School
from warehouse_assets.samples.school_places import Places
from warehouse_assets.samples.school_samples import remember_as_live
from warehouse_assets.samples.school_server import BatchServer
from warehouse_assets.samples.school_writer import SchoolWriter

JOURNALS = ("rollback", "wal", "alternating")

_TICK_SECONDS = 0.05
_REPORT_SECONDS = 1.0
_LARGEST_GROUP = 1000
_MOST_EVENTS_SLOWLY = 1000  # in a second
_SECONDS_OF_A_JOURNAL = (3.0, 8.0)
_SECONDS_BETWEEN_ROTATIONS = (10.0, 30.0)
_SECONDS_BETWEEN_LOCKS = (3.0, 15.0)
_SECONDS_OF_A_LOCK = (0.2, 1.5)


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
    """

    rate: float = 20.0
    seconds: float | None = None
    seed: int = 1
    port: int = 0
    has_failures: bool = False
    rotate_every: int | None = None
    keep: int = 100
    journal: str = "rollback"


@dataclass(frozen=True)
class Figures:
    """How much there is: made by this simulation, or since the school began."""

    students: int
    changes: int
    batches: int
    runs: int
    unusable: int
    rotations: int
    requests: int
    failed_requests: int

    def since(self, earlier: "Figures") -> "Figures":
        """What was made since `earlier`."""
        mine, theirs = vars(self), vars(earlier)
        return Figures(**{name: mine[name] - theirs[name] for name in mine})


class Simulation:
    """A simulation over the school at `places`, which goes on from what was made before.

    Use it as a context: at its end everything that was begun is written.

    Raises:
        BusyError: another process writes to the school.
        SettingError: the port cannot be had.
        SourceError: a source was made or changed by something else, or cannot be written.
    """

    def __init__(self, places: Places, plan: Plan) -> None:
        self._plan = plan
        self._chance = Random(plan.seed)
        self._journal = _Pause(self._chance, *_SECONDS_OF_A_JOURNAL)
        self._unlocked = _Pause(self._chance, *_SECONDS_BETWEEN_LOCKS)
        self._unrotated = _Pause(self._chance, *_SECONDS_BETWEEN_ROTATIONS)
        self._is_wal = plan.journal == "wal"
        self._lines_of_log = 0  # since it was rotated last, or since this simulation began
        with ExitStack() as opened:
            # Its port comes first: without one nothing is made.
            self.server = BatchServer(
                lambda: self._writer.batches,
                plan.port,
                Random(plan.seed) if plan.has_failures else None,
            )
            opened.callback(self.server.close)
            # Slowly where there is time for it: so whoever reads meets halves of lines.
            is_slow = 0 < plan.rate <= _MOST_EVENTS_SLOWLY
            self._writer = opened.enter_context(SchoolWriter(places, self._chance, is_slow))
            remember_as_live(self._writer)
            self._writer.use_wal(self._is_wal)
            self._ledger = self._writer.ledger
            self._school = School(plan.seed, self._ledger.standing)
            self.server.start()
            self._opened = opened.pop_all()

    def __enter__(self) -> "Simulation":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._opened.__exit__(kind, error, traceback)

    def figures(self) -> Figures:
        """How much there is since the school began, and how often the server was asked."""
        standing, totals = self._ledger.standing, self._ledger.totals
        return Figures(
            standing.students,
            standing.changes,
            standing.batches,
            totals.runs,
            totals.unusable,
            totals.rotations,
            self.server.requests,
            self.server.failures,
        )

    def run(self, is_stopped: Callable[[], bool]) -> Iterator[Figures]:
        """Let things happen until `is_stopped` or the time is up; gives the figures each second.

        Raises:
            BusyError: another program kept the students locked.
            SourceError: a source was changed by something else, or cannot be written.
        """
        begin = reported = time.monotonic()
        done = 0
        while not is_stopped():
            now = time.monotonic()
            if self._plan.seconds is not None and now - begin >= self._plan.seconds:
                break
            due = self._due(now - begin, done)
            if due > 0:
                self._happen(due)
                done += due
            else:
                time.sleep(_TICK_SECONDS)
            if now - reported >= _REPORT_SECONDS:
                reported = now
                yield self.figures()

    def _due(self, seconds: float, done: int) -> int:
        """How many events are to happen now, of which none is for the next log."""
        # What a locked database held up is made good, yet in groups of a size.
        due = int(seconds * self._plan.rate) - done if self._plan.rate else _LARGEST_GROUP
        room = self._plan.rotate_every or _LARGEST_GROUP
        return min(due, _LARGEST_GROUP, room - self._lines_of_log % room)

    def _happen(self, count: int) -> None:
        now = f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M:%S.%f}"
        events = [self._school.next_event(now) for _ in range(count)]
        self._writer.write(events)
        self._lines_of_log += sum(isinstance(event, Line) for event in events)
        self._rotate()
        if self._plan.journal == "alternating" and self._journal.is_over():
            self._is_wal = not self._is_wal
            self._writer.use_wal(self._is_wal)
        if self._plan.has_failures and self._unlocked.is_over():
            self._writer.lock_students(self._chance.uniform(*_SECONDS_OF_A_LOCK))

    def _rotate(self) -> None:
        if self._plan.rotate_every:
            is_due = self._lines_of_log >= self._plan.rotate_every
        else:
            is_due = self._plan.has_failures and self._unrotated.is_over()
        if is_due:
            self._writer.rotate(self._plan.keep)
            self._lines_of_log = 0


class _Pause:
    """A time of a length by chance, over and over."""

    def __init__(self, chance: Random, shortest: float, longest: float) -> None:
        self._chance = chance
        self._range = shortest, longest
        self._end = self._next_end()

    def is_over(self) -> bool:
        """Whether it is over; then the next one begins."""
        if time.monotonic() < self._end:
            return False
        self._end = self._next_end()
        return True

    def _next_end(self) -> float:
        return time.monotonic() + self._chance.uniform(*self._range)
