"""Cursors: values by which rows are ordered, as text that stands for itself in an address."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from types import GenericAlias
from typing import Annotated, Any

import pydantic_core
import sqlalchemy as sa
from pydantic import Field, NaiveDatetime, TypeAdapter

from warehouse_assets.api.problems import Refusal

_LONGEST = 10_000
_KINDS: Mapping[type[Any], Any] = {
    datetime: NaiveDatetime,
    date: date,
    str: Annotated[str, Field(pattern=r"^[^\x00]*$")],
    int: Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)],
}


def kind_of(column: sa.Column[Any]) -> Any:
    """The type of the values of a column in a cursor."""
    return _KINDS[column.type.python_type]


def encode(values: Sequence[Any]) -> str:
    """The cursor of `values`."""
    return base64.urlsafe_b64encode(pydantic_core.to_json(values)).decode().rstrip("=")


def decode(text: str, kinds: Iterable[Any]) -> tuple[Any, ...]:
    """The values of a cursor, which are of these types.

    Raises:
        Refusal: it is none of such values.
    """
    shape: Any = GenericAlias(tuple, tuple(kinds))
    found: TypeAdapter[tuple[Any, ...]] = TypeAdapter(shape)
    try:
        sent = base64.urlsafe_b64decode(text[:_LONGEST].encode() + b"==")
        return found.validate_json(sent, strict=True)
    except ValueError:
        raise refusal() from None


def refusal(words: str = "") -> Refusal:
    """What is said of a cursor that cannot be used."""
    return Refusal(422, f"It is not the `next` of a page{words}.", "after")
