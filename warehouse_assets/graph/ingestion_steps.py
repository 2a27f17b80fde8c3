"""What the steps of a run tell the journals of the ingestions that they bring on."""

from collections.abc import Iterator
from contextlib import contextmanager

from warehouse_assets.errors import TransientError
from warehouse_assets.ingestions import Event, Ingestions
from warehouse_assets.settings import Settings
from warehouse_assets.sources.file_kinds import FileKind
from warehouse_assets.sources.ingestion_watch import IngestionWatch


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
    ingestions = Ingestions(settings.ingestions).waiting()
    awaiting = [ingestion for ingestion in ingestions if table in _awaited(ingestion.events())]
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
        if not _awaited(events):
            stored = next(event for event in reversed(events) if event.name == "stored")
            figures = {name: stored.data.get(name) for name in ("rows", "rejected")}
            ingestion.tell("succeeded", **figures, is_known=False)


def _awaited(events: list[Event]) -> set[str]:
    """The tables that have not been published since the file was stored; none if it was not."""
    awaited: set[str] = set()
    for event in events:
        if event.name == "stored":
            awaited = set(event.data.get("awaits", ()))
        elif event.name == "published":
            awaited.discard(str(event.data.get("table")))
    return awaited
