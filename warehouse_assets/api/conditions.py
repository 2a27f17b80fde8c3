"""Conditions on the columns of a table, as a request says them: `week_start.gte=2019-01-01`."""

import csv
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from typing import Any

import sqlalchemy as sa

from warehouse_assets.api.request import day_of
from warehouse_assets.tables import column_names
from warehouse_assets.times import read_time

KINDS: Mapping[type[Any], str] = {
    int: "whole number",
    bool: "boolean",
    float: "number",
    datetime: "time",
    date: "day",
    str: "text",
}
"""What a person calls the types of columns."""

_COMPARISONS: Mapping[str, Callable[[Any, Any], sa.ColumnElement[bool]]] = {
    "eq": lambda column, value: column == value,
    "neq": lambda column, value: column != value,
    "lt": lambda column, value: column < value,
    "lte": lambda column, value: column <= value,
    "gt": lambda column, value: column > value,
    "gte": lambda column, value: column >= value,
    "in": lambda column, values: column.in_(values),
    "is": lambda column, is_null: column.is_(None) if is_null else column.is_not(None),
}
_PATTERNS = ("like", "ilike")
OPERATORS = (*_COMPARISONS, *_PATTERNS)
"""What may stand behind the name of a column and a point."""

FILTERS: dict[str, Any] = {
    "parameters": [
        {
            "name": "filters",
            "in": "query",
            "style": "form",
            "explode": True,
            "description": "Conditions, all of which hold: `COLUMN=VALUE`, or `COLUMN.OPERATOR="
            f"VALUE` with one of {', '.join(OPERATORS)}.",
            "schema": {"type": "object", "additionalProperties": {"type": "string"}},
            "example": {"region": "Prague", "week_start.gte": "2019-01-01"},
        }
    ]
}
"""The description of the conditions, for the `openapi_extra` of a route."""


@dataclass(frozen=True)
class Condition:
    """What has to hold of a column; `name` and `text` are the parameter as it was sent."""

    name: str
    text: str
    column: sa.Column[Any]
    operator: str
    value: Any

    def sql(self, dialect: str) -> sa.ColumnElement[bool]:
        """The condition in a kind of database, which LIKE is not the same in."""
        if self.operator not in _PATTERNS:
            value = self.value
            if dialect == "postgresql":  # has no NUL; U+FFFD stands for it in what is published
                value = _without_nul(value)
            return _COMPARISONS[self.operator](self.column, value)
        if self.operator == "like" and dialect == "sqlite":  # whose LIKE heeds no case
            pattern = "".join(f"[{c}]" if c in "[?" else c for c in self.value)
            return self.column.op("GLOB", is_comparison=True)(pattern)
        escaped = "".join(f"\\{c}" if c in "\\%_" else c for c in self.value)
        pattern = _without_nul(escaped.replace("*", "%"))
        if self.operator == "like":
            return self.column.like(pattern, escape="\\")
        column = self.column.collate("C") if dialect == "postgresql" else self.column
        return column.ilike(pattern, escape="\\")


def condition(table: sa.Table, name: str, text: str, others: Iterable[str]) -> Condition:
    """The condition that a parameter asks for.

    Args:
        others: the parameters that are no conditions.

    Raises:
        ValueError: there is no such column or operator, or the value is none of the column's type.
    """
    column_name, _, operator = name.partition(".")
    operator = operator or "eq"
    names = column_names(table)
    if column_name not in names:
        raise ValueError(
            f"There is no parameter or column {column_name!r} of {table.name}; there are: "
            f"{', '.join(others)}, and the columns {', '.join(names)}."
        )
    if operator not in OPERATORS:
        raise ValueError(f"There is no operator {operator!r}; there are: {', '.join(OPERATORS)}.")
    column = table.c[column_name]
    kind, found = column.type.python_type, partial(Condition, name, text, column, operator)
    if operator in _PATTERNS:
        if kind is not str:
            raise ValueError(f"{name}: {operator} is of text, and {column_name} is not.")
        return found(text)
    if operator == "is":
        if text not in {"null", "not_null"}:
            raise ValueError(f"{name}: it is null or not_null, and not {text!r}.")
        return found(text == "null")
    try:
        if operator == "in":
            (values,) = csv.reader([text], strict=True)
            return found([_READERS[kind](value) for value in values])
        return found(_READERS[kind](text))
    except (ValueError, csv.Error):
        hint = " (YYYY-MM-DD)" if kind is date else ""
        what = f"a {KINDS[kind]}{hint}" + (", or some with commas between" * (operator == "in"))
        raise ValueError(f"{name}: {text!r} is not {what}.") from None


def _whole_number(text: str) -> int:
    number = int(text)
    if not -(1 << 63) <= number < 1 << 63:
        raise ValueError
    return number


def _number(text: str) -> float:
    number = float(text)
    if number - number != 0:  # infinite, or none
        raise ValueError
    return number


def _boolean(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ValueError
    return text == "true"


def _time(text: str) -> datetime:
    moment = read_time(text)
    if moment is None:
        raise ValueError
    return moment


_READERS: Mapping[type[Any], Callable[[str], Any]] = {
    int: _whole_number,
    bool: _boolean,
    float: _number,
    datetime: _time,
    date: day_of,
    str: str,
}


def _without_nul(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_nul(each) for each in value]
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value
