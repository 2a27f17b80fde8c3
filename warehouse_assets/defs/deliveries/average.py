"""The arithmetic: from steps, one by one, to the average duration of successful deliveries.

What is kept is a sum, a count, and per customer of the recent past one time: that of the opening,
or that of the closing. Nothing is kept of records. Only the standard library is needed here.

A step is a repetition, and changes nothing, unless it is later than the customer's last opening or
closing (a last step at the very time of its opening is later). So a record given again, at any
time within the window, never counts twice. A last step without an opening is rejected, and its
time remembered like that of a closing: the opening, should it come afterwards, is then late, as it
would have to be for the last step to be a repetition when it comes again.

The recent past is what is not further back than `open_for` from the newest time of any step. What
is older is late, and rejected; a delivery opened before it has been abandoned.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from warehouse_assets.defs.deliveries.records import FIRST_STEP, LAST_STEP, read_record

NOTHING_OPEN = "no delivery of the customer is open"
LATE = "older than the time for which a delivery may stay open (DELIVERY_OPEN_HOURS)"

BEGINNING = datetime.fromisoformat("0001-01-01")
"""The newest time before any."""

_FEWEST_TO_FORGET = 1024


def horizon(newest: datetime, open_for: timedelta) -> datetime:
    """The time before which openings and closings no longer count."""
    return newest - min(open_for, newest - BEGINNING)


class RunningAverage:
    """The average duration of the successful deliveries among the steps it has been given.

    Attributes:
        open_for: for how long, in the time of the steps, a delivery may stay open; may be changed.
        newest: the newest time of any step; `BEGINNING` before the first one.
        opened: customers with an open delivery, and since when; long ago ones may be in it.
        closed: other customers of the recent past, and the time of their last closing.
        total: the durations of all successful deliveries together.
        successes: how many there are.
        openings: how many deliveries were opened; those neither open nor successful have been
            abandoned.
        repetitions: steps that changed nothing since they were there before.
        rejected: steps that could not be used.
        average: the average duration; None before the first success.
    """

    __slots__ = (
        "_most",
        "average",
        "closed",
        "newest",
        "open_for",
        "opened",
        "openings",
        "rejected",
        "repetitions",
        "successes",
        "total",
    )

    def __init__(self, open_for: timedelta = timedelta(days=1)) -> None:
        self.open_for = open_for
        self.newest = BEGINNING
        self.opened: dict[int, datetime] = {}
        self.closed: dict[int, datetime] = {}
        self.total = timedelta()
        self.successes = 0
        self.openings = 0
        self.repetitions = 0
        self.rejected = 0
        self.average: timedelta | None = None
        self._most = _FEWEST_TO_FORGET

    def ingest(self, record: Mapping[str, object]) -> timedelta | None:
        """Take a step and return the average with it; see `deliveries.ingest`."""
        self.add(*read_record(record))
        return self.average

    def add(self, customer: int, step: int, at: datetime) -> str | None:
        """Take a step; returns why it is rejected, or None.

        Args:
            at: its time, without a zone.
        """
        # What is newer than all before needs no comparison with the customer's own times.
        is_newest = at > self.newest
        if is_newest:
            self.newest = at
        elif self.newest - at > self.open_for:
            self.rejected += 1
            return LATE
        opened = self.opened.get(customer)
        if opened is None:
            return self._without_opening(customer, step, at)
        if not is_newest and (at < opened or (step == FIRST_STEP and at == opened)):
            self.repetitions += 1
            return None
        if step == FIRST_STEP:
            self.opened[customer] = at
            self.openings += 1
            return None
        if step == LAST_STEP:
            del self.opened[customer]
            self.closed[customer] = at
        if self.newest - opened > self.open_for:
            self.rejected += 1
            return NOTHING_OPEN
        if step == LAST_STEP:
            self.total += at - opened
            self.successes += 1
            self.average = self.total / self.successes
        return None

    def _without_opening(self, customer: int, step: int, at: datetime) -> str | None:
        closed = self.closed.get(customer)
        if closed is None:
            self._forget_if_many()
        elif at <= closed:
            self.repetitions += 1
            return None
        if step == FIRST_STEP:
            if closed is not None:
                del self.closed[customer]
            self.opened[customer] = at
            self.openings += 1
            return None
        if step == LAST_STEP:
            self.closed[customer] = at
        self.rejected += 1
        return NOTHING_OPEN

    @property
    def open(self) -> int:
        """How many deliveries are open."""
        return sum(self.newest - at <= self.open_for for at in self.opened.values())

    @property
    def abandoned(self) -> int:
        """How many deliveries were opened and will not succeed."""
        return self.openings - self.successes - self.open

    def _forget_if_many(self) -> None:
        """Forget customers of long ago whenever there are twice as many as were left last time.

        Whoever is forgotten is treated as before: nobody looks back so far.
        """
        if len(self.opened) + len(self.closed) <= self._most:
            return
        self.opened, self.closed = self._recent(self.opened), self._recent(self.closed)
        self._most = max(2 * (len(self.opened) + len(self.closed)), _FEWEST_TO_FORGET)

    def _recent(self, times: dict[int, datetime]) -> dict[int, datetime]:
        newest, open_for = self.newest, self.open_for
        return {customer: at for customer, at in times.items() if newest - at <= open_for}
