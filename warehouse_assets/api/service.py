"""What routes share for the life of the service: its databases, folders, runs and figures."""

import asyncio
import threading
import time
from collections.abc import Mapping

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import Request
from sqlalchemy import Table

from warehouse_assets.api.auth import Keys
from warehouse_assets.api.database import database_of
from warehouse_assets.api.loads import LoadEvents
from warehouse_assets.api.runs import Runs
from warehouse_assets.api.telemetry import AccessLog, Metrics
from warehouse_assets.api.webhooks import Webhooks
from warehouse_assets.catalogue import FAMILIES
from warehouse_assets.defs.deliveries.catch_up import DeliveryAverage
from warehouse_assets.errors import WarehouseAssetsError
from warehouse_assets.ingest.inbox import Inbox
from warehouse_assets.ingestions import Ingestions
from warehouse_assets.lake import Lake, changed_at
from warehouse_assets.settings import Settings
from warehouse_assets.warehouse import warehouse_at

_SECONDS_BETWEEN_LOOKS = 15.0


class Freshness:
    """When rows of each family were last written to the lake, looked up now and then."""

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


class Service:
    """What the routes share, for the life of the application.

    Args:
        runs: what takes uploaded files.

    Attributes:
        drawing: has the processes that draw charts, of which each takes some 110 MB, be one.
        stopped: set when the service is to end, so that streams of events do not hold that up.

    Raises:
        SettingError: the file of keys cannot be used.
    """

    def __init__(self, settings: Settings, runs: Runs) -> None:
        self.settings = settings
        self.runs = runs
        self.lake = Lake.of(settings)
        self.warehouse = warehouse_at(settings.warehouse_read_url)
        self.inbox = Inbox.of(settings)
        self.stopped = threading.Event()
        self.database = database_of(self.warehouse, settings)
        self.ingestions = Ingestions(settings.ingestions)
        self.loads = LoadEvents(self.database, self.ingestions, self.stopped)
        self.webhooks = Webhooks(self.ingestions, settings.api_url, self.stopped)
        self.average = DeliveryAverage.of(settings, self.lake)
        self.keys = Keys(settings)
        self.metrics = Metrics()
        self.log = AccessLog()
        self.drawing = CapacityLimiter(1)
        self.freshness = Freshness(self.lake)


def service_of(request: Request) -> Service:
    """The service that the application of `request` is."""
    service = request.app.state.service
    assert isinstance(service, Service)
    return service
