"""The formats of answers, JSON and CSV, and which of them a request wants."""

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from tempfile import SpooledTemporaryFile
from typing import Annotated, Any, Literal, Protocol

import pydantic_core
from fastapi import Request
from pydantic import BaseModel, Field, WithJsonSchema

from warehouse_assets.api.problems import problems

Format = Literal["json", "csv"]


class SupportsWrite(Protocol):
    """Whatever text is written to."""

    def write(self, text: str, /) -> object:
        """Take a piece of it."""


# In JSON Schema "date-time" has a zone; this is OpenAPI's name for one without.
TimeWithoutZone = Annotated[
    datetime, WithJsonSchema({"type": "string", "format": "date-time-local"})
]

UNCHANGED: Any = {304: {"description": "What `If-None-Match` names is still the answer."}}
MEDIA_TYPES: Mapping[Format, str] = {"json": "application/json", "csv": "text/csv; charset=utf-8"}


@dataclass(frozen=True)
class Content:
    """What is answered: all of it, or a file that holds it.

    Args:
        next: the cursor of the next page, if there is one.
    """

    body: bytes | SpooledTemporaryFile[str]
    media_type: str
    next: str | None = None


def preferred(accept: str) -> Format:
    """CSV if the header `Accept` says that it is liked more than JSON."""
    if "csv" not in accept.lower():
        return "json"
    likings = dict(_liking(part) for part in accept.lower().split(","))
    anything = likings.get("*/*", 0.0)
    csv_liking = likings.get("text/csv", likings.get("text/*", anything))
    json_liking = likings.get("application/json", likings.get("application/*", anything))
    return "csv" if csv_liking > json_liking else "json"


def _liking(part: str) -> tuple[str, float]:
    media_type, *parameters = (piece.strip() for piece in part.split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return media_type, float(parameter[2:])
            except ValueError:
                return media_type, 0.0
    return media_type, 1.0


class Formatted(BaseModel):
    """The parameter of an answer that there is in both formats."""

    format: Format | None = Field(
        None, description="Format of the answer; by default what `Accept` says."
    )

    def wanted(self, request: Request) -> Format:
        """The format that a request wants: what its parameter says, or else `Accept`."""
        return self.format or preferred(request.headers.get("accept", ""))


def plain(value: Any) -> Any:
    """A value as JSON has it: times are text, and what is no number is null."""
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def as_json(value: object, following: str | None = None) -> Content:
    """`value` as JSON; null for what is no number."""
    body = pydantic_core.to_json(value, inf_nan_mode="null")
    return Content(body, MEDIA_TYPES["json"], following)


def as_csv(
    names: Sequence[str], rows: Iterable[Sequence[Any]], following: str | None = None
) -> Content:
    """Rows as CSV (RFC 4180) with a heading; null is nothing between the commas."""
    text = io.StringIO(newline="")
    write_csv(text, names, rows)
    return Content(text.getvalue().encode(), MEDIA_TYPES["csv"], following)


def formatted(
    format_: Format,
    value: object,
    names: Sequence[str],
    rows: Iterable[Sequence[Any]],
    following: str | None = None,
) -> Content:
    """`value` as JSON, or `rows` as CSV."""
    return as_csv(names, rows, following) if format_ == "csv" else as_json(value, following)


def write_csv(stream: SupportsWrite, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write rows as CSV with a heading."""
    writer = csv.writer(stream)
    writer.writerow(names)
    writer.writerows([plain(value) for value in row] for row in rows)


def in_both_formats(csv_example: str, text: str, *problem_statuses: int) -> Any:
    """The description of an answer in both formats, for the `responses` of a route."""
    changes = "Changes with the answer, which it does when a table is published anew."
    answered = {
        "description": text,
        "headers": {"ETag": {"description": changes, "schema": {"type": "string"}}},
        "content": {"text/csv": {"schema": {"type": "string"}, "example": csv_example}},
    }
    return {200: answered, **UNCHANGED, **problems(*problem_statuses)}
