"""What the steps of a run tell the journals of the ingestions that they bring on."""

import threading
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from warehouse_assets.errors import TransientError
from warehouse_assets.ingest.file_kinds import FileKind
from warehouse_assets.ingest.files import FileEvent
from warehouse_assets.ingest.inbox import InboxFile
from warehouse_assets.ingestions import Event, Ingestion, Ingestions
from warehouse_assets.orchestration.checks import followers
from warehouse_assets.progress import Progress, heard_by
from warehouse_assets.settings import Settings

# There may be thousands of journals; to look at the times of all of them takes milliseconds.
_SECONDS_LOOKED_BACK = 7 * 24 * 3600
_SECONDS_BETWEEN_EVENTS = 1.0
_BYTES_LOOKED_AT = 1 << 16
_GZIP = 16 + zlib.MAX_WBITS
_NOTHING = Progress("", "")


@contextmanager
def taking_files(settings: Settings, kind: FileKind, run_id: str) -> Iterator["FilesHeard"]:
    """Tell the ingestions whose files are loaded what becomes of them."""
    follow = [] if kind.table is None else [kind.table, *followers(kind.table)]
    awaits = [str(table.name) for table in follow if settings.publishes(table)]
    heard = FilesHeard(Ingestions(settings.ingestions), run_id, awaits)
    try:
        with heard.told():
            yield heard
    except TransientError:
        raise  # the step is tried again
    except Exception as error:
        heard.tell("failed", reason=str(error))
        raise


@contextmanager
def publishing(settings: Settings, table: str) -> Iterator[None]:
    """Tell the ingestions that await `table`, and were in the lake before, that it is published.

    One that awaits nothing else has succeeded. Until then they are told what is reported.
    """
    heard = _Heard(i for i in _not_succeeded(settings) if table in _awaited(i.events()))
    try:
        with heard.told():
            yield
    except TransientError:
        raise
    except Exception as error:
        heard.tell("failed", reason=str(error))
        raise
    for ingestion in heard.ingestions:
        ingestion.tell("published", table=table)
        events = ingestion.events()
        stored = next((event for event in reversed(events) if event.name == "stored"), None)
        # A journal may have been removed meanwhile.
        if stored is not None and not _awaited(events):
            figures = {name: stored.data.get(name) for name in ("rows", "rejected")}
            ingestion.tell("succeeded", **figures, is_known=False)


class _Heard:
    """Tells ingestions what is reported: each activity at once, and then every second."""

    def __init__(self, ingestions: Iterable[Ingestion] = ()) -> None:
        self.ingestions = list(ingestions)
        self._lock = threading.Lock()
        self._first = self._now = _NOTHING
        self._began = time.monotonic()

    @contextmanager
    def told(self) -> Iterator[None]:
        """Tell what is reported for as long as the block runs."""
        finished = threading.Event()

        def tell_again() -> None:
            while not finished.wait(_SECONDS_BETWEEN_EVENTS):
                with self._lock:
                    self._tell_progress()

        teller = threading.Thread(target=tell_again, daemon=True)
        teller.start()
        try:
            with heard_by(report=self._listen):
                yield
        finally:
            finished.set()
            teller.join()

    def tell(self, event: str, **data: Any) -> None:
        """Tell all of them an event."""
        for ingestion in self.ingestions:
            ingestion.tell(event, **data)

    def _listen(self, report: Progress) -> None:
        with self._lock:
            if report.activity != self._now.activity:
                self._first = self._now = report
                self._began = time.monotonic()
                self._tell_progress()
            elif report.done >= self._now.done:
                self._now = report

    def _tell_progress(self) -> None:
        if self._now is not _NOTHING and (figures := self._figures(self._now)) is not None:
            self.tell("progress", phase=self._now.activity, **figures)

    def _figures(self, now: Progress) -> Mapping[str, Any] | None:
        """What is told of an activity; None if nothing is."""
        figures: dict[str, Any] = {"table": now.table, "seconds": _seconds_since(self._began)}
        if now.total:
            share = round(now.done / now.total, 4)
            figures |= {"share": share, "done": now.done, "total": now.total}
        return figures


