"""The route of what became of a file, line by line."""

from typing import Annotated, Any, Literal

from anyio.to_thread import run_sync
from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from warehouse_assets.api.formats import Formatted
from warehouse_assets.api.problems import Refusal
from warehouse_assets.api.request import StrictRoute
from warehouse_assets.api.response import formatted, in_both_formats
from warehouse_assets.api.service import Service, service_of
from warehouse_assets.catalogue import TABLES
from warehouse_assets.errors import UsageError
from warehouse_assets.history.as_of import handles_of, read_moment
from warehouse_assets.history.receipt import Receipt, find, receipt
from warehouse_assets.values import plain

router = APIRouter(prefix="/files", tags=["files"], route_class=StrictRoute)

_MOST_LINES = 10_000
_File = Annotated[
    str,
    Path(
        description="Its name, as it was delivered or as the archive has it; of several the last.",
        examples=["votes.jsonl"],
    ),
]


class _Lines(Formatted):
    """What may be said behind the `?` of a file."""

    line: int | None = Field(
        None, ge=0, description="The line, or the element of an array, from 1; 0 is the file."
    )
    limit: int = Field(100, ge=0, le=_MOST_LINES, description="Lines that are told; all count.")


class LineOfFile(BaseModel):
    """What became of a line."""

    line: int
    fate: Literal["taken", "replaced", "known", "rejected", "missing"]
    why: str = Field(description="By what it was replaced, from where it was known, or why not.")
    row: dict[str, Any] | None = Field(description="What it says, where it can be used.")


class FileReceipt(BaseModel):
    """What became of a file."""

    file: str = Field(description="Its name in the archive.")
    table: str | None = Field(description="The table that it is for.")
    fates: dict[str, int] = Field(description="How many lines had which fate.")
    items: list[LineOfFile] = Field(
        description="Of the line that is asked for; else the first of those not in the table now."
    )
    counted_in: dict[str, int] | None = Field(
        description="How many rows of which tables follow from it; null of a large file."
    )


_OF_FILE = in_both_formats(
    "line,fate,why\r\n3,rejected,Id is missing\r\n", "What became of the lines."
)


@router.get("/{name}/trace", response_model=FileReceipt, responses=_OF_FILE)
async def trace(request: Request, name: _File, said: Annotated[_Lines, Query()]) -> Response:
    """What became of each line of a file that was taken: taken, replaced, known or rejected."""
    try:
        found = await run_sync(_receipt, service_of(request), name, said)
    except UsageError as error:
        raise Refusal(404, str(error)) from None
    lines = [
        {
            "line": one.position,
            "fate": one.fate,
            "why": one.words,
            "row": one.row and {column: plain(value) for column, value in one.row.items()},
        }
        for one in found.lines
    ]
    told = {
        "file": found.file.path.name,
        "table": None if found.table is None else str(found.table.name),
        "fates": found.fates,
        "items": lines,
        "counted_in": found.counted_in,
    }
    rows = ([one.position, one.fate, one.words] for one in found.lines)
    return formatted(request, said.wanted(request), told, ["line", "fate", "why"], rows)


def _receipt(service: Service, name: str, said: _Lines) -> Receipt:
    file = find(service.inbox, name)
    lake = service.lake
    handles = handles_of(lake, service.warehouse, read_moment(lake, "now"), TABLES)
    with lake.connect() as connection:
        return receipt(lake, connection, file, handles, service.settings, said.line, said.limit)
