"""Cursors: values by which rows are ordered, as text that stands for itself in an address."""

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from warehouse_assets.api.formats import plain
from warehouse_assets.api.problems import Refusal

_LONGEST = 10_000
_LARGEST = (1 << 63) - 1  # whole number of a database
_FROM_TEXT: Mapping[type[Any], Any] = {
    sa.DateTime: datetime.fromisoformat,
    sa.Date: date.fromisoformat,
}


def encode(values: Sequence[Any]) -> str:
    """The cursor of `values`."""
    text = json.dumps([plain(value) for value in values])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(
    text: str, kinds: Sequence[sa.types.TypeEngine[Any]], of_which_optional: int = 0
) -> list[Any]:
    """The values of a cursor.

    Args:
        kinds: the types that they must have.
        of_which_optional: how many of the last ones may be null, or all be missing.

    Raises:
        Refusal: it is none of such values.
    """
    least = len(kinds) - of_which_optional
    try:
        found = json.loads(base64.urlsafe_b64decode(text[:_LONGEST].encode() + b"=="))
        if of_which_optional and isinstance(found, list) and len(found) == least:
            found += [None] * of_which_optional
        return [
            None if value is None and number >= least else _value(kind, value)
            for number, (kind, value) in enumerate(zip(kinds, found, strict=True))
        ]
    except (ValueError, TypeError, RecursionError):
        raise refusal() from None


def refusal(words: str = "") -> Refusal:
    """What is said of a cursor that cannot be used."""
    return Refusal(422, f"It is not the `next` of a page{words}.", "after")


def _value(kind: sa.types.TypeEngine[Any], part: Any) -> Any:
    """A value of a cursor as the database has it.

    Raises:
        ValueError: it is none of that type.
    """
    for declared, read in _FROM_TEXT.items():
        if isinstance(kind, declared) and isinstance(part, str):
            found = read(part)
            if getattr(found, "tzinfo", None) is None:
                return found
    if isinstance(kind, sa.Text) and isinstance(part, str) and "\0" not in part:
        part.encode()
        return part
    if isinstance(kind, sa.Integer) and type(part) is int and -_LARGEST - 1 <= part <= _LARGEST:
        return part
    raise ValueError
