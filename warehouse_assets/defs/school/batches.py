"""Loading `batches` from their server, page by page, or from a file of what it would answer.

The server answers with the batches created after a time, in that order, and at most a page of
them. Servers differ. The usual one looks at whole seconds, so that batches of the second asked
for come again; an exact one leaves them out. A page has at most 100, but less is possible, and
no answer says whether there is more. Hence each page is asked for from the latest time seen, and
that ends with a page in which nothing is later. Batches come more than once, but none is left
out. Three things are errors, for others may be hidden then: a page cannot hold all batches of one
second and the server gives nothing else; the server disregards the time asked for; a page that may
be full is not in the order of creation.
"""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from warehouse_assets.defs.school.tables import BATCHES
from warehouse_assets.errors import SourceError
from warehouse_assets.ingest.json_records import Records, json_array
from warehouse_assets.ingest.load import Part, Source
from warehouse_assets.ingest.loaded import Loaded, note_missing
from warehouse_assets.ingest.validate import Validator
from warehouse_assets.lake import Lake
from warehouse_assets.progress import Progress, report, tell
from warehouse_assets.times import read_time

if TYPE_CHECKING:
    from warehouse_assets.ingest.http import Patience

SETTING = "BATCHES_URL"
TIMEOUT_SETTING = "BATCHES_TIMEOUT_SECONDS"
PAGES_SETTING = "BATCHES_PAGES_PER_RUN"
_PAGES_TOGETHER, _SECONDS_TOGETHER = 100, 10.0  # what is lost of a run that is killed
_MOST_IN_A_PAGE = 100
_FEWEST_IN_A_FULL_PAGE = 10  # a server that gives no more in one answer is not known
# Clocks differ, and so do zones. A time beyond is wrong, and says nothing of the times of others.
_FUTURE = timedelta(days=1)
_TICK = timedelta(milliseconds=1)  # what can be asked for
_SECOND = timedelta(seconds=1)
_VALIDATOR = Validator(BATCHES)

Page = Sequence[object]
Ask = Callable[[datetime | None], Page]
"""Gives the first page of what was created after a time in UTC, or of all."""


@dataclass(frozen=True)
class BatchesSource:
    """Where batches come from.

    Args:
        address: of a server, http(s), with or without `/batches` at its end; or the path of a file
            with the array that it would answer, of whatever length, which is read whole each time.
        timeout: seconds for one page, with all attempts and the waits between them.
        overlap: how long after its time of creation a batch may become visible.
        most_pages: after this many pages from the first new batch on the rest is left to the next
            load.
        patience: how long and how often a server is tried, if not as `timeout` says.
    """

    address: str
    timeout: float = 120.0
    overlap: timedelta = timedelta(hours=1)
    most_pages: int = 1000
    patience: "Patience | None" = None

    @property
    def endpoint(self) -> str | None:
        """What a server is asked for batches; None if they are in a file."""
        if self.address.partition("://")[0].lower() not in {"http", "https"}:
            return None
        parts = urlsplit(self.address)
        path = parts.path.rstrip("/").removesuffix("/batches")
        return urlunsplit(parts._replace(path=f"{path}/batches", fragment=""))


def load_batches(lake: Lake, source: BatchesSource, is_given: bool) -> Loaded:
    """Merge new batches into the lake by their id.

    A server is asked for those that were created later than the latest one known, or a while
    before. They are written as they come: if it fails on the way, what came before is kept.

    Args:
        is_given: whether the source must be there.

    Raises:
        SourceError: the source is not there though given, or cannot be read.
    """
    return _Batches(lake, source, is_given).load()


