"""Which rows and columns of a table a request wants: what is behind the `?`, and the SQL for it.

    region=Prague  week_start.gte=2019-01-01     a condition; all of them have to hold
    select=region,trips    order=trips.desc,region    limit=100    after=CURSOR

The same selection is a statement of SQLite, of PostgreSQL and of DuckDB, whose values are bound.
Pages go on behind the place of the last row in the order, so that nothing is left out or comes
twice while rows come and go before it. The order always ends with the key, or of a table without
one with all columns; of rows that are the same in all of them, the place counts those that were
there already.
"""

import csv
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial
from typing import Any
from urllib.parse import quote, urlencode

import sqlalchemy as sa
from pydantic import BaseModel, Field
from starlette.datastructures import QueryParams

from warehouse_assets.api.request import (
    cursor_of,
    day_of,
    kind_of,
    not_a_cursor,
    read_cursor,
    refused,
)
from warehouse_assets.tables import column_names, key_names
from warehouse_assets.times import read_time

ROWS_ON_A_PAGE = 100
MOST_ROWS_ON_A_PAGE = 1000
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


class ColumnDescription(BaseModel):
    """A column of a table or an answer."""

    name: str
    type: str | None = Field(description="text, day, time, number …; null where SQL decides.")
    description: str | None


def described(columns: Iterable[sa.Column[Any]]) -> list[dict[str, str | None]]:
    """Columns, each as a `ColumnDescription` has it."""
    return [
        {
            "name": str(column.name),
            "type": KINDS[column.type.python_type],
            "description": column.comment,
        }
        for column in columns
    ]


def address_of(table: sa.Table, **conditions: str) -> str:
    """Where the rows of a table are that meet conditions, by the names of their parameters."""
    query = f"?{urlencode(conditions)}" if conditions else ""
    return f"/tables/{quote(str(table.name))}{query}"


class Selecting(BaseModel, extra="allow"):
    """What may be said behind the `?` of rows, besides conditions on their columns."""

    select: str | None = Field(None, description="The columns wanted, with commas between them.")
    order: str | None = Field(
        None, description="Columns to sort by, each maybe with `.desc`; null comes last."
    )
    limit: int | None = Field(
        None,
        ge=1,
        le=MOST_ROWS_ON_A_PAGE,
        description=f"Rows on a page, by default {ROWS_ON_A_PAGE}; of files by default all.",
    )
    after: str | None = Field(None, description="`next` of the page before, in the same order.")
    as_of: str | None = Field(
        None,
        description="As it was published then: a time, a day (its end), the number of a version, "
        "or a label.",
        examples=["2026-11-20T10:00:00Z"],
    )


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


