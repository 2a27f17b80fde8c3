"""The routes of ingestions on demand: a file is sent, and what becomes of it is told."""

from collections.abc import AsyncIterator
from datetime import datetime
from itertools import islice
from typing import Annotated, Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Header, Path, Query, Request
from fastapi.responses import Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, Field
from sqlalchemy import Table

from warehouse_assets.api.former import is_versioned
from warehouse_assets.api.problems import Refusal
from warehouse_assets.api.request import StrictRoute
from warehouse_assets.api.response import formatted, reply
from warehouse_assets.api.selection import url_of
from warehouse_assets.api.service import service_of
from warehouse_assets.api.uploads import FORM_FIELDS, FORM_TYPE, body_types, receive
from warehouse_assets.catalogue import FROM_FILES
from warehouse_assets.ingestions import ENDS, Ingestion
from warehouse_assets.tables import REJECTED_RECORDS

_EXAMPLE_ID = "20261121-093042123456-5e0c7a1b"
_Id = Annotated[str, Path(description="Id of the ingestion.", examples=[_EXAMPLE_ID])]
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_JSON = {"application/json": {"schema": {"type": "array", "items": {"type": "object"}}}}


class Accepted(BaseModel):
    """A file that has been received; what becomes of it is told elsewhere."""

    id: str = Field(description="Id of the ingestion.", examples=[_EXAMPLE_ID])
    status_url: str = Field(description="Where its status is.")
    events_url: str = Field(description="Where its events are streamed.")


class IngestionStatus(Accepted):
    """How far an ingestion has come."""

    name: str = Field("", description="What its sender calls the file.", examples=["trips.csv"])
    status: str = Field(
        description="The last event but `progress`: received, queued, started, stored, published, "
        "succeeded or failed.",
        examples=["succeeded"],
    )
    phase: str | None = Field(
        description="What is being done: reading, checking, storing, or computing or publishing a "
        "table; null before and in the end.",
        examples=["publishing trip_groups"],
    )
    is_over: bool = Field(description="Whether nothing more is expected.")
    received_at: datetime | None = Field(description="When its first byte came.")
    updated_at: datetime | None = Field(description="When something happened last.")
    bytes: int | None = Field(None, description="Size of the file, as it was sent.")
    rows: int | None = Field(None, description="Rows taken so far.")
    rejected: int | None = Field(None, description="Rows rejected so far, with line and reason.")
    rejected_url: str = Field(description="Where those are, each with its line and the reason.")
    is_known: bool = Field(False, description="Whether its content had been taken before.")
    tables: list[str] = Field(description="Tables that have been published since.")
    reason: str | None = Field(description="Why it failed.")
    run_id: str | None = Field(None, description="The run in Dagster that takes it.")
    last_event: int = Field(description="Number of the last event.")


class IngestionList(BaseModel):
    """Some ingestions, the newest first."""

    items: list[IngestionStatus]
    next: str | None = Field(description="`after` of the next page; null on the last one.")


class _Told(BaseModel):
    """What may be said behind the `?` of a file."""

    name: str = Field(
        "", description="What the file is called.", max_length=1000, examples=["trips.csv"]
    )
    webhook: str | None = Field(
        None,
        description="Address to which the events are posted, on a host of WEBHOOK_HOSTS.",
        examples=["https://hooks.example.com/files"],
    )


class _Page(BaseModel):
    """What may be said behind the `?` of the list."""

    limit: int = Field(20, description="How many.", ge=1, le=100)
    after: str | None = Field(None, description="`next` of the page before: an id.")
    before: str | None = Field(
        None, description="A former name of `after`.", json_schema_extra={"deprecated": True}
    )


def _found(request: Request, ingestion_id: str) -> Ingestion:
    found = service_of(request).ingestions.get(ingestion_id)
    if found is None or not request.scope["route"].path.startswith(f"/{found.kind}/"):
        raise Refusal(
            404,
            "There is no ingestion of that id, or it was over so long ago that it is forgotten.",
        )
    return found


async def _beginning(
    request: Request,
    ingestion_id: _Id,
    after: Annotated[int, Query(description="Only events after this number.", ge=0)] = 0,
    last_event_id: Annotated[
        str | None, Header(description="The same, as browsers say it when they connect again.")
    ] = None,
) -> tuple[Ingestion, int]:
    """Of what and after which number events are wanted; ends a request where none can come."""
    ingestion = _found(request, ingestion_id)
    if last_event_id is None:
        return ingestion, after
    if not last_event_id.isdecimal() or not last_event_id.isascii():
        raise Refusal(422, "It is the number of an event.", at="Last-Event-ID")
    number = int(last_event_id)
    if ingestion.is_over and not ingestion.events(number):
        raise Refusal(204, "")  # the one answer at which a browser does not connect again
    return ingestion, number