class _Batches(Source):
    """The batches that the server or the file has."""

    def __init__(self, lake: Lake, source: BatchesSource, is_given: bool) -> None:
        super().__init__(lake, str(BATCHES.name), BATCHES)
        self.source = source
        self.is_given = is_given

    def parts(self) -> Generator[Part, None, None]:
        """All that a file holds; of a server what is new."""
        if self.source.endpoint is None:
            yield from self._of_file(Path(self.source.address))
        else:
            yield from self._of_server(self.source.endpoint)

    def _of_file(self, path: Path) -> Generator[Part, None, None]:
        """The array that a server would answer; the file may be replaced at any time."""
        try:
            body = path.read_bytes()
            batches = json_array(body)
        except FileNotFoundError:
            self.loaded = note_missing(f"file of batches at {path}", SETTING, self.is_given)
            return
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else f"it holds {error}"
            raise SourceError(
                f"The file of batches {path} cannot be read: {reason}. It should be an array of "
                f"JSON objects; check it and its permissions, or the setting {SETTING}."
            ) from error
        report(Progress(self.name, "reading", len(batches), len(batches), "records"))
        yield Records(self.lake, _VALIDATOR, str(path), batches)
        self.loaded = replace(self.loaded, pages_read=1, bytes_read=len(body))

    def _of_server(self, endpoint: str) -> Generator[Part, None, None]:
        """So many pages together as should not be lost when a run is killed."""
        # What speaks HTTP takes long to import; most commands do not.
        from warehouse_assets.ingest.http import HttpPages, Patience

        source = self.source
        patience = source.patience or Patience.of(source.timeout, TIMEOUT_SETTING)
        self.lake.table(BATCHES).open()  # so that it is there, whatever comes
        together = _MOST_IN_A_PAGE * min(_PAGES_TOGETHER, source.most_pages)
        last_page, read = source.most_pages, 0
        with closing(HttpPages(endpoint, SETTING, patience)) as http:

            def ask(moment: datetime | None) -> Page:
                text = moment and moment.isoformat(timespec="milliseconds")
                return http.page({"after": text} if text else {})

            pages = later_pages(ask, self._start(), datetime.now(timezone.utc).replace(tzinfo=None))
            try:
                for part in _together(pages, together):
                    first, read = read + 1, read + len(part)
                    report(Progress(self.name, "reading", read, read, "records"))
                    yield Records(self.lake, _VALIDATOR, http.address, part, first)
                    if not (self.loaded.written.rows_changed or self.loaded.rejected):
                        # Those that are known would stop the next load, too.
                        last_page = http.pages_read + source.most_pages
                    elif http.pages_read >= last_page:
                        tell(
                            f"{http.address} has more batches than a run reads (setting "
                            f"{PAGES_SETTING}): {read:,} were read and kept, the next run goes on "
                            "there."
                        )
                        break
            except StalledError as error:
                raise SourceError(
                    f"The batches at {http.address} cannot all be read: {error}. What was read "
                    f"before is kept. {error.remedy}, or name a .json file with all batches as "
                    f"{SETTING}."
                ) from error
            self.loaded = replace(
                self.loaded, pages_read=http.pages_read, bytes_read=http.bytes_read
            )

    def _start(self) -> datetime | None:
        """The time after which batches are to be asked for; None for all."""
        with self.lake.connect() as connection:
            self.lake.view_newest(connection, BATCHES)
            # Clocks and zones differ: a time in the future would hide what is made until then.
            ((newest,),) = connection.execute(
                f"""SELECT max(created_at) FROM {self.name}
                WHERE created_at <= to_timestamp(?)::TIMESTAMP""",
                [time.time()],
            ).fetchall()
        return _shifted(newest, -self.source.overlap)


def _together(pages: Iterator[Page], most: int) -> Generator[list[object], None, None]:
    """The batches of `pages`, so many together or what comes in some seconds; also if they fail."""
    part: list[object] = []
    due = time.monotonic() + _SECONDS_TOGETHER
    try:
        for page in pages:
            part += page
            if len(part) >= most or time.monotonic() >= due:
                yield part
                part, due = [], time.monotonic() + _SECONDS_TOGETHER
    except Exception:
        if part:
            yield part
        raise
    if part:
        yield part


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
    # Held back until the next answer shows that the server heeds what it is asked.
    held: list[Page] = []
    try:
        for page in _Paging(ask, after, now + _FUTURE).pages():
            yield from held
            held = [page]
    except DisorderError:
        raise
    except Exception:
        yield from held
        raise
    yield from held


