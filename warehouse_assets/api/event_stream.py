"""Following journals as they grow, told by the file system: nobody asks again and again."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

from watchfiles import awatch

from warehouse_assets.ingestions import ENDS, Event, Ingestion

# Events that come in one burst are told together; both are far below the second that is promised.
_MILLISECONDS_OF_A_BURST = 100
_MILLISECONDS_OF_QUIET = 20
# A network file system may not tell of changes made by another machine.
_SECONDS_TO_LOOK_ANYWAY = 15.0
_SECONDS_UNTIL_ANOTHER_TRY = 1.0
_logger = logging.getLogger(__name__)


class JournalWatch:
    """Watches the folder of the journals, for as long as anybody listens.

    All of it is of one event loop.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._listeners: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._task: asyncio.Task[None] | None = None
        self.is_closed = False

    @property
    def is_watching(self) -> bool:
        """Whether the folder is being watched."""
        return self._task is not None

    @contextmanager
    def listening(self, ingestion: Ingestion) -> Iterator[asyncio.Event]:
        """An event that is set whenever the journal of `ingestion` may have grown."""
        changed = asyncio.Event()
        self._listeners[ingestion.id].add(changed)
        if self._task is None:
            self._task = asyncio.create_task(self._watch())
        try:
            yield changed
        finally:
            self._listeners[ingestion.id].discard(changed)
            if not self._listeners[ingestion.id]:
                del self._listeners[ingestion.id]
            if not self._listeners and self._task is not None:
                self._task.cancel()
                self._task = None

    def close(self) -> None:
        """Have everybody stop listening."""
        self.is_closed = True
        for listeners in list(self._listeners.values()):
            for changed in listeners:
                changed.set()

    async def _watch(self) -> None:
        while True:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                async for changes in awatch(
                    self._folder,
                    watch_filter=None,
                    debounce=_MILLISECONDS_OF_A_BURST,
                    step=_MILLISECONDS_OF_QUIET,
                    recursive=False,
                ):
                    for ingestion_id in {Path(path).stem for _, path in changes}:
                        for changed in self._listeners.get(ingestion_id, ()):
                            changed.set()
            except OSError as error:
                _logger.warning("The folder %s cannot be watched: %s", self._folder, error)
            await asyncio.sleep(_SECONDS_UNTIL_ANOTHER_TRY)


async def follow(
    watch: JournalWatch, ingestion: Ingestion, after: int = 0, ends: frozenset[str] = ENDS
) -> AsyncIterator[Event]:
    """The events of `ingestion` whose number is greater than `after`, those to come included.

    Ends when the last event there is is one of `ends`, when the journal is gone and when `watch`
    is closed.
    """
    with watch.listening(ingestion) as changed:
        # The watch is set up before the journal is first read, so that no event falls between.
        await asyncio.sleep(0)
        reader = ingestion.reader()
        is_over = False
        while True:
            changed.clear()
            for event in reader.read():
                is_over = event.name in ends
                if event.number > after:
                    yield event
            if is_over or watch.is_closed or not ingestion.path.exists():
                return
            try:
                await asyncio.wait_for(changed.wait(), _SECONDS_TO_LOOK_ANYWAY)
            except asyncio.TimeoutError:
                continue
