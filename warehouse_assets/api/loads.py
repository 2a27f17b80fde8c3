"""What is loaded, as it happens: looked up once for all who listen, and only while somebody does.

Loads are looked up where they are published, so that it does not matter which process did them.
What the journals of ingestions say meanwhile goes to those who are listening then.
"""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import sqlalchemy as sa
from anyio.to_thread import run_sync

from warehouse_assets.api.database import Database, Reading
from warehouse_assets.errors import WarehouseAssetsError
from warehouse_assets.ingestions import Ingestion, Ingestions, JournalReader
from warehouse_assets.tables import LOADS

_SECONDS_BETWEEN_LOOKS = 0.5
_LOADS_AT_ONCE = 1000
_MOST_EVENTS_KEPT = 1000
_BETWEEN_LOOKS = timedelta(seconds=_SECONDS_BETWEEN_LOOKS)
_SETTLED = timedelta(minutes=10)  # journals that were not written for so long are not read
_A_PAUSE = timedelta(seconds=30)
_LONG_AGO = datetime.min.replace(tzinfo=timezone.utc)
_NAME = str(LOADS.name)

Told = tuple[str | None, str, Any]
"""An event: its id, if it has one, its name and what it says; of a load that is its row."""


class LoadEvents:
    """The events of loads and of journals.

    Args:
        stopped: set when the service ends.
    """

    def __init__(
        self, database: Database, ingestions: Ingestions, stopped: threading.Event
    ) -> None:
        self._database = database
        self._journals = _Journals(ingestions)
        self._stopped = stopped
        self._lock = asyncio.Lock()
        self._version: object = None
        self._newest = 0
        self._after: dict[int, Sequence[Any]] = {}

    async def follow(self, known: str | None) -> AsyncIterator[Told]:
        """The events behind the one of the id `known`; None: those from now on."""
        heard = self._journals.number
        table, _, said = (known or "").rpartition(":")
        number = int(said) if said else None
        while not self._stopped.is_set():
            async with self._lock:
                await run_sync(self._journals.look)
            heard, told = self._journals.since(heard)
            for event in told:
                yield event
            published = (await self._database.published() or {}).get(_NAME)
            if published is not None:
                if table not in ("", published.lake_table_id):
                    number = 0  # the lake was made anew, and all its loads are others
                table = published.lake_table_id
                rows: Sequence[Any] = [None]
                while rows:
                    try:
                        newest, rows = await self._since(number, published)
                    except WarehouseAssetsError:  # it cannot be read now; soon again
                        break
                    if number is None:  # from where it can go on when it breaks off
                        number = newest
                        yield f"{table}:{number}", "listening", {"number": number}
                    for row in rows:
                        number = row[0]
                        yield f"{table}:{number}", "load", row
            elif number is None:
                number = 0  # nothing has been published yet
            await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)

    async def _since(self, number: int | None, version: object) -> tuple[int, Sequence[Any]]:
        """The number of the newest load, and loads after a number; None: none of them."""
        async with self._lock:
            if version != self._version:
                newest = sa.select(sa.func.coalesce(sa.func.max(LOADS.c.number), 0))
                ((self._newest,),) = await self._database.read([_NAME], _reading(newest))
                self._version, self._after = version, {}
            if number is None or number >= self._newest:
                return self._newest, []
            if number not in self._after:
                query = sa.select(LOADS).where(LOADS.c.number > number).order_by(LOADS.c.number)
                rows = await self._database.read([_NAME], _reading(query.limit(_LOADS_AT_ONCE)))
                self._after[number] = rows
            return self._newest, self._after[number]


def _reading(query: sa.Select[Any]) -> Any:
    def read(reading: Reading) -> list[Any]:
        return [tuple(row) for row in reading.connection.execute(query)]

    return read


class _Journals:
    """What the journals of ingestions say that are written at present.

    Attributes:
        number: how many events were heard.
    """

    def __init__(self, ingestions: Ingestions) -> None:
        self._ingestions = ingestions
        self._readers: dict[Ingestion, tuple[JournalReader, str]] = {}
        self._looked_at = _LONG_AGO
        self._events: deque[Told] = deque(maxlen=_MOST_EVENTS_KEPT)
        self.number = 0

    def since(self, number: int) -> tuple[int, list[Told]]:
        """The events after a number, as far as they are kept, and the number of the last one."""
        missed = min(self.number - number, len(self._events))
        return self.number, list(self._events)[len(self._events) - missed :]

    def look(self) -> None:
        """Look for events since the last look, unless somebody has just looked.

        Of what happened while nobody listened nothing is told.
        """
        now = datetime.now(timezone.utc)
        if now - self._looked_at < _BETWEEN_LOOKS:
            return
        before, self._looked_at = self._looked_at, now
        if now - before > _A_PAUSE:
            before, self._readers = now - _BETWEEN_LOOKS, {}
        known, self._readers = self._readers, {}
        for ingestion in self._ingestions.changed_since((now - _SETTLED).timestamp()):
            is_new = ingestion not in known
            reader, source = known.get(ingestion) or (JournalReader(ingestion.path), ingestion.kind)
            self._readers[ingestion] = reader, source
            for event in reader.read():
                if is_new and event.at < before - _BETWEEN_LOOKS:
                    continue
                data = {"at": event.at, "source": source, "ingestion": ingestion.id, **event.data}
                self._events.append((None, event.name, data))
                self.number += 1