def _accepted(request: Request, ingestion: Ingestion) -> Accepted:
    url = f"{request.base_url}{ingestion.kind}/ingestions/{ingestion.id}"
    return Accepted(id=ingestion.id, status_url=url, events_url=f"{url}/events")


def _rejected(request: Request, ingestion: Ingestion) -> str:
    """Where the rejected records of its file are, whose name in the archive has its id."""
    of_file = {"source": ingestion.kind, "unit.like": f"*{ingestion.id}*"}
    found = url_of(request, REJECTED_RECORDS, **of_file)
    return f"{request.url.scheme}://{request.url.netloc}{found}"


def _status(request: Request, ingestion: Ingestion) -> IngestionStatus:
    told = ingestion.events()
    figures: dict[str, Any] = {}
    tables: list[str] = []
    last, phase = "received", None
    for event in told:
        data = dict(event.data)
        if event.name == "progress":
            named = (data.get("phase"), data.get("table"))
            phase = " ".join(str(word) for word in named if word) or None
            data.pop("bytes", None)  # those read so far, not those of the file
        else:
            last = event.name
        if event.name == "started":  # of a later run, after one that failed
            tables.clear()
        if event.name == "published":
            tables.append(str(data.get("table")))
        figures |= data
    return IngestionStatus(
        **figures
        | _accepted(request, ingestion).model_dump()
        | {
            "status": last,
            "rejected_url": _rejected(request, ingestion),
            "phase": None if last in ENDS else phase,
            "is_over": last in ENDS,
            "received_at": told[0].at if told else None,
            "updated_at": told[-1].at if told else None,
            "tables": tables,
            "reason": figures.get("reason") if last == "failed" else None,
            "last_event": told[-1].number if told else 0,
        }
    )


def _router(table: Table) -> APIRouter:
    """The routes of the files for `table`."""
    kind = str(table.name)
    router = APIRouter(
        prefix=f"/{kind}/ingestions",
        tags=[f"ingestions of {kind}"],
        route_class=StrictRoute,
    )
    form = {"type": "object", "required": ["file"], "properties": FORM_FIELDS}
    body = {
        "required": True,
        "description": "The file itself, plain or packed by gzip, or a form with one file.",
        "content": {
            **{each: _JSON.get(each, _BINARY) for each in body_types(table)},
            FORM_TYPE: {"schema": form},
        },
    }

    @router.post(
        "",
        status_code=202,
        response_model=Accepted,
        openapi_extra={"requestBody": body},
        summary=f"Send a file of {kind}",
    )
    async def ingest(request: Request, said: Annotated[_Told, Query()]) -> Response:
        """Take a file, of any size up to UPLOAD_LIMIT, and start a run that ingests it.

        The answer comes when the file is stored, and before anything of it is read.
        """
        service = service_of(request)
        ingestion = await receive(request, service, table, said.name, said.webhook)
        service.webhooks.begin(ingestion)
        service.runs.request(kind)
        accepted = _accepted(request, ingestion)
        return reply(accepted, 202, Location=accepted.status_url)

    @router.get("", response_model=IngestionList, summary="The latest ingestions")
    async def latest(request: Request, said: Annotated[_Page, Query()]) -> Response:
        """The ingestions of the last weeks, the newest first, a page at a time."""
        limit, after = said.limit, said.after or said.before

        def read() -> tuple[IngestionList, str | None]:
            every = service_of(request).ingestions.all()
            older = (i for i in every if (after is None or i.id < after) and i.kind == kind)
            page = list(islice(older, limit + 1))
            following = page[limit - 1].id if len(page) > limit else None
            items = [_status(request, ingestion) for ingestion in page[:limit]]
            return IngestionList(items=items, next=following), following

        told, following = await run_sync(read)
        if following and not is_versioned(request.url.path):
            told.next = str(request.url.replace(query=f"limit={limit}&after={following}"))
        return formatted(request, "json", told.model_dump(), (), (), following)

    @router.get(
        "/{ingestion_id}", response_model=IngestionStatus, summary="The status of an ingestion"
    )
    async def status(request: Request, ingestion_id: _Id) -> Response:
        """How far one ingestion has come."""
        return reply(await run_sync(_status, request, _found(request, ingestion_id)))

    @router.get(
        "/{ingestion_id}/events",
        response_class=EventSourceResponse,
        responses={204: {"description": "It is over and all was told."}},
        summary="The events of an ingestion, as they happen",
    )
    async def events(
        request: Request, beginning: Annotated[tuple[Ingestion, int], Depends(_beginning)]
    ) -> AsyncIterator[ServerSentEvent]:
        """A stream of server-sent events, from the first one, or from where it broke off.

        It ends after `succeeded` or `failed`; a comment is sent every 15 seconds in between.
        """
        ingestion, after = beginning
        async for event in ingestion.follow(service_of(request).stopped, after):
            yield ServerSentEvent(
                id=str(event.number), event=event.name, data={"at": event.at, **event.data}
            )

    return router


routers = [_router(table) for table in FROM_FILES]
