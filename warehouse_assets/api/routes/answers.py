"""The routes of the answers to what people ask: which there are, and the rows of each."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any
from urllib.parse import quote

import sqlalchemy as sa
from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from warehouse_assets.api.problems import PROBLEMS, Refusal
from warehouse_assets.api.request import StrictRoute, check, cursor_of, kind_of, read_cursor
from warehouse_assets.api.response import (
    Connection,
    Format,
    Formatted,
    answer_as_of,
    formatted,
    in_both_formats,
    long_csv,
    plain,
)
from warehouse_assets.api.service import service_of
from warehouse_assets.catalogue import ANSWER_TABLES, QUESTIONS, order_of, question_of
from warehouse_assets.history.as_of import fetch
from warehouse_assets.tables import Question, column_names

router = APIRouter(prefix="/answers", tags=["answers"], route_class=StrictRoute, responses=PROBLEMS)

_ASKED: Mapping[str, sa.Table | Question] = {
    **{str(table.name): table for table in ANSWER_TABLES},
    **{question.name: question for question in QUESTIONS},
}
_ROWS_ON_A_PAGE = 100
_ROWS_AT_ONCE = 2000
# What a person calls the types of columns.
_KINDS: Mapping[type[Any], str] = {
    int: "whole number",
    bool: "boolean",
    float: "number",
    datetime: "time",
    date: "day",
    str: "text",
}


class ColumnDescription(BaseModel):
    """A column of an answer."""

    name: str
    type: str | None = Field(description="text, day, time, number …; null where SQL decides.")
    description: str | None


class AnswerDescription(BaseModel):
    """An answer that can be asked for."""

    name: str = Field(examples=["batch_completions"])
    question: str = Field(description="What it answers.")
    description: str | None = Field(description="What its rows are.")
    address: str = Field(description="Where it is.")
    columns: list[ColumnDescription] = Field(
        description="Its columns; none where they follow from the SQL of a question."
    )


class Answers(BaseModel):
    """The answers that can be asked for."""

    answers: list[AnswerDescription]


class Rows(BaseModel):
    """Rows of an answer."""

    name: str
    question: str
    columns: list[ColumnDescription]
    rows: list[dict[str, Any]]
    next: str | None = Field(description="`after` of the next page; null on the last one.")


_OF_LIST = in_both_formats(
    "name,question,address\r\noutlier_weeks,Which weeks …?,/answers/outlier_weeks\r\n",
    "The answers there are.",
)
_OF_ANSWER = in_both_formats(
    "year,week_number,votes\r\n2022,0,1\r\n",
    "JSON is a page; CSV has all rows if no `limit` is given.",
)


class _Page(Formatted):
    """What may be said behind the `?` of an answer."""

    limit: int | None = Field(
        None,
        ge=1,
        le=1000,
        description=f"Rows on a page; by default {_ROWS_ON_A_PAGE} as JSON, all as CSV.",
    )
    after: str | None = Field(None, description="`next` of the page before.")
    as_of: str | None = Field(
        None,
        description="As it was published then: a time, a day (its end), the number of a version, "
        "or a label.",
        examples=["2026-11-20T10:00:00Z"],
    )


def _columns(asked: sa.Table | Question) -> list[dict[str, str | None]]:
    """The columns of a table, each a `ColumnDescription`; those of a question follow from SQL."""
    return [
        {
            "name": str(column.name),
            "type": _KINDS[column.type.python_type],
            "description": column.comment,
        }
        for column in (asked.columns if isinstance(asked, sa.Table) else ())
    ]


def answer_called(name: str) -> sa.Table | Question:
    """The answer of a name.

    Raises:
        Refusal: there is none.
    """
    if name not in _ASKED:
        raise Refusal(404, "There is no answer of that name; /answers tells which there are.")
    return _ASKED[name]


@router.get("", response_model=Answers, responses=_OF_LIST)
async def answers(request: Request, said: Annotated[Formatted, Query()]) -> Response:
    """The answers there are, with what they answer and their columns."""
    names = ("name", "question", "address")
    told = [
        {
            "name": name,
            "question": question_of(asked, service_of(request).settings),
            "description": asked.comment if isinstance(asked, sa.Table) else None,
            "address": f"/answers/{quote(name)}",
            "columns": _columns(asked),
        }
        for name, asked in _ASKED.items()
    ]
    rows = ([found[name] for name in names] for found in told)
    return formatted(request, said.wanted(request), {"answers": told}, names, rows)


@router.get("/{name}", response_model=Rows, responses=_OF_ANSWER)
async def answer_of(
    request: Request,
    name: Annotated[str, Path(description="A name of /answers.", examples=["batch_completions"])],
    said: Annotated[_Page, Query()],
) -> Response:
    """The rows of an answer, in its order."""
    asked = answer_called(name)
    if isinstance(asked, Question):
        return await _answer_of_question(request, asked, said)
    table, format_, limit = asked, said.wanted(request), said.limit or _ROWS_ON_A_PAGE
    order = order_of(table)
    query = sa.select(table).order_by(*order)
    if said.after is not None:
        place = read_cursor(said.after, map(kind_of, order))
        query = query.where(sa.tuple_(*order) > sa.tuple_(*place))

    def make(connection: Connection) -> Response:
        if format_ == "csv" and said.limit is None and said.after is None:
            if isinstance(connection, sa.Connection):
                many: Any = connection.execution_options(yield_per=_ROWS_AT_ONCE).execute(query)
            else:
                _, many = fetch(connection, query)
            return long_csv(request, column_names(table), many)
        _, rows = fetch(connection, query.limit(limit + 1))
        following = None
        if len(rows) > limit:
            end = dict(zip(column_names(table), rows[limit - 1], strict=True))
            following = cursor_of([end[column.name] for column in order])
        return _page_of(request, format_, table, _columns(table), rows[:limit], following)

    return await answer_as_of(request, [table], said.as_of, make)


async def _answer_of_question(request: Request, question: Question, said: _Page) -> Response:
    check(request.query_params, ["format", "as_of"])  # its answer has one page
    format_ = said.wanted(request)

    def make(connection: Connection) -> Response:
        names, found = fetch(connection, question.sql)
        rows = [[_value(*pair) for pair in zip(names, row, strict=True)] for row in found]
        columns = [{"name": name, "type": None, "description": None} for name in names]
        return _page_of(request, format_, question, columns, rows)

    return await answer_as_of(request, question.reads, said.as_of, make)


def _value(name: str, value: Any) -> Any:
    """A value of a question's answer; SQLite, which has no times, gives them as text."""
    is_text = isinstance(value, str) and name.endswith("_at")
    return datetime.fromisoformat(value) if is_text else value


def _page_of(
    request: Request,
    format_: Format,
    asked: sa.Table | Question,
    columns: Sequence[Mapping[str, str | None]],
    rows: Sequence[Sequence[Any]],
    following: str | None = None,
) -> Response:
    """A page of rows: as JSON a `Rows`."""
    names = [str(column["name"]) for column in columns]
    told = {
        "name": str(asked.name),
        "question": question_of(asked, service_of(request).settings),
        "columns": columns,
        "rows": [dict(zip(names, map(plain, row), strict=True)) for row in rows],
        "next": following,
    }
    return formatted(request, format_, told, names, rows, following)
