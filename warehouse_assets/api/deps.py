"""What routes ask for, as annotated dependencies; the service itself is made in `app`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Protocol

from fastapi import Depends, Query, Request

from warehouse_assets.api.event_stream import JournalWatch
from warehouse_assets.api.freshness import Ages
from warehouse_assets.api.keys import Keys
from warehouse_assets.api.metrics import Metrics
from warehouse_assets.api.problems import Refusal
from warehouse_assets.api.webhooks import Webhooks
from warehouse_assets.ingestions import Ingestion, Ingestions
from warehouse_assets.lake import Lake
from warehouse_assets.settings import Settings
from warehouse_assets.sources.inbox import Inbox
from warehouse_assets.warehouse import Warehouse


class Runs(Protocol):
    """Whatever takes the files that wait in the inbox when it is asked to."""

    def start(self) -> None:
        """Get ready; returns at once."""

    def request(self) -> None:
        """Have a run start soon; requests that come before it has started are one."""

    def stop(self) -> None:
        """End, and what was started with it."""


@dataclass(frozen=True)
class Service:
    """What the routes share, for the life of the application."""

    settings: Settings
    lake: Lake
    warehouse: Warehouse
    inbox: Inbox
    ingestions: Ingestions
    watch: JournalWatch
    webhooks: Webhooks
    runs: Runs
    keys: Keys
    metrics: Metrics
    ages: Ages

    def end_streams(self) -> None:
        """End the streams of events, which would otherwise hold up the end of the service."""
        self.watch.close()


def service_of(request: Request) -> Service:
    """The service that the application of `request` is."""
    service = request.app.state.service
    assert isinstance(service, Service)
    return service


TheService = Annotated[Service, Depends(service_of)]


def _part(of: Callable[[Service], object]) -> object:
    def dependency(service: TheService) -> object:
        return of(service)

    return Depends(dependency)


TheSettings = Annotated[Settings, _part(lambda service: service.settings)]
TheLake = Annotated[Lake, _part(lambda service: service.lake)]
TheWarehouse = Annotated[Warehouse, _part(lambda service: service.warehouse)]
TheIngestions = Annotated[Ingestions, _part(lambda service: service.ingestions)]


def _ingestion(ingestion_id: str, ingestions: TheIngestions) -> Ingestion:
    ingestion = ingestions.get(ingestion_id)
    if ingestion is None:
        raise Refusal(
            404,
            "There is no ingestion of that id, or it was over so long ago that it is forgotten.",
        )
    return ingestion


TheIngestion = Annotated[Ingestion, Depends(_ingestion)]
TheRegion = Annotated[str | None, Query(description="A region.", examples=["Prague"])]
"""The region that a request may name."""
