"""What the steps of a run tell the journals of the ingestions that they bring on."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from warehouse_assets.errors import TransientError
from warehouse_assets.ingest.file_kinds import FileKind
from warehouse_assets.ingest.ingestion_watch import IngestionWatch
from warehouse_assets.ingestions import Event, Ingestion, Ingestions
from warehouse_assets.progress import Progress, heard_by
from warehouse_assets.settings import Settings

# There may be thousands of journals; to look at the times of all of them takes milliseconds.
_SECONDS_LOOKED_BACK = 7 * 24 * 3600
_SECONDS_BETWEEN_EVENTS = 1.0


@contextmanager
def taking_files(settings: Settings, kind: FileKind, run_id: str) -> Iterator[IngestionWatch]:
    """Watch the step that takes the files of `kind`."""
    watch = IngestionWatch(Ingestions(settings.ingestions), run_id, kind.answers)
    try:
        yield watch
    except TransientError:
        raise  # the step is tried again
    except Exception as error:
        watch.failed(str(error))
        raise


@contextmanager
def publishing(settings: Settings, table: str) -> Iterator[None]:
    """Tell the ingestions that await `table`, and were in the lake before, that it is published.

    One that awaits nothing else has succeeded. Until then they are told what is reported.
    """
    awaiting = [i for i in _not_succeeded(settings) if table in _awaited(i.events())]
    try:
        with _Phases(awaiting).told():
            yield
    except TransientError:
        raise
    except Exception as error:
        for ingestion in awaiting:
            ingestion.tell("failed", reason=str(error))
        raise
    for ingestion in awaiting:
        ingestion.tell("published", table=table)
        events = ingestion.events()
        stored = next((event for event in reversed(events) if event.name == "stored"), None)
        # A journal may have been removed meanwhile.
        if stored is not None and not _awaited(events):
            figures = {name: stored.data.get(name) for name in ("rows", "rejected")}
            ingestion.tell("succeeded", **figures, is_known=False)


class _Phases:
    """Tells ingestions what is done with a table they await: at once, and then every second."""

    def __init__(self, ingestions: Sequence[Ingestion]) -> None:
        self._ingestions = ingestions
        self._lock = threading.Lock()
        self._now: Progress | None = None
        self._began = time.monotonic()

    @contextmanager
    def told(self) -> Iterator[None]:
        """Tell what is reported for as long as the block runs."""
        if not self._ingestions:
            yield
            return
        finished = threading.Event()

        def tell_again() -> None:
            while not finished.wait(_SECONDS_BETWEEN_EVENTS):
                with self._lock:
                    self._tell()

        teller = threading.Thread(target=tell_again, daemon=True)
        teller.start()
        try:
            with heard_by(report=self._listen):
                yield
        finally:
            finished.set()
            teller.join()

    def _listen(self, report: Progress) -> None:
        with self._lock:
            is_next = self._now is None or report.activity != self._now.activity
            if is_next or (self._now and report.done >= self._now.done):
                self._now = report
            if is_next:
                self._began = time.monotonic()
                self._tell()

    def _tell(self) -> None:
        now = self._now
        if now is None:
            return
        figures: dict[str, Any] = {"seconds": round(time.monotonic() - self._began, 3)}
        if now.total:
            share = round(now.done / now.total, 4)
            figures |= {"share": share, "done": now.done, "total": now.total}
        for ingestion in self._ingestions:
            ingestion.tell("progress", phase=now.activity, table=now.table, **figures)


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
