"""Catching `batches` up with the server of batches, or with a file of what it would answer."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from warehouse_assets.errors import SourceError
from warehouse_assets.lake import Lake
from warehouse_assets.progress import Listener, nobody
from warehouse_assets.school.batch_pages import (
    MOST_BATCHES_IN_A_PAGE,
    Page,
    StalledError,
    later_pages,
    shifted,
)
from warehouse_assets.school.tables import BATCHES
from warehouse_assets.sources.json_array import NotAnArrayError, NotJsonError, json_array
from warehouse_assets.sources.keyed import CaughtUp, KeyedSource, catch_up_keyed
from warehouse_assets.sources.record_spool import Record

if TYPE_CHECKING:
    from warehouse_assets.sources.http_pages import Patience

SETTING = "BATCHES_URL"
TIMEOUT_SETTING = "BATCHES_TIMEOUT_SECONDS"
PAGES_SETTING = "BATCHES_PAGES_PER_RUN"
_MOST_SECONDS = 300.0  # for all pages of a run, if some of them had anything new
_PAGES_TOGETHER, _SECONDS_TOGETHER = 100, 10.0  # what is lost of a run that is killed


class BatchesClient(ABC):
    """Where batches come from."""

    address: str
    """What people know it by."""

    goes_on: bool = False
    """Whether pages that were not read come the next time: those after the latest batch known."""

    pages_read: int = 0
    bytes_read: int = 0

    @abstractmethod
    def exists(self) -> bool:
        """Whether there may be something to read."""

    @abstractmethod
    def pages(self, after: datetime | None) -> Iterator[Page]:
        """Pages with all batches created after a time in UTC, or with more.

        Raises:
            SourceError: they cannot be read, or not all of them. What could be read came before.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of connections; the client may be used again."""


class RestBatches(BatchesClient):
    """The server of batches: `GET ADDRESS/batches?after=…`.

    Args:
        address: its address, with or without `/batches` at its end.
        tell: told when something has to be tried again.
        patience: how long and how often it is tried; the default is that of `Patience`.
    """

    goes_on = True

    def __init__(
        self,
        address: str,
        tell: Callable[[str], object] = str,
        patience: "Patience | None" = None,
    ) -> None:
        # What speaks HTTP takes long to import; most commands do not.
        from warehouse_assets.sources.http_pages import HttpPages, Patience, shown

        self._http = HttpPages(_endpoint(address), SETTING, patience or Patience(), tell)
        self.address = shown(self._http.address)

    def exists(self) -> bool:
        """There is no server that may be missing: one that was given must answer."""
        return True

    def pages(self, after: datetime | None) -> Iterator[Page]:
        """See `later_pages`."""
        now = datetime.now(timezone.utc).replace(tzinfo=None)
        try:
            yield from later_pages(self._page, after, now)
        except StalledError as error:
            raise self._stalled(error) from error

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _page(self, after: datetime | None) -> Page:
        parameters = {} if after is None else {"after": after.isoformat(timespec="milliseconds")}
        page = self._http.page(parameters)
        self.pages_read, self.bytes_read = self._http.pages_read, self._http.bytes_read
        return page

    def _stalled(self, error: StalledError) -> SourceError:
        return SourceError(
            f"The batches at {self.address} cannot all be read: {error}. What was read before is "
            f"kept. {error.remedy}, or name a .json file with all batches as {SETTING}."
        )


def _endpoint(address: str) -> str:
    """What is asked for batches at `address`, which may or may not end in `/batches`."""
    parts = urlsplit(address)
    path = parts.path.rstrip("/").removesuffix("/batches")
    return urlunsplit(parts._replace(path=f"{path}/batches", fragment=""))


class RecordedBatches(BatchesClient):
    """A file with the array that a server would answer, of whatever length.

    It is read whole each time, and may be replaced at any time.
    """

    def __init__(self, path: Path) -> None:
        self.address = str(path)
        self._path = path

    def exists(self) -> bool:
        """Whether the file is there, or that cannot be told without reading it."""
        try:
            return self._path.exists()
        except OSError:
            return True

    def pages(self, after: datetime | None) -> Iterator[Page]:
        """All batches as one page; none of them is far."""
        del after
        try:
            body = self._path.read_bytes()
            page = json_array(body)
        except FileNotFoundError as error:
            raise SourceError(
                f"There is no file at {self._path}, where the setting {SETTING} says that the "
                "batches are. Correct the setting, or put the file there."
            ) from error
        except OSError as error:
            raise self._unreadable(str(error.strerror)) from error
        except (NotJsonError, NotAnArrayError) as error:
            raise self._unreadable(f"it holds {error}") from error
        self.pages_read += 1
        self.bytes_read += len(body)
        yield page

    def close(self) -> None:
        """Nothing is open."""

    def _unreadable(self, reason: str) -> SourceError:
        return SourceError(
            f"The file of batches {self._path} cannot be read: {reason}. It should be an array of "
            f"JSON objects; check it and its permissions, or the setting {SETTING}."
        )


def batches_client(
    address: str,
    tell: Callable[[str], object] = str,
    patience: "Patience | None" = None,
    timeout: float = 120.0,
) -> BatchesClient:
    """The client for a value of the setting BATCHES_URL: an http(s) address, or a path.

    Args:
        tell: told when something has to be tried again.
        patience: how long and how often a server is tried; the default follows from `timeout`.
        timeout: seconds for one page, with all attempts and the waits between them.
    """
    if address.partition("://")[0].lower() in {"http", "https"}:
        from warehouse_assets.sources.http_pages import Patience

        return RestBatches(address, tell, patience or Patience.of(timeout, TIMEOUT_SETTING))
    return RecordedBatches(Path(address))


def catch_up_batches(
    lake: Lake,
    client: BatchesClient,
    is_given: bool,
    tell: Callable[[str], object],
    progress: Listener = nobody,
    overlap: timedelta = timedelta(hours=1),
    most_pages: int = 1000,
) -> CaughtUp:
    """Merge new batches into the lake by their id.

    Those are asked for that were created later than the latest one known, or a while before. They
    are written as they come: if the source fails on the way, what came before is kept.

    Args:
        is_given: whether the source must be there.
        tell: told in words what is worth knowing meanwhile.
        progress: told how many batches have been read.
        overlap: how long after its time of creation a batch may become visible.
        most_pages: after this many pages from the first new batch on, or five minutes, the rest is
            left to the next catch-up.

    Raises:
        SourceError: the source is not there though given, or cannot be read.
    """
    if not is_given and not client.exists():
        tell(f"No batches to read: there is nothing at {client.address} (setting {SETTING}).")
        return CaughtUp(is_missing=True)
    pages, size = client.pages_read, client.bytes_read
    with closing(client):
        source = _Batches(lake, client, overlap, most_pages, tell)
        caught_up = catch_up_keyed(lake, BATCHES, source, tell, progress)
    return replace(
        caught_up, pages_read=client.pages_read - pages, bytes_read=client.bytes_read - size
    )


class _Batches(KeyedSource):
    """The batches that the lake may not have yet."""

    seconds_together = _SECONDS_TOGETHER

    def __init__(
        self,
        lake: Lake,
        client: BatchesClient,
        overlap: timedelta,
        most_pages: int,
        tell: Callable[[str], object],
    ) -> None:
        self.unit = client.address
        self.records_together = MOST_BATCHES_IN_A_PAGE * min(_PAGES_TOGETHER, most_pages)
        self._lake = lake
        self._client = client
        self._overlap = overlap
        self._most_pages = most_pages
        self._tell = tell
        self._begin_to_count()

    def records(self) -> Iterator[Record]:
        """They are counted from 1, through all pages."""
        positions = count(1)
        for page in self._client.pages(_start(self._lake, self._overlap)):
            for batch in page:
                yield Record(next(positions), batch)

    def is_enough(self, done: CaughtUp) -> bool:
        """Whether it was much of what is new; what is known would stop the next one, too."""
        if not (done.written.rows_changed or done.rejected):
            self._begin_to_count()
        if not self._client.goes_on:
            return False
        has_pages = self._client.pages_read < self._last_page
        if has_pages and time.monotonic() < self._end:
            return False
        limit = f"{_MOST_SECONDS:g} seconds" if has_pages else f"the pages of {PAGES_SETTING}"
        self._tell(
            f"{self.unit} has more batches than a run reads ({limit}): {done.records:,} were read "
            "and kept, the next run goes on there."
        )
        return True

    def _begin_to_count(self) -> None:
        self._last_page = self._client.pages_read + self._most_pages
        self._end = time.monotonic() + _MOST_SECONDS


def _start(lake: Lake, overlap: timedelta) -> datetime | None:
    """The time after which batches are to be asked for; None for all."""
    with lake.connect() as connection:
        lake.view_newest(connection, BATCHES)
        # Clocks and zones differ: a time in the future would hide what is made until then.
        ((newest,),) = connection.execute(
            "SELECT max(created_at) FROM batches WHERE created_at <= to_timestamp(?)::TIMESTAMP",
            [time.time()],
        ).fetchall()
    return None if newest is None else shifted(newest, -overlap)
