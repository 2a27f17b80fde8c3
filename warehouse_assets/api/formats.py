"""The formats of answers, JSON and CSV, and which of them a request wants."""

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import pydantic_core
from fastapi import Query, Request
from pydantic import WithJsonSchema

Format = Literal["json", "csv"]

# In JSON Schema "date-time" has a zone; this is OpenAPI's name for one without.
TimeWithoutZone = Annotated[
    datetime, WithJsonSchema({"type": "string", "format": "date-time-local"})
]

MEDIA_TYPES: Mapping[Format, str] = {"json": "application/json", "csv": "text/csv; charset=utf-8"}


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


def wanted(request: Request, said: Format | None) -> Format:
    """The format that a request wants: what its parameter `format` said, or else `Accept`."""
    return said or preferred(request.headers.get("accept", ""))


FormatQuery = Annotated[
    Format | None,
    Query(alias="format", description="Format of the answer; by default what `Accept` says."),
]


def plain(value: Any) -> Any:
    """A value as JSON has it: times are text, and what is no number is null."""
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def to_json(value: object) -> bytes:
    """`value` as JSON; null for what is no number."""
    return pydantic_core.to_json(value, inf_nan_mode="null")


def to_csv(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """Rows as CSV (RFC 4180) with a heading; null is nothing between the commas."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(names)
    writer.writerows(rows)
    return text.getvalue().encode()


def in_both_formats(example: Any, csv_example: str, text: str = "The answer.") -> dict[str, Any]:
    """The description of an answer in both formats, for a route's `responses[200]`."""
    return {
        "description": text,
        "headers": VALIDATORS,
        "content": {
            "application/json": {"example": example},
            "text/csv": {"schema": {"type": "string"}, "example": csv_example},
        },
    }


VALIDATORS = {
    "ETag": {"description": "Changes when a table is published anew.", "schema": {"type": "string"}}
}
