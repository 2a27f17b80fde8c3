"""Paging through batches by the time of their creation, as their server does it.

The server answers with the batches created after a time, in that order, and at most a page of
them. Servers differ. The usual one looks at whole seconds, so that batches of the second asked
for come again; an exact one leaves them out. A page has at most 100, but less is possible, and
no answer says whether there is more. Hence each page is asked for from the latest time seen, and
that ends with a page in which nothing is later. Batches come more than once, but none is left
out; where a page cannot hold all batches of one second and the server gives nothing else, that
is an error.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta, timezone

MOST_BATCHES_IN_A_PAGE = 100

# Clocks differ, and so do zones. A time beyond is wrong, and says nothing of the times of others.
FUTURE = timedelta(days=1)
_TICK = timedelta(milliseconds=1)  # what can be asked for
_SECOND = timedelta(seconds=1)
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?\s*(Z|[+-]\d\d(?::?\d\d)?)?", re.ASCII
)

Page = Sequence[object]
Ask = Callable[[datetime | None], Page]
"""Gives the first page of what was created after a time in UTC, or of all."""


class StalledError(ValueError):
    """A full page has nothing later than the page before, but there may be more behind it."""

    def __init__(self, moment: datetime | None) -> None:
        super().__init__(f"the page after {moment} is full and does not advance")
        self.moment = moment


def later_pages(ask: Ask, after: datetime | None, now: datetime) -> Iterator[Page]:
    """Pages with all batches created later than `after`, if not more, or with all there are.

    Args:
        now: the present; times much later than that do not hide the ones before.

    Raises:
        StalledError: some cannot be reached. All others have been given.
    """
    paging = _Paging(ask, after, now)
    while not paging.is_done:
        yield paging.next_page()
        paging.advance()


class _Paging:
    """How far the pages have come: the latest time seen, and the last page."""

    def __init__(self, ask: Ask, after: datetime | None, now: datetime) -> None:
        self.is_done = False
        self._ask = ask
        self._latest = after
        self._horizon = now + FUTURE
        self._page: Page = ()
        self._is_first = True
        self._margin = timedelta()
        self._longest = 0
        self._must_advance = False

    def next_page(self) -> Page:
        self._page = self._ask_from_latest()
        if not self._is_first and not self._margin and not self._has_boundary():
            # An exact server: others of the same moment may be missing at the boundary, too.
            self._margin = _TICK
            self._page = self._ask_from_latest()
        self._is_first = False
        return self._page

    def advance(self) -> None:
        """Go on from the latest time of the page; see whether it was the last one if it has none.

        Raises:
            StalledError: it was not, but there is no way on.
        """
        later = self._later(self._page)
        if later:
            self._latest = max([t for t in later if t <= self._horizon] or later)
            self._longest = max(self._longest, len(self._page))
            self._must_advance = False
        elif self._is_short():
            self.is_done = True
        elif self._must_advance or self._is_limited():
            raise StalledError(self._latest)
        elif self._hides_something():
            # Or it came in since: then it is on the next page.
            self._must_advance = True
        else:
            self.is_done = True

    def _ask_from_latest(self) -> Page:
        return self._ask(None if self._latest is None else shifted(self._latest, -self._margin))

    def _has_boundary(self) -> bool:
        return any(t <= self._latest for t in _times(self._page) if self._latest)

    def _later(self, page: Page) -> list[datetime]:
        return [t for t in _times(page) if self._latest is None or t > self._latest]

    def _is_short(self) -> bool:
        """Whether the last page is shorter than another, and so has all there is."""
        length = len(self._page)
        return length == 0 or length < self._longest or length < len(self._ask(None))

    def _is_limited(self) -> bool:
        """Whether the last page is known to be as long as pages get."""
        if len(self._page) >= MOST_BATCHES_IN_A_PAGE:
            return True
        # The first page of all is no longer, and yet it has not all of these.
        return not _ids(self._page) <= _ids(self._ask(None))

    def _hides_something(self) -> bool:
        """Whether there is anything later than the last page, which does not show it."""
        if self._latest is None:
            return False
        next_second = shifted(self._latest.replace(microsecond=0), _SECOND)
        moments = [next_second, shifted(self._latest, _TICK), self._latest]
        return any(self._later(self._ask(moment)) for moment in moments)


def shifted(moment: datetime, by: timedelta) -> datetime:
    """`moment` moved, unless the calendar ends there."""
    try:
        return moment + by
    except OverflowError:
        return moment


def _ids(page: Page) -> set[str]:
    return {repr(batch.get("id") if isinstance(batch, dict) else batch) for batch in page}


def _times(page: Page) -> list[datetime]:
    times = (_time(batch.get("created_at")) for batch in page if isinstance(batch, dict))
    return [time for time in times if time is not None]


def _time(value: object) -> datetime | None:
    """A time of creation, in UTC; None if it is none."""
    match = _TIME.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        return None
    day, time, fraction, zone = match.groups()
    digits = (zone or "").replace(":", "").replace("Z", "")
    offset = f"{digits[:3]}:{digits[3:] or '00'}" if digits else "+00:00"
    text = f"{day}T{time}.{(fraction or '').ljust(6, '0')[:6]}{offset}"
    try:
        return datetime.fromisoformat(text).astimezone(timezone.utc).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None