class _Paging:
    """How far the pages have come: the latest time seen, and how long a page has been."""

    def __init__(self, ask: Ask, after: datetime | None, horizon: datetime) -> None:
        self._ask = ask
        self._latest = after
        self._horizon = horizon
        self._longest = 0
        self._must_advance = False

    def pages(self) -> Iterator[Page]:
        """Pages up to the first in which nothing is later than in the ones before.

        Raises:
            DisorderError: one is not what was asked for, or not in order. It is not given.
            StalledError: what is behind the last one cannot be asked for.
        """
        margin, page = timedelta(), self._ask(self._latest)
        while True:
            self._check(page)
            yield page
            if later := self._later(page):
                self._latest = max([t for t in later if t <= self._horizon] or later)
                self._longest = max(self._longest, len(page))
                self._must_advance = False
            elif self._is_last(page):
                return
            page = self._ask(_shifted(self._latest, -margin))
            if not margin and len(self._later(page)) == len(_times(page)):
                # An exact server: others of the same moment may be missing at the boundary, too.
                margin = _TICK
                page = self._ask(_shifted(self._latest, -margin))

    def _later(self, page: Page) -> list[datetime]:
        return [t for t in _times(page) if self._latest is None or t > self._latest]

    def _check(self, page: Page) -> None:
        """See that the page is what was asked for, and that it leaves out only what is later."""
        times = _times(page)
        if self._latest is not None and len(page) >= _MOST_IN_A_PAGE and not self._later(page):
            second = self._latest.replace(microsecond=0)
            if any(second - time > _SECOND for time in times):
                raise DisorderError(
                    f"asked for those created after {self._latest:%Y-%m-%d %H:%M:%S} (?after=…), "
                    "the server gives earlier ones",
                    "Have the server, and what redirects to it, heed the parameter `after`",
                )
        times = [time for time in times if time <= self._horizon]
        is_shorter = len(page) < max(self._longest, _FEWEST_IN_A_FULL_PAGE)
        if not is_shorter and times != sorted(times):
            raise DisorderError(
                "the server does not give them in the order of their creation, so that it cannot "
                f"be told which ones its answer of {len(page)} leaves out",
                "Have the server order them by created_at, the oldest first",
            )

    def _is_last(self, page: Page) -> bool:
        """Whether nothing is behind a page without anything later; else some came in since.

        Raises:
            StalledError: there is more, but no way on.
        """
        if len(page) < max(self._longest, 1):
            return True
        first = self._ask(None)
        if len(page) < len(first):
            return True
        # The first page of all is no longer. If it has not all of these, pages have that length.
        is_full = len(page) >= _MOST_IN_A_PAGE or not _ids(page) <= _ids(first)
        if self._latest is None:
            if not is_full:
                return True
            why = "none of them says when it was created, so that later ones cannot be asked for"
        else:
            second = self._latest.replace(microsecond=0)
            if not is_full and not self._later(self._ask(_shifted(second, _SECOND))):
                return True
            why = (
                f"more were created within one second, {second}, than the server gives in one "
                "answer, and asked for later ones it gives the same again"
            )
        if is_full or self._must_advance:
            remedy = "Have the server give longer pages or compare fractions of a second"
            raise StalledError(why, remedy)
        self._must_advance = True
        return False


def _shifted(moment: datetime | None, by: timedelta) -> datetime | None:
    """`moment` moved, unless the calendar ends there."""
    try:
        return moment and moment + by
    except OverflowError:
        return moment


def _ids(page: Page) -> set[str]:
    return {repr(batch.get("id") if isinstance(batch, dict) else batch) for batch in page}


def _times(page: Page) -> list[datetime]:
    """The times of creation in it, in UTC."""
    texts = [batch.get("created_at") for batch in page if isinstance(batch, dict)]
    times = [read_time(text) for text in texts if isinstance(text, str)]
    return [time for time in times if time is not None]
