"""The routes of the answers to what people ask: which there are, and the rows of each."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import quote

import sqlalchemy as sa
from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from warehouse_assets.api.conditions import FILTERS
from warehouse_assets.api.database import PastReading, Reading
from warehouse_assets.api.formats import Format, Formatted, wanted
from warehouse_assets.api.problems import Refusal
from warehouse_assets.api.request import StrictRoute, check
from warehouse_assets.api.response import (
    answer_as_of,
    formatted,
    in_both_formats,
    in_formats,
)
from warehouse_assets.api.selection import (
    EXAMPLE_ROWS,
    ColumnDescription,
    Selecting,
    Selection,
    described,
    url_of,
)
from warehouse_assets.api.service import service_of
from warehouse_assets.api.table_rows import answer_of_rows
from warehouse_assets.catalogue import ANSWER_TABLES, QUESTIONS, question_of, reads_of
from warehouse_assets.history.as_of import fetch
from warehouse_assets.questions import Question
from warehouse_assets.values import plain

router = APIRouter(prefix="/answers", tags=["answers"], route_class=StrictRoute)

_ASKED: Mapping[str, sa.Table | Question] = {
    **{str(table.name): table for table in ANSWER_TABLES},
    **{question.name: question for question in QUESTIONS},
}
_FORMATS: Sequence[Format] = ("json", "csv", "ndjson", "parquet", "arrow")
_OF_QUESTION: Sequence[Format] = ("json", "csv", "ndjson")


class AnswerDescription(BaseModel):
    """An answer that can be asked for."""

    name: str = Field(examples=["batch_completions"])
    question: str = Field(description="What it answers.")
    description: str | None = Field(description="What its rows are.")
    url: str = Field(description="Where it is.")
    chart: str | None = Field(description="Where its chart is specified; null if it has none.")
    tables: list[str] = Field(description="Where the rows are that it is made of.")
    columns: list[ColumnDescription] = Field(
        description="Its columns; none where they follow from the SQL of a question."
    )


class Answers(BaseModel):
    """The answers that can be asked for."""

    items: list[AnswerDescription]
    next: None = Field(None, description="All are on one page.")


class Rows(BaseModel):
    """Rows of an answer."""

    name: str
    question: str
    columns: list[ColumnDescription]
    items: list[dict[str, Any]] = EXAMPLE_ROWS
    next: str | None = Field(description="`after` of the next page; null on the last one.")


_OF_LIST = in_both_formats(
    "name,question,url\r\noutlier_weeks,Which weeks …?,/v1/answers/outlier_weeks\r\n",
    "The answers there are.",
)
_OF_ANSWER = in_formats(
    _FORMATS, "JSON is a page; a file of another format has all rows if no `limit` is given."
)


class _Page(Selecting):
    """What may be said behind the `?` of an answer."""

    format: Literal["json", "csv", "ndjson", "parquet", "arrow"] | None = Field(
        None, description="Format of the answer; by default what `Accept` says."
    )


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
    names = ("name", "question", "url")
    told = [
        {
            "name": name,
            "question": question_of(asked, service_of(request).settings),
            "description": asked.comment if isinstance(asked, sa.Table) else None,
            "url": f"{request.scope['root_path']}/answers/{quote(name)}",
            "chart": _chart_of(request, asked),
            "tables": [url_of(request, table) for table in reads_of(asked)],
            "columns": described(asked.columns) if isinstance(asked, sa.Table) else [],
        }
        for name, asked in _ASKED.items()
    ]
    rows = ([found[name] for name in names] for found in told)
    return formatted(request, said.wanted(request), {"items": told, "next": None}, names, rows)


def _chart_of(request: Request, asked: sa.Table | Question) -> str | None:
    is_drawn = asked.chart if isinstance(asked, Question) else asked.info.get("chart")
    return (
        f"{request.scope['root_path']}/answers/{quote(str(asked.name))}/chart.json"
        if is_drawn
        else None
    )


@router.get("/{name}", response_model=Rows, responses=_OF_ANSWER, openapi_extra=FILTERS)
async def answer_of(
    request: Request,
    name: Annotated[str, Path(description="A name of /answers.", examples=["weekly_trips"])],
    said: Annotated[_Page, Query()],
) -> Response:
    """The rows of an answer, in its order."""
    asked = answer_called(name)
    if isinstance(asked, Question):
        return await _answer_of_question(request, asked, said)
    table, format_ = asked, wanted(request, said.format, _FORMATS)
    selection = Selection.of(table, said, request.query_params)

    def show(rows: Sequence[Sequence[Any]], following: str | None) -> Response:
        return _page_of(request, "json", table, described(selection.columns), rows, following)

    return await answer_of_rows(request, format_, selection, said, show)


async def _answer_of_question(request: Request, question: Question, said: _Page) -> Response:
    check(request.query_params, ["format", "as_of"])  # its answer has one page
    format_ = wanted(request, said.format, _OF_QUESTION)

    def make(reading: Reading | PastReading) -> Response:
        names, found = fetch(reading.connection, question.sql)
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
        "items": [dict(zip(names, map(plain, row), strict=True)) for row in rows],
        "next": following,
    }
    return formatted(request, format_, told, names, rows, following)