class FilesHeard(_Heard):
    """Tells the journals of the files that one load takes; of other files it tells nothing.

    Args:
        journals: those that there are.
        run_id: the run of Dagster in which the files are taken.
        awaits: the tables to be published until a file counts as ingested.
    """

    def __init__(self, journals: Ingestions, run_id: str, awaits: Sequence[str]) -> None:
        super().__init__()
        self._journals = journals
        self._run_id = run_id
        self._awaits = list(awaits)
        self._files: list[InboxFile] = []
        self._started = time.monotonic()
        self._rows_of_a_byte = 0.0

    def __call__(self, event: FileEvent, file: InboxFile, /, **data: Any) -> None:
        """Hear what a load does with a file."""
        ingestion = self._journals.of_file(file.name)
        with self._lock:
            if event == "started":
                self._start(file, ingestion)
                return
            if file in self._files:
                self._files.remove(file)
            if ingestion is None:
                return
            if ingestion in self.ingestions:
                self.ingestions.remove(ingestion)
            if event == "stored":
                ingestion.tell(
                    "stored", **data, seconds=_seconds_since(self._started), awaits=self._awaits
                )
            elif event == "rejected":
                ingestion.tell("failed", reason=f"The file was rejected: {data['reason']}.")
            if event == "known" or (event == "stored" and not self._awaits):
                figures = {"rows": 0, "rejected": 0, **data}
                ingestion.tell("succeeded", **figures, is_known=event == "known")

    def _start(self, file: InboxFile, ingestion: Ingestion | None) -> None:
        if not self._files:
            self._started, self._now = time.monotonic(), _NOTHING
        self._files.append(file)
        if ingestion is not None:
            self.ingestions.append(ingestion)
            self._rows_of_a_byte = _lines_of_a_byte(file)
            ingestion.tell("started", run_id=self._run_id)

    def _figures(self, now: Progress) -> Mapping[str, Any] | None:
        seconds = _seconds_since(self._started)
        if now.activity != "reading":
            return {"seconds": seconds}
        # Of files that are read together it is not known how far each has come.
        if len(self._files) != 1:
            return None
        size, done = self._files[0].size, now.done - self._first.done
        return {
            "share": round(done / size, 4) if size else 1.0,
            "rows": round(done * self._rows_of_a_byte),
            "are_rows_estimated": True,
            "bytes": done,
            "bytes_total": size,
            "rate": round(done / max(seconds, 0.001)),
            "seconds": seconds,
        }


def _seconds_since(moment: float) -> float:
    return round(time.monotonic() - moment, 3)


def _lines_of_a_byte(file: InboxFile) -> float:
    """How many lines a byte of the file has on average, by its first ones; packed or not."""
    with file.path.open("rb") as stream:
        packed = stream.read(_BYTES_LOOKED_AT)
    try:
        plain = zlib.decompressobj(wbits=_GZIP).decompress(packed)
    except zlib.error:
        plain = packed
    return plain.count(b"\n") / len(packed) if packed else 0.0


def _not_succeeded(settings: Settings) -> Iterator[Ingestion]:
    """The ingestions of the last days that have not succeeded; one that failed may still do so."""
    oldest = time.time() - _SECONDS_LOOKED_BACK
    for ingestion in Ingestions(settings.ingestions).all():
        with suppress(FileNotFoundError):
            if ingestion.path.stat().st_mtime >= oldest and ingestion.status != "succeeded":
                yield ingestion


def _awaited(events: list[Event]) -> set[str]:
    """The tables that have not been published since the file was stored; none if it was not."""
    awaited: set[str] = set()
    for event in events:
        if event.name == "stored":
            awaited = set(event.data.get("awaits", ()))
        elif event.name == "published":
            awaited.discard(str(event.data.get("table")))
    return awaited
