"""The routes of how answers changed, between two moments and as it happens, and why."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from anyio.to_thread import run_sync
from fastapi import APIRouter, Header, Path, Query, Request
from fastapi.responses import Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, Field

from warehouse_assets.api.formats import Formatted
from warehouse_assets.api.problems import Refusal
from warehouse_assets.api.request import StrictRoute, check
from warehouse_assets.api.response import formatted, in_both_formats
from warehouse_assets.api.routes.answers import answer_called
from warehouse_assets.api.selection import url_of
from warehouse_assets.api.service import Service, service_of
from warehouse_assets.catalogue import TABLES, order_of, reads_of
from warehouse_assets.errors import GoneError, UsageError
from warehouse_assets.history.as_of import Handles, fetch, handles_of, read_moment, view
from warehouse_assets.history.changes import Changes, changes_between
from warehouse_assets.history.places import Places
from warehouse_assets.history.why import Explanation, Step, explain
from warehouse_assets.lake import open_at
from warehouse_assets.questions import Question
from warehouse_assets.tables import key_names
from warehouse_assets.values import plain
from warehouse_assets.warehouse import PublishedVersion

router = APIRouter(prefix="/answers", tags=["answers"], route_class=StrictRoute)

_MOST_ROWS = 10_000
_SECONDS_BETWEEN_LOOKS = 0.5

_Name = Annotated[
    str, Path(description="A name of /answers.", examples=["mean_votes_per_post_per_week"])
]
_Row = dict[str, Any]


class _Span(Formatted):
    """What may be said behind the `?` of changes."""

    since: str = Field(
        "yesterday",
        description="The moment before: a time, a day (its beginning), a version, or a label.",
        examples=["2026-11-20"],
    )
    until: str = Field("now", description="The moment after; a day is its end.")
    limit: int = Field(1000, ge=1, le=_MOST_ROWS, description="Rows that are told; all count.")


class ChangedRow(BaseModel):
    """A row that differs."""

    change: Literal["added", "changed", "removed"]
    before: _Row | None = Field(description="Its values before; null if it was not there.")
    after: _Row | None = Field(description="Its values after; null if it is not there.")


class ChangedRows(BaseModel):
    """In what an answer differs."""

    name: str
    since: str
    until: str
    added: int
    changed: int = Field(description="Rows of the same key with other values.")
    removed: int
    items: list[ChangedRow] = Field(description="The first of them, in the order of the answer.")


_OF_CHANGES = in_both_formats(
    "change,week,votes,week_before,votes_before\r\nchanged,2022-01-03,12,2022-01-03,11\r\n",
    "The rows that differ between two moments.",
)


@router.get("/{name}/changes", response_model=ChangedRows, responses=_OF_CHANGES)
async def changes(request: Request, name: _Name, said: Annotated[_Span, Query()]) -> Response:
    """In what an answer, as it was published, differs between two moments."""
    asked, service = answer_called(name), service_of(request)

    def found() -> Changes:
        lake, reads = service.lake, reads_of(asked)
        before = handles_of(
            lake, service.warehouse, read_moment(lake, said.since, is_since=True), reads
        )
        after = handles_of(lake, service.warehouse, read_moment(lake, said.until), reads)
        with lake.connect() as connection:
            return changes_between(lake, connection, asked, before, after, said.limit)

    differing = await run_sync(found)
    told = {"name": name, "since": said.since, "until": said.until, **_told(differing)}
    told["items"] = told.pop("rows")
    names = differing.names
    rows = (
        [one.kind, *((side or {}).get(n) for side in (one.after, one.before) for n in names)]
        for one in differing.rows
    )
    headings = ["change", *names, *(f"{column}_before" for column in names)]
    return formatted(request, said.wanted(request), told, headings, rows)


class StepOfWhy(BaseModel):
    """Rows of a table that the row follows from."""

    table: str
    added: int
    changed: int
    removed: int
    rows: list[ChangedRow] = Field(description="The first of them.")
    places: list[str] = Field(description="Where each row came from; none of computed tables.")
    urls: list[str] = Field(description="Where each row is now; none of tables without a key.")
    files: dict[str, int] = Field(description="How many of all came in which file.")
    context: str | None = Field(
        description="What of the row depends on these rows beside those that it is made of."
    )


class Why(BaseModel):
    """Why a row is what it is."""

    name: str
    key: dict[str, str]
    since: str | None
    until: str
    row: ChangedRow | None = Field(description="How it changed; null if it did not.")
    steps: list[StepOfWhy] = Field(description="Table by table, down to those that came in.")
    notes: list[str] = Field(description="What else it depends on.")


_REASONS = APIRouter(prefix="/answers", tags=["answers"])
"""Of which parameters have the names of columns."""


@_REASONS.get(
    "/{name}/why",
    response_model=Why,
    openapi_extra={
        "parameters": [
            {
                "name": "key",
                "in": "query",
                "description": "The value of each column of the key, under the column's name.",
                "style": "form",
                "explode": True,
                "schema": {"type": "object", "additionalProperties": {"type": "string"}},
                "example": {"week_start": "2022-01-03"},
            }
        ]
    },
)
async def why(
    request: Request,
    name: _Name,
    since: Annotated[
        str | None,
        Query(
            description="A moment, as of `/changes`: why it differs from then; without, of what it "
            "is made now.",
            examples=["2026-11-20"],
        ),
    ] = None,
    until: Annotated[str, Query(description="The moment after, as of `/changes`.")] = "now",
    limit: Annotated[int, Query(ge=0, le=1000, description="Rows told of each table.")] = 20,
) -> Response:
    """Why a row of a table is what it is, or differs from what it was, down to what came in."""
    table, service = answer_called(name), service_of(request)
    if isinstance(table, Question):
        names = ", ".join(str(read.name) for read in table.reads)
        raise Refusal(422, f"{name} is a question without a key; ask why of a row of {names}.")
    keys = key_names(table)
    check(request.query_params, [*keys, "since", "until", "limit"])
    key = {each: request.query_params[each] for each in keys if each in request.query_params}

    def found() -> Explanation:
        lake, warehouse = service.lake, service.warehouse
        before = since and handles_of(lake, warehouse, read_moment(lake, since, True), TABLES)
        after = handles_of(lake, warehouse, read_moment(lake, until), TABLES)
        with lake.connect() as connection:
            return explain(
                lake, connection, table, key, before or None, after, limit, service.settings
            )

    def told() -> dict[str, Any]:
        explained, places = found(), Places(service.inbox, service.lake)
        row = _told(explained.row)["rows"]
        return {
            "name": name,
            "key": key,
            "since": since,
            "until": until,
            "row": row[0] if row else None,
            "steps": [_step(request, step, places) for step in explained.steps],
            "notes": explained.notes,
        }

    return formatted(request, "json", await run_sync(told), (), ())


router.routes.extend(_REASONS.routes)


def _step(request: Request, step: Step, places: Places) -> dict[str, Any]:
    rows = [change.after or change.before or {} for change in step.changes.rows]
    found = [places.place(step.table, row) for row in rows]
    keys = key_names(step.table)
    return {
        "table": str(step.table.name),
        **_told(step.changes),
        "places": [place for place in found if place],
        "urls": [
            url_of(request, step.table, **{f"{key}.eq": str(plain(row[key])) for key in keys})
            for row in rows
            if keys
        ],
        "files": {places.file(step.table, arrival): n for arrival, n in step.loads.items()},
        "context": step.context or None,
    }


def _told(found: Changes) -> dict[str, Any]:
    return {
        "added": found.added,
        "changed": found.changed,
        "removed": found.removed,
        "rows": [
            {"change": one.kind, "before": _plain(one.before), "after": _plain(one.after)}
            for one in found.rows
        ],
    }


def _plain(row: Mapping[str, Any] | None) -> _Row | None:
    return None if row is None else {name: plain(value) for name, value in row.items()}


@router.get(
    "/{name}/events",
    response_class=EventSourceResponse,
    summary="The rows of an answer, and its changes as they are published",
)
async def events(
    request: Request,
    name: _Name,
    last_event_id: Annotated[
        str | None, Header(description="Where a stream broke off, as browsers say it.")
    ] = None,
) -> AsyncIterator[ServerSentEvent]:
    """A stream of server-sent events: `rows`, all there are, then `changes` of them.

    Who applies them has what the answer is. A stream that broke off goes on with the changes since,
    or, where these are no longer known, with `rows` again, which take the place of all before.
    """
    asked, service, known = answer_called(name), service_of(request), last_event_id
    while not service.stopped.is_set():
        published = await service.database.published() or {}
        names = [str(table.name) for table in reads_of(asked)]
        if all(one in published for one in names):
            now = [published[one] for one in names]
            if known != (token := _token(now)):
                event = await run_sync(_event, service, asked, known, now)
                known = token
                if event is not None:
                    kind, data = event
                    yield ServerSentEvent(id=token, event=kind, data=data)
        await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)


def _token(versions: Sequence[PublishedVersion]) -> str:
    return ",".join(f"{one.lake_table_id}:{one.version}" for one in versions)


def _event(
    service: Service,
    asked: sa.Table | Question,
    known: str | None,
    now: Sequence[PublishedVersion],
) -> tuple[str, dict[str, Any]] | None:
    """The event that leads from what a client knows to what is published; None if it is that."""
    lake, reads = service.lake, reads_of(asked)
    try:
        after: Handles = {
            one.table: open_at(lake.table(table), one.version)
            for table, one in zip(reads, now, strict=True)
        }
    except (GoneError, UsageError):  # the lake was made anew: soon something else is published
        return None
    with lake.connect() as connection:
        with suppress(GoneError, UsageError):
            before = _handles(service, reads, known, now)
            if before is not None:
                found = changes_between(lake, connection, asked, before, after, _MOST_ROWS)
                if found.total <= _MOST_ROWS:
                    return ("changes", _told(found)) if found.total else None
        view(lake, connection, reads, after)
        statement = (
            asked.sql
            if isinstance(asked, Question)
            else sa.select(asked).order_by(*order_of(asked))
        )
        names, rows = fetch(connection, statement)
        return "rows", {"rows": [dict(zip(names, map(plain, row), strict=True)) for row in rows]}


def _handles(
    service: Service,
    reads: Sequence[sa.Table],
    known: str | None,
    now: Sequence[PublishedVersion],
) -> Handles | None:
    """The versions that a client knows; None if it knows none of these tables."""
    parts = [part.partition(":") for part in (known or "").split(",")]
    if [part[0] for part in parts] != [one.lake_table_id for one in now]:
        return None
    if not all(part[2].isdecimal() for part in parts):
        return None
    return {
        str(table.name): open_at(service.lake.table(table), int(part[2]))
        for table, part in zip(reads, parts, strict=True)
    }
