"""The order of an answer's rows, and its pages: each begins behind a row that a cursor names."""

import base64
import json
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from warehouse_assets.api.problems import Refusal
from warehouse_assets.schema import column_names, key_names

_LONGEST_CURSOR = 10_000
_LARGEST = (1 << 63) - 1


def _order(table: sa.Table) -> list[str]:
    """The columns by which the rows are ordered; together they are of one row only."""
    named: Sequence[str] = table.info.get("order") or ()
    return [*named, *(key for key in key_names(table) if key not in named)]


def query(
    table: sa.Table, place: Sequence[Any] | None, limit: int | None
) -> sa.Select[tuple[Any, ...]]:
    """The rows of `table` behind `place`, at most `limit` of them, in their order."""
    columns = [table.c[name] for name in _order(table)]
    query = sa.select(table).order_by(*columns).limit(limit)
    return query if place is None else query.where(sa.tuple_(*columns) > sa.tuple_(*place))


def plain(value: Any) -> Any:
    """A value as JSON has it: times are text, and what is no number is null."""
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def cursor(table: sa.Table, row: Sequence[Any]) -> str:
    """The place of `row` as text that stands for itself in an address."""
    values = dict(zip(column_names(table), row, strict=True))
    text = json.dumps([plain(values[name]) for name in _order(table)])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def place_of(table: sa.Table, text: str) -> list[Any]:
    """The place that `cursor` made text of.

    Raises:
        Refusal: it is no such text.
    """
    names = _order(table)
    try:
        found = json.loads(base64.urlsafe_b64decode(text[:_LONGEST_CURSOR].encode() + b"=="))
        return [_value(table.c[name].type, part) for name, part in zip(names, found, strict=True)]
    except (ValueError, TypeError, RecursionError):
        raise Refusal(422, "It is not the `next` of a page.", "after") from None


def _value(kind: sa.types.TypeEngine[Any], part: Any) -> Any:
    """A value of a cursor as the database has it.

    Raises:
        ValueError: it is none of that type.
    """
    readers: Mapping[type[Any], Callable[[str], Any]] = {
        sa.DateTime: datetime.fromisoformat,
        sa.Date: date.fromisoformat,
    }
    for declared, read in readers.items():
        if isinstance(kind, declared) and isinstance(part, str):
            return read(part)
    if isinstance(kind, sa.Text) and isinstance(part, str) and "\0" not in part:
        part.encode()
        return part
    if isinstance(kind, sa.Integer) and type(part) is int and abs(part) <= _LARGEST:
        return part
    raise ValueError
