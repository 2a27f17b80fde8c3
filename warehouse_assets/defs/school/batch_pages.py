"""Paging through batches by the time of their creation, as their server does it.

The server answers with the batches created after a time, in that order, and at most a page of
them. Servers differ. The usual one looks at whole seconds, so that batches of the second asked
for come again; an exact one leaves them out. A page has at most 100, but less is possible, and
no answer says whether there is more. Hence each page is asked for from the latest time seen, and
that ends with a page in which nothing is later. Batches come more than once, but none is left
out. Three things are errors, for others may be hidden then: a page cannot hold all batches of one
second and the server gives nothing else; the server disregards the time asked for; a page that may
be full is not in the order of creation.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

from warehouse_assets.times import read_time

MOST_BATCHES_IN_A_PAGE = 100
_FEWEST_IN_A_FULL_PAGE = 10  # a server that gives no more in one answer is not known

# Clocks differ, and so do zones. A time beyond is wrong, and says nothing of the times of others.
FUTURE = timedelta(days=1)
_TICK = timedelta(milliseconds=1)  # what can be asked for
_SECOND = timedelta(seconds=1)

Page = Sequence[object]
Ask = Callable[[datetime | None], Page]
"""Gives the first page of what was created after a time in UTC, or of all."""


class StalledError(ValueError):
    """There may be more than pages show, and no way to it: why, and what the server has to do."""

    def __init__(self, why: str, remedy: str) -> None:
        super().__init__(why)
        self.remedy = remedy


class DisorderError(StalledError):
    """What was left out may be older than what was given."""


def later_pages(ask: Ask, after: datetime | None, now: datetime) -> Iterator[Page]:
    """Pages with all batches created later than `after`, if not more, or with all there are.

    Args:
        now: the present; times much later than that do not hide the ones before.

    Raises:
        StalledError: some cannot be reached. All others have been given.
        DisorderError: it cannot be told which there are. Whoever goes on from the latest one given
            before leaves none out.
    """
    paging = _Paging(ask, after, now)
    # Held back until the next answer shows that the server heeds what it is asked.
    held: list[Page] = []
    try:
        while not paging.is_done:
            page = paging.next_page()
            yield from held
            held = [page]
            paging.advance()
    except DisorderError:
        raise
    except Exception:
        yield from held
        raise
    yield from held


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
        """What comes after the latest time, or with it.

        Raises:
            DisorderError: it is not that, or not in order.
        """
        self._page = self._ask_from_latest()
        if not self._is_first and not self._margin and not self._has_boundary():
            # An exact server: others of the same moment may be missing at the boundary, too.
            self._margin = _TICK
            self._page = self._ask_from_latest()
        self._check_heed()
        self._check_order()
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
            raise _stalled_at(self._latest)
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

    def _check_heed(self) -> None:
        """See that a full page without anything later is not just the one before once more."""
        is_full = len(self._page) >= MOST_BATCHES_IN_A_PAGE
        if self._is_first or self._latest is None or not is_full or self._later(self._page):
            return
        second = self._latest.replace(microsecond=0)
        if any(time < shifted(second, -_SECOND) for time in _times(self._page)):
            raise DisorderError(
                f"asked for those created after {self._latest:%Y-%m-%d %H:%M:%S} (?after=…), the "
                "server gives earlier ones",
                "Have the server, and what redirects to it, heed the parameter `after`",
            )

    def _check_order(self) -> None:
        """See that what the page leaves out is later than what it has, or that it is whole."""
        times = [time for time in _times(self._page) if time <= self._horizon]
        if len(times) < _FEWEST_IN_A_FULL_PAGE or times == sorted(times):
            return
        length, is_newest_first = len(self._page), times == sorted(times, reverse=True)
        is_full = length >= MOST_BATCHES_IN_A_PAGE or 0 < self._longest <= length
        if is_full or is_newest_first or self._leaves_out(sorted(times)):
            order = "with the newest first" if is_newest_first else "in no order of their creation"
            raise DisorderError(
                f"the server gives them {order}, so that it cannot be told which ones its answer "
                f"of {length} leaves out",
                "Have the server order them by created_at, the oldest first",
            )

    def _leaves_out(self, times: Sequence[datetime]) -> bool:
        """Whether another answer has what this page should have if it were whole."""
        known = _ids(self._page)
        others = [b for b in self._ask(times[len(times) // 2]) if not _ids([b]) <= known]
        return any(time <= times[-1] for time in _times(others))

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


def _stalled_at(moment: datetime | None) -> StalledError:
    why = "none of them says when it was created, so that later ones cannot be asked for"
    if moment is not None:
        why = (
            f"more were created within one second, {moment:%Y-%m-%d %H:%M:%S}, than the server "
            "gives in one answer, and asked for later ones it gives the same again"
        )
    return StalledError(why, "Have the server give longer pages or compare fractions of a second")


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
    return read_time(value) if isinstance(value, str) else None
