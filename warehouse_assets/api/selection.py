"""Which rows and columns of a table a request wants: what is behind the `?`, and the SQL for it.

    region=Prague  week_start.gte=2019-01-01     a condition; all of them have to hold
    select=region,trips    order=trips.desc,region    limit=100    after=CURSOR

The same selection is a statement of SQLite, of PostgreSQL and of DuckDB, whose values are bound.
Pages go on behind the place of the last row in the order, so that nothing is left out or comes
twice while rows come and go before it. The order always ends with the key, or of a table without
one with all columns; of rows that are the same in all of them, the place counts those that were
there already.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import quote, urlencode

import sqlalchemy as sa
from fastapi import Request
from pydantic import BaseModel, Field
from starlette.datastructures import QueryParams

from warehouse_assets.api.conditions import KINDS, Condition, condition
from warehouse_assets.api.request import (
    AsOf,
    cursor_of,
    kind_of,
    not_a_cursor,
    read_cursor,
    refused,
    repeated,
)
from warehouse_assets.tables import column_names, key_names

ROWS_ON_A_PAGE = 100
MOST_ROWS_ON_A_PAGE = 1000


EXAMPLE_ROWS: Any = Field(
    description="Rows, each with the columns wanted.",
    examples=[[{"region": "Prague", "week_start": "2018-05-28", "trips": 9}]],
)


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


def url_of(request: Request, table: sa.Table, **conditions: str) -> str:
    """Where the rows of a table are that meet conditions, by the names of their parameters."""
    query = f"?{urlencode(conditions)}" if conditions else ""
    return f"{request.scope['root_path']}/tables/{quote(str(table.name))}{query}"


class Selecting(AsOf, extra="allow"):
    """What may be said behind the `?` of rows, besides conditions on their columns."""

    select: str | None = Field(
        None,
        description="The columns wanted, with commas between them.",
        examples=["region,trips"],
    )
    order: str | None = Field(
        None,
        description="Columns to sort by, each maybe with `.desc`; null comes last.",
        examples=["trips.desc,region"],
    )
    limit: int | None = Field(
        None,
        ge=1,
        le=MOST_ROWS_ON_A_PAGE,
        description=f"Rows on a page, by default {ROWS_ON_A_PAGE}; of files by default all.",
    )
    after: str | None = Field(None, description="`next` of the page before, in the same order.")


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
        errors, read = repeated(sent), dict[str, Any](select=[], order=[])
        readers: dict[str, Callable[[], Any]] = {
            "select": lambda: _columns(table, said.select),
            "order": lambda: _order(table, said.order),
        }
        for name in (name for name in sent if name not in type(said).model_fields):
            readers[name] = partial(condition, table, name, sent[name], type(said).model_fields)
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
    def is_of_one_row(self) -> bool:
        """Whether its conditions give the whole key, by which the row is found at once."""
        given = {found.column for found in self.conditions if found.operator == "eq"}
        return bool(self.table.primary_key) and given.issuperset(self.table.primary_key)

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
