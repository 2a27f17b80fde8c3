"""The routes of deliveries: steps are sent, and the running average is told, also as it moves."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timezone
from typing import Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from fastapi.responses import Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, Field

from warehouse_assets.api.problems import Refusal
from warehouse_assets.api.request import StrictRoute, bounded
from warehouse_assets.api.response import TimeWithoutZone, reply
from warehouse_assets.api.service import Service, service_of
from warehouse_assets.defs.deliveries import records
from warehouse_assets.defs.deliveries.average import BEGINNING
from warehouse_assets.defs.deliveries.state import Snapshot
from warehouse_assets.errors import WarehouseAssetsError
from warehouse_assets.progress import heard_by

router = APIRouter(prefix="/deliveries", tags=["deliveries"], route_class=StrictRoute)

_MOST_BYTES = 10 * 10**6
_SECONDS_BETWEEN_LOOKS = 0.5
_SECONDS_BETWEEN_LOOKS_AT_THE_FEED = 0.2
_logger = logging.getLogger(__name__)
_STEP = {
    "type": "object",
    "required": ["Delivery Step", "Customer", "Timestamp"],
    "properties": {
        "Delivery Step": {"type": "integer", "minimum": 1, "maximum": 4},
        "Customer": {"type": "integer"},
        "Timestamp": {
            "type": "string",
            "format": "date-time",
            "description": "ISO 8601. With a zone it is taken in UTC, without as it is written.",
        },
    },
    "example": {"Delivery Step": 1, "Customer": 1, "Timestamp": "2020-01-01T12:00:00"},
}
_BODY = {
    "requestBody": {
        "required": True,
        "description": "A step of a delivery, or an array of steps in their order.",
        "content": {
            "application/json": {
                "schema": {"oneOf": [_STEP, {"type": "array", "items": _STEP, "minItems": 1}]}
            }
        },
    }
}


class Appended(BaseModel):
    """Steps that are in the feed, and will stay there."""

    records: int = Field(description="How many.", examples=[1])
    position: int = Field(
        description="They are in the average whose `position` is this or a later one.",
        examples=[76],
    )


class Average(BaseModel):
    """The average duration of the successful deliveries so far."""

    average_seconds: float | None = Field(
        description="Average duration in seconds; null before the first success.", examples=[1200]
    )
    successes: int = Field(description="Deliveries ended by their last step.")
    abandoned: int = Field(description="Deliveries that were opened and will not succeed.")
    open: int = Field(description="Deliveries that are open.")
    rejected: int = Field(description="Records that could not be used.")
    repetitions: int = Field(description="Records that were there before, and changed nothing.")
    records: int = Field(description="Records that could be read.")
    position: int = Field(description="Up to where the feed is in it.")
    newest_at: TimeWithoutZone | None = Field(
        description="The newest time of any record, UTC or as written without a zone."
    )
    updated_at: datetime | None = Field(description="When it last changed.")

    @classmethod
    def of(cls, now: Snapshot) -> "Average":
        """What is told of a state."""
        changed = datetime.fromtimestamp(now.changed_at, timezone.utc) if now.revision else None
        return cls(
            average_seconds=None if now.average is None else now.average.total_seconds(),
            successes=now.successes,
            abandoned=now.abandoned,
            open=now.open,
            rejected=now.rejected + now.unusable,
            repetitions=now.repetitions,
            records=now.records,
            position=now.position,
            newest_at=None if now.newest == BEGINNING else now.newest,
            updated_at=changed,
        )


@router.post(
    "",
    status_code=202,
    response_model=Appended,
    openapi_extra=_BODY,
    summary="Send steps of deliveries",
)
async def append(request: Request) -> Response:
    """Append one step, or several in their order, to the feed; all of them or none.

    The answer comes when they are on the disk. What is sent again counts once.
    """
    too_large = f"Send at most {_MOST_BYTES:,} bytes at once."
    body = await bounded(request, _MOST_BYTES, too_large).body()

    def appended() -> Appended:
        lines = _lines(body)
        return Appended(records=len(lines), position=service_of(request).average.append(lines))

    return reply(await run_sync(appended), 202)


def _lines(body: bytes) -> Sequence[bytes]:
    """Each step of a body as a line of the feed."""
    try:
        sent = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise Refusal(400, "The body is not valid JSON.") from None
    steps = sent if isinstance(sent, list) else [sent]
    if not steps:
        raise Refusal(422, "The array has no step.", at="body")
    latest = records.latest_now()
    lines = []
    for number, step in enumerate(steps):
        try:
            records.checked(step, latest)
        except records.RecordError as error:
            place = ["body", *([str(number)] if isinstance(sent, list) else [])]
            at = ".".join([*place, *([error.field] if error.field else [])])
            raise Refusal(422, f"Nothing was appended: {error}.", at=at) from None
        lines.append(json.dumps(step).encode())
    return lines


@router.get(
    "/average",
    response_model=Average,
    summary="The average duration so far",
)
async def average_now(request: Request) -> Response:
    """The average duration of all successful deliveries so far."""
    return reply(Average.of(await run_sync(service_of(request).average.snapshot)))


@router.get(
    "/average/events",
    response_class=EventSourceResponse,
    summary="The average duration, as it moves",
)
async def average_events(request: Request) -> AsyncIterator[ServerSentEvent]:
    """A stream of server-sent events: the average now, and again whenever it has changed."""
    service, known = service_of(request), None
    while not service.stopped.is_set():
        now = await run_sync(service.average.snapshot, known)
        if now is not known and (known is None or now != known):
            known = now
            data: Any = Average.of(now)
            yield ServerSentEvent(id=str(now.revision), event="average", data=data)
        await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)


async def follow(service: Service) -> None:
    """Take what comes into the feed into the average at once, until the service ends.

    A look at the feed's file costs next to nothing; without a file there is nothing to do.
    """
    seen = told = ""
    while not service.stopped.is_set():
        looked = await run_sync(service.average.look)
        if looked and looked != seen:
            try:
                await run_sync(_catch_up, service)
                told = ""
            except WarehouseAssetsError as error:  # the sensor says so, too
                if told != (told := str(error)):
                    _logger.warning("%s", error)
            seen = looked
        await asyncio.sleep(_SECONDS_BETWEEN_LOOKS_AT_THE_FEED)


def _catch_up(service: Service) -> None:
    with heard_by(_logger.info):
        service.average.catch_up(service.stopped.is_set)