@dataclass(frozen=True)
class Selection:
    """The rows and columns of a table that a request wants.

    Args:
        columns: those that are wanted.
        order: columns by which rows are sorted, and whether from the greatest to the least. No two
            rows are the same in all of them, or only those that are the same in everything.
        place: what the last row of the page before has in the columns of `order`; and how many such
            rows were there already.
    """

    table: sa.Table
    columns: Sequence[sa.Column[Any]]
    conditions: Sequence[Condition]
    order: Sequence[tuple[sa.Column[Any], bool]]
    place: Sequence[Any] | None = None
    passed: int = 0

    @classmethod
    def of(cls, table: sa.Table, said: Selecting, sent: QueryParams) -> "Selection":
        """What a request says.

        Args:
            said: the parameters that every table has; others are `sent`, too.

        Raises:
            Refusal: something that it says cannot be used.
        """
        errors: dict[str, str] = {}
        read: dict[str, Any] = {"select": [], "order": []}
        for name, times in Counter(name for name, _ in sent.multi_items()).items():
            if times > 1:
                errors[name] = f"The parameter {name!r} is there {times} times; give it once."
        readers: dict[str, Callable[[], Any]] = {
            "select": lambda: _columns(table, said.select),
            "order": lambda: _order(table, said.order),
        }
        for name in (name for name in sent if name not in type(said).model_fields):
            readers[name] = partial(_condition, table, name, sent[name])
        for name, reader in readers.items():
            try:
                read[name] = reader()
            except ValueError as error:
                errors.setdefault(name, str(error))
        if errors:
            raise refused(errors)
        columns, order, *conditions = read.values()
        found = cls(table, columns, conditions, order)
        return found if said.after is None else found.behind(said.after)

    def behind(self, cursor: str) -> "Selection":
        """The same behind the place of a cursor.

        Raises:
            Refusal: it is none of this order.
        """
        kinds = [str, int, *(kind_of(column) for column, _ in self.order)]
        order, passed, *place = read_cursor(cursor, kinds)
        if order != self.order_text or passed < 0:
            raise not_a_cursor(" in this order")
        return replace(self, place=tuple(place), passed=passed)

    @property
    def names(self) -> list[str]:
        """The names of the columns that are wanted."""
        return [str(column.name) for column in self.columns]

    @property
    def _is_order_asked(self) -> bool:
        return [column for column, _ in self.order] != list(self.table.columns)

    @property
    def order_text(self) -> str:
        """The order as a request says it."""
        return ",".join(f"{c.name}.desc" if is_desc else str(c.name) for c, is_desc in self.order)

    def query(self, dialect: str, limit: int | None = None) -> sa.Select[Any]:
        """The statement: the wanted columns, and those of the order behind them, of `limit` rows.

        Args:
            dialect: `sqlite`, `postgresql` or `duckdb`.
        """
        places = [column.label(f"_{n}") for n, (column, _) in enumerate(self.order)]
        query = sa.select(*self.columns, *places)
        query = query.where(*(condition.sql(dialect) for condition in self.conditions))
        # To sort all of a table without a key is work that nobody asked for.
        is_sorted = limit is not None or self.table.primary_key or self._is_order_asked
        for column, is_desc in self.order if is_sorted else ():
            if column.nullable:
                query = query.order_by(column.is_(None))
            query = query.order_by(column.desc() if is_desc else column)
        if self.place is not None:
            query = query.where(self._is_behind(self.place)).offset(self.passed or None)
        return query.limit(limit)

    def page(
        self, rows: Sequence[Sequence[Any]], limit: int
    ) -> tuple[Sequence[Sequence[Any]], str | None]:
        """The wanted columns of the first `limit` rows, and the cursor of what is behind them.

        Args:
            rows: of `query`, one more than `limit` if there are so many.
        """
        width = len(self.columns)
        page = [tuple(row[:width]) for row in rows[:limit]]
        if len(rows) <= limit:
            return page, None
        places = [tuple(row[width:]) for row in rows[:limit]]
        passed = 0
        if not self.table.primary_key:
            passed = places.count(places[-1])
            passed += self.passed if places[-1] == self.place else 0
        return page, cursor_of([self.order_text, passed, *places[-1]])

    def _is_behind(self, place: Sequence[Any]) -> sa.ColumnElement[bool]:
        """Whether a row comes behind a place in the order, or at it if that may have several."""
        columns = [column for column, _ in self.order]
        directions = {is_desc for _, is_desc in self.order}
        has_key = bool(self.table.primary_key)
        if len(directions) == 1 and not any(column.nullable for column in columns):
            # A database finds that by an index, if it has one of these columns.
            mine, its = sa.tuple_(*columns), sa.tuple_(*place)
            if directions.pop():
                return mine < its if has_key else mine <= its
            return mine > its if has_key else mine >= its
        is_behind = sa.false() if has_key else sa.true()
        for (column, is_desc), value in reversed(list(zip(self.order, place, strict=True))):
            if value is None:  # comes last
                is_behind = column.is_(None) & is_behind
                continue
            is_later = column < value if is_desc else column > value
            if column.nullable:
                is_later |= column.is_(None)
            is_behind = is_later | ((column == value) & is_behind)
        (first, is_desc), value = self.order[0], place[0]
        if value is not None and not first.nullable:  # an index may have it
            is_behind &= first <= value if is_desc else first >= value
        return is_behind


def _condition(table: sa.Table, name: str, text: str) -> Condition:
    """The condition that a parameter asks for.

    Raises:
        ValueError: there is no such column or operator, or the value is none of the column's type.
    """
    column_name, _, operator = name.partition(".")
    operator = operator or "eq"
    names = column_names(table)
    if column_name not in names:
        raise ValueError(
            f"There is no parameter or column {column_name!r} of {table.name}; there are: "
            f"{', '.join(Selecting.model_fields)}, format, and the columns {', '.join(names)}."
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


def _check_columns(table: sa.Table, named: Iterable[str]) -> None:
    """Raise a ValueError if the table has not all columns that are named."""
    names = column_names(table)
    if unknown := [name for name in named if name not in names]:
        raise ValueError(f"There is no column {unknown[0]!r}; there are: {', '.join(names)}.")


def _columns(table: sa.Table, text: str | None) -> list[sa.Column[Any]]:
    """The columns that are asked for, each once, or all.

    Raises:
        ValueError: one of them is not there.
    """
    named = column_names(table) if text is None else dict.fromkeys(text.split(","))
    _check_columns(table, named)
    return [table.c[name] for name in named]


def _order(table: sa.Table, text: str | None) -> list[tuple[sa.Column[Any], bool]]:
    """The order that is asked for, or the table's own; then that of the key, or of all columns.

    Raises:
        ValueError: there is no such column or direction.
    """
    asked = text.split(",") if text is not None else table.info.get("order") or ()
    directions: dict[str, str] = {}
    for name, _, direction in (part.partition(".") for part in asked):
        directions.setdefault(name, direction)
    _check_columns(table, directions)
    if wrong := set(directions.values()) - {"", "asc", "desc"}:
        raise ValueError(f"There is no direction {min(wrong)!r}; there are: asc, desc.")
    # All in one direction can be read off an index.
    last = next(reversed(directions.values()), "")
    for name in key_names(table) or column_names(table):
        directions.setdefault(name, last)
    return [(table.c[name], direction == "desc") for name, direction in directions.items()]
