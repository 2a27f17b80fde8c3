"""Loading `batches` from the server of batches, or from a file of what it would answer."""

import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from warehouse_assets.defs.school.batch_pages import (
    MOST_BATCHES_IN_A_PAGE,
    Page,
    StalledError,
    later_pages,
    shifted,
)
from warehouse_assets.defs.school.tables import BATCHES
from warehouse_assets.errors import SourceError
from warehouse_assets.ingest.json_records import NotAnArrayError, NotJsonError, json_array
from warehouse_assets.ingest.load import Loaded, Part, Source
from warehouse_assets.ingest.upsert import Records
from warehouse_assets.ingest.validate import Validator
from warehouse_assets.lake import Lake
from warehouse_assets.progress import Progress, report, tell

if TYPE_CHECKING:
    from warehouse_assets.ingest.http import HttpPages, Patience

SETTING = "BATCHES_URL"
TIMEOUT_SETTING = "BATCHES_TIMEOUT_SECONDS"
PAGES_SETTING = "BATCHES_PAGES_PER_RUN"
_MOST_SECONDS = 300.0  # for all pages of a run, if some of them had anything new
_PAGES_TOGETHER, _SECONDS_TOGETHER = 100, 10.0  # what is lost of a run that is killed
_VALIDATOR = Validator(BATCHES)


@dataclass(frozen=True)
class BatchesSource:
    """Where batches come from.

    Args:
        address: of a server, http(s), with or without `/batches` at its end; or the path of a file
            with the array that it would answer, of whatever length, which is read whole each time.
        timeout: seconds for one page, with all attempts and the waits between them.
        overlap: how long after its time of creation a batch may become visible.
        most_pages: after this many pages from the first new batch on, or five minutes, the rest is
            left to the next load.
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
        except FileNotFoundError as error:
            if self.is_given:
                raise SourceError(
                    f"There is no file at {path}, where the setting {SETTING} says that the "
                    "batches are. Correct the setting, or put the file there."
                ) from error
            tell(f"No batches to read: there is nothing at {path} (setting {SETTING}).")
            self.loaded = Loaded(is_missing=True)
            return
        except (OSError, NotJsonError, NotAnArrayError) as error:
            reason = error.strerror if isinstance(error, OSError) else f"it holds {error}"
            raise SourceError(
                f"The file of batches {path} cannot be read: {reason}. It should be an array of "
                f"JSON objects; check it and its permissions, or the setting {SETTING}."
            ) from error
        self._report(len(batches))
        yield Records(self.lake, _VALIDATOR, str(path), batches)
        self.loaded = replace(self.loaded, pages_read=1, bytes_read=len(body))

    def _of_server(self, endpoint: str) -> Generator[Part, None, None]:
        """So many pages together as should not be lost when a run is killed."""
        # What speaks HTTP takes long to import; most commands do not.
        from warehouse_assets.ingest.http import HttpPages, Patience

        source = self.source
        patience = source.patience or Patience.of(source.timeout, TIMEOUT_SETTING)
        self.lake.table(BATCHES).open()  # so that it is there, whatever comes
        start = _start(self.lake, source.overlap)
        together = MOST_BATCHES_IN_A_PAGE * min(_PAGES_TOGETHER, source.most_pages)
        last_page, end, read = source.most_pages, time.monotonic() + _MOST_SECONDS, 0
        with (
            closing(HttpPages(endpoint, SETTING, patience)) as http,
            closing(_parts(_pages(http, start), together)) as parts,
        ):
            for part in parts:
                first, read = read + 1, read + len(part)
                self._report(read)
                yield Records(self.lake, _VALIDATOR, http.address, part, first)
                if not (self.loaded.written.rows_changed or self.loaded.rejected):
                    # Those that are known would stop the next load, too.
                    last_page = http.pages_read + source.most_pages
                    end = time.monotonic() + _MOST_SECONDS
                has_pages = http.pages_read < last_page
                if not (has_pages and time.monotonic() < end):
                    limit = f"{_MOST_SECONDS:g} seconds"
                    limit = limit if has_pages else f"the pages of {PAGES_SETTING}"
                    tell(
                        f"{http.address} has more batches than a run reads ({limit}): "
                        f"{read:,} were read and kept, the next run goes on there."
                    )
                    break
            self.loaded = replace(
                self.loaded, pages_read=http.pages_read, bytes_read=http.bytes_read
            )

    def _report(self, read: int) -> None:
        report(Progress(self.name, "reading", read, read, "records"))


def _pages(http: "HttpPages", after: datetime | None) -> Iterator[Page]:
    """What the server answers to `GET ADDRESS/batches?after=…`."""

    def ask(moment: datetime | None) -> Page:
        return http.page(
            {} if moment is None else {"after": moment.isoformat(timespec="milliseconds")}
        )

    now = datetime.now(timezone.utc).replace(tzinfo=None)
    try:
        yield from later_pages(ask, after, now)
    except StalledError as error:
        raise SourceError(
            f"The batches at {http.address} cannot all be read: {error}. What was read before "
            f"is kept. {error.remedy}, or name a .json file with all batches as {SETTING}."
        ) from error


def _parts(pages: Iterator[Page], together: int) -> Generator[list[object], None, None]:
    """The batches of `pages`, so many together or what comes in some seconds; also if they fail."""
    part: list[object] = []
    due = time.monotonic() + _SECONDS_TOGETHER
    try:
        for page in pages:
            part += page
            if len(part) >= together or time.monotonic() >= due:
                yield part
                part, due = [], time.monotonic() + _SECONDS_TOGETHER
    except Exception:
        if part:
            yield part
        raise
    if part:
        yield part


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
