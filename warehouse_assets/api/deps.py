"""What routes share, and how they ask for it."""

import threading
from typing import Annotated, Protocol

from fastapi import Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel

from warehouse_assets.api.database import database_of
from warehouse_assets.api.freshness import Freshness
from warehouse_assets.api.keys import Keys
from warehouse_assets.api.logs import AccessLog
from warehouse_assets.api.metrics import Metrics
from warehouse_assets.api.webhooks import Webhooks
from warehouse_assets.defs.deliveries.catch_up import DeliveryAverage
from warehouse_assets.ingest.inbox import Inbox
from warehouse_assets.ingestions import Ingestions
from warehouse_assets.lake import Lake
from warehouse_assets.orchestration.resources import build_resources
from warehouse_assets.settings import Settings
from warehouse_assets.warehouse import Warehouse


class Runs(Protocol):
    """Whatever takes the files that wait in the inbox when it is asked to."""

    def start(self) -> None:
        """Get ready; returns at once."""

    def request(self) -> None:
        """Have a run start soon; requests that come before it has started are one."""

    def stop(self) -> None:
        """End, and what was started with it."""


class Service:
    """What the routes share, for the life of the application.

    Args:
        runs: what takes uploaded files.

    Attributes:
        stopped: set when the service is to end, so that streams of events do not hold that up.

    Raises:
        SettingError: the file of keys cannot be used.
    """

    def __init__(self, settings: Settings, runs: Runs) -> None:
        resources = build_resources(settings)
        self.settings = settings
        self.runs = runs
        self.lake: Lake = resources["lake"]
        self.warehouse: Warehouse = resources["warehouse"]
        self.inbox: Inbox = resources["inbox"]
        self.stopped = threading.Event()
        self.database = database_of(self.warehouse, settings)
        self.ingestions = Ingestions(settings.ingestions)
        self.webhooks = Webhooks(self.ingestions, settings.api_url, self.stopped)
        self.average = DeliveryAverage.of(settings, self.lake)
        self.keys = Keys(settings)
        self.metrics = Metrics()
        self.log = AccessLog()
        self.freshness = Freshness(self.lake)


def service_of(request: Request) -> Service:
    """The service that the application of `request` is."""
    service = request.app.state.service
    assert isinstance(service, Service)
    return service


async def _service(request: Request) -> Service:
    # Not the function above: FastAPI hands each that is not asynchronous to a thread.
    return service_of(request)


TheService = Annotated[Service, Depends(_service)]


def reply(told: BaseModel) -> Response:
    """The answer that tells `told`."""
    return Response(told.model_dump_json(by_alias=True), media_type="application/json")
