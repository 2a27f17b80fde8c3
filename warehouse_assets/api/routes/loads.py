"""The routes of the loads of every family: their history, and the stream of what is loaded."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, Field
from sqlalchemy import Table

from warehouse_assets.api.conditions import FILTERS
from warehouse_assets.api.formats import wanted
from warehouse_assets.api.problems import Refusal
from warehouse_assets.api.request import StrictRoute
from warehouse_assets.api.response import formatted
from warehouse_assets.api.routes.tables import FORMATS, OF_TABLE, RowsAsked, table_of
from warehouse_assets.api.selection import Selection, url_of
from warehouse_assets.api.service import service_of
from warehouse_assets.api.table_rows import answer_of_rows
from warehouse_assets.catalogue import TABLES
from warehouse_assets.tables import LOADS, REJECTED_RECORDS, column_names
from warehouse_assets.values import plain

router = APIRouter(prefix="/loads", tags=["loads"], route_class=StrictRoute)

_BY_NAME: Mapping[Any, Table] = {str(table.name): table for table in TABLES}


class LoadPage(BaseModel):
    """A page of loads, the newest first."""

    items: list[dict[str, Any]] = Field(
        description="The columns of the table `loads`; `rejected_url`, where the records are that "
        "were rejected, and `rows_url`, where its rows are: null where they cannot be told apart."
    )
    next: str | None = Field(description="`after` of the next page; null on the last one.")


@router.get("", response_model=LoadPage, responses=OF_TABLE, openapi_extra=FILTERS)
async def loads(request: Request, said: Annotated[RowsAsked, Query()]) -> Response:
    """What was loaded, of every family and however it came; asked for as a table is."""
    if wanted(request, said.format, FORMATS) != "json":
        return await table_of(request, str(LOADS.name), said)
    selection = Selection.of(LOADS, said, request.query_params)

    def show(rows: Sequence[Sequence[Any]], following: str | None) -> Response:
        items = [_told(request, selection.names, row) for row in rows]
        return formatted(request, "json", {"items": items, "next": following}, (), (), following)

    return await answer_of_rows(request, "json", selection, said, show)


def _told(request: Request, names: Sequence[str], row: Sequence[Any]) -> dict[str, Any]:
    load: Mapping[str, Any] = dict(zip(names, map(plain, row), strict=True))
    rejected = rows = None
    source, unit, arrival = (load.get(name) for name in ("source", "unit", "arrival"))
    if source and unit and load.get("rejected"):
        rejected = url_of(request, REJECTED_RECORDS, source=source, unit=unit)
    table = _BY_NAME.get(source)
    if arrival is not None and load.get("rows") and table is not None:
        rows = url_of(request, table, arrival=str(arrival))
    return {**load, "rejected_url": rejected, "rows_url": rows}


def _beginning(
    request: Request,
    after: Annotated[
        int | None, Query(description="Only loads after this number; 0: all.", ge=0)
    ] = None,
    last_event_id: Annotated[
        str | None, Header(description="The id of the last event, as browsers say it.")
    ] = None,
) -> str | None:
    """After which event others are wanted; None: those from now on."""
    if last_event_id is None:
        return None if after is None else f":{after}"
    _, colon, number = last_event_id.rpartition(":")
    if not colon or not number.isdecimal() or not number.isascii():
        raise Refusal(422, "It is not the id of an event.", at="Last-Event-ID")
    return last_event_id


@router.get(
    "/events", response_class=EventSourceResponse, summary="Loads as they happen, of every family"
)
async def events(
    request: Request, known: Annotated[str | None, Depends(_beginning)]
) -> AsyncIterator[ServerSentEvent]:
    """A stream of server-sent events, whichever process does the loading.

    `load` is a row of `/loads`, once it is published; a stream that broke off goes on behind the
    last one. `listening` tells after which number it begins, if nothing else was asked for.
    `started`, `progress` and the like, without an id, are what is told meanwhile of a file that
    was uploaded or given to a command; of what was not heard nothing is told again.
    """
    names = column_names(LOADS)
    async for id_, kind, data in service_of(request).loads.follow(known):
        told = _told(request, names, data) if kind == "load" else data
        yield ServerSentEvent(id=id_, event=kind, data=told)
