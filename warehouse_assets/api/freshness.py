"""How old the data of each family is, by the lake."""

import asyncio
import time
from collections.abc import Mapping

from anyio.to_thread import run_sync
from sqlalchemy import Table

from warehouse_assets.catalogue import FAMILIES
from warehouse_assets.errors import WarehouseAssetsError
from warehouse_assets.lake import Lake, changed_at

_SECONDS_BETWEEN_LOOKS = 15.0


class Freshness:
    """When rows of each family were last written, looked up now and then."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._lock = asyncio.Lock()
        self._next_look = 0.0
        self._found: Mapping[str, float | None] = {}
        self._by_version: dict[str, tuple[int, float | None]] = {}

    async def changed(self) -> Mapping[str, float | None]:
        """When each family changed, in seconds since 1970; None if it has no data here."""
        async with self._lock:
            if time.monotonic() >= self._next_look:
                self._found = await run_sync(self._look)
                self._next_look = time.monotonic() + _SECONDS_BETWEEN_LOOKS
            return self._found

    def _look(self) -> Mapping[str, float | None]:
        return {
            family: max(filter(None, map(self._changed, tables)), default=None)
            for family, tables in FAMILIES.items()
        }

    def _changed(self, declaration: Table) -> float | None:
        table = self._lake.table(declaration)
        try:
            handle = table.open_existing()
            if handle is None:
                return None
            known = self._by_version.get(table.name)
            # Reading the history takes long where it is long.
            if known is None or known[0] != handle.version():
                known = self._by_version[table.name] = (handle.version(), changed_at(handle))
        except WarehouseAssetsError:
            return None
        return known[1]
