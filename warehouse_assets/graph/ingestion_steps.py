"""What the steps of a run tell the journals of the ingestions that they bring on."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from warehouse_assets.errors import TransientError
from warehouse_assets.ingestions import Event, Ingestion, Ingestions
from warehouse_assets.settings import Settings
from warehouse_assets.sources.file_kinds import FileKind
from warehouse_assets.sources.ingestion_watch import IngestionWatch

# There may be thousands of journals; to look at the times of all of them takes milliseconds.
_SECONDS_LOOKED_BACK = 7 * 24 * 3600


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

    One that awaits nothing else has succeeded.
    """
    awaiting = [i for i in _not_succeeded(settings) if table in _awaited(i.events())]
    try:
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
