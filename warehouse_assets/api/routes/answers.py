"""The routes of the answers to what people ask: which there are, and the rows of each."""

import csv
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from typing import IO, Annotated, Any
from urllib.parse import quote, urlencode

import sqlalchemy as sa
from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, Field

from warehouse_assets.api import cursor
from warehouse_assets.api.database import Reading
from warehouse_assets.api.formats import (
    MEDIA_TYPES,
    Format,
    FormatQuery,
    in_both_formats,
    plain,
    to_csv,
    to_json,
    wanted,
)
from warehouse_assets.api.parameters import StrictRoute, check
from warehouse_assets.api.problems import Refusal, problems
from warehouse_assets.api.published import UNCHANGED, Content, answer
from warehouse_assets.catalogue import ANSWER_TABLES, QUESTIONS, Question
from warehouse_assets.tables import column_names, key_names

router = APIRouter(prefix="/answers", tags=["answers"], route_class=StrictRoute)

_ASKED: Mapping[str, sa.Table | Question] = {
    **{str(table.name): table for table in ANSWER_TABLES},
    **{question.name: question for question in QUESTIONS},
}
_ROWS_ON_A_PAGE = 100
_MOST_ROWS_ON_A_PAGE = 1000
_ROWS_AT_ONCE = 2000
_BYTES_IN_MEMORY = 4 * 1024 * 1024
_BYTES_AT_ONCE = 64 * 1024
# What a person calls the types of columns.
_KINDS: Sequence[tuple[type[Any], str]] = (
    (sa.Integer, "whole number"),
    (sa.Boolean, "boolean"),
    (sa.Double, "number"),
    (sa.DateTime, "time"),
    (sa.Date, "day"),
    (sa.Text, "text"),
)


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


_OF_LIST: Any = {
    200: {
        "content": {
            "text/csv": {
                "schema": {"type": "string"},
                "example": "name,question,address\r\n"
                "outlier_weeks,Which weeks …?,/answers/outlier_weeks\r\n",
            }
        }
    }
}
_OF_ANSWER: Any = {
    200: in_both_formats(
        {
            "name": "outlier_weeks",
            "question": "Which weeks had unusually many or few votes?",
            "columns": [
                {"name": "year", "type": "whole number", "description": "Year of the week."}
            ],
            "rows": [{"year": 2022, "week_number": 0, "votes": 1}],
            "next": None,
        },
        "year,week_number,votes\r\n2022,0,1\r\n",
        "JSON is a page; CSV has all rows if no `limit` is given.",
    ),
    **UNCHANGED,
    **problems(404, 422, 503),
}


def _description(asked: sa.Table | Question) -> dict[str, Any]:
    """What there is to know about an answer before it is asked for: an `AnswerDescription`."""
    return {
        "name": str(asked.name),
        "question": _question(asked),
        "description": asked.comment if isinstance(asked, sa.Table) else None,
        "address": f"/answers/{quote(str(asked.name))}",
        "columns": _columns(asked) if isinstance(asked, sa.Table) else [],
    }


def _question(asked: sa.Table | Question) -> str:
    return asked.text if isinstance(asked, Question) else str(asked.info["answers"])


def _columns(table: sa.Table) -> list[dict[str, str | None]]:
    """The columns of a table, each a `ColumnDescription`."""
    return [
        {
            "name": column.name,
            "type": next((word for kind, word in _KINDS if isinstance(column.type, kind)), None),
            "description": column.comment,
        }
        for column in table.columns
    ]


_DESCRIPTIONS = [_description(asked) for asked in _ASKED.values()]


@router.get("", response_model=Answers, responses=_OF_LIST)
async def answers(request: Request, said: FormatQuery = None) -> Response:
    """The answers there are, with what they answer and their columns."""
    shape = wanted(request, said)
    if shape == "csv":
        names = ("name", "question", "address")
        body = to_csv(names, [[found[name] for name in names] for found in _DESCRIPTIONS])
    else:
        body = to_json({"answers": _DESCRIPTIONS})
    headers = {"Vary": "Accept", "Cache-Control": "no-cache", "Content-Type": MEDIA_TYPES[shape]}
    return Response(body, headers=headers)


@router.get("/{name}", response_model=Rows, responses=_OF_ANSWER)
async def answer_of(
    request: Request,
    name: Annotated[str, Path(description="A name of /answers.", examples=["batch_completions"])],
    limit: Annotated[
        int | None,
        Query(
            ge=1,
            le=_MOST_ROWS_ON_A_PAGE,
            description=f"Rows on a page; by default {_ROWS_ON_A_PAGE} as JSON, all as CSV.",
        ),
    ] = None,
    after: Annotated[str | None, Query(description="`next` of the page before.")] = None,
    said: FormatQuery = None,
) -> Response:
    """The rows of an answer, in its order."""
    asked, shape = _ASKED.get(name), wanted(request, said)
    if asked is None:
        raise Refusal(404, "There is no answer of that name; /answers tells which there are.")
    if isinstance(asked, Question):  # its answer has one page
        check(request.query_params, ["format"])
        question = asked
        return await answer(
            request, question.reads, lambda reading: _of_question(reading, question, shape), shape
        )
    table, place = asked, None
    order = _order(table)
    if after is not None:
        place = cursor.decode(after, [column.type for column in order])
    query = sa.select(table).order_by(*order)
    if place is not None:
        query = query.where(sa.tuple_(*order) > sa.tuple_(*place))
    if limit is None and place is None and shape == "csv":
        return await answer(request, [table], lambda reading: _whole(reading, query, table), shape)
    most = limit or _ROWS_ON_A_PAGE

    def make(reading: Reading) -> Content:
        rows = [tuple(row) for row in reading.connection.execute(query.limit(most + 1))]
        following = link = None
        if len(rows) > most:
            end = dict(zip(column_names(table), rows[most - 1], strict=True))
            following = cursor.encode([end[column.name] for column in order])
            link = urlencode({"limit": most, "after": following})
        return _page(table, _columns(table), rows[:most], shape, following, link)

    return await answer(request, [table], make, shape)


def _order(table: sa.Table) -> list[sa.Column[Any]]:
    """The columns by which the rows are ordered; together they are of one row only."""
    named: Sequence[str] = table.info.get("order") or ()
    return [table.c[name] for name in dict.fromkeys((*named, *key_names(table)))]


def _of_question(reading: Reading, question: Question, shape: Format) -> Content:
    result = reading.connection.exec_driver_sql(question.path.read_text(encoding="utf-8"))
    names = list(result.keys())
    rows = [[_time(*pair) for pair in zip(names, row, strict=True)] for row in result]
    columns = [{"name": name, "type": None, "description": None} for name in names]
    return _page(question, columns, rows, shape)


def _page(
    asked: sa.Table | Question,
    columns: Sequence[Mapping[str, str | None]],
    rows: Iterable[Sequence[Any]],
    shape: Format,
    following: str | None = None,
    link: str | None = None,
) -> Content:
    names = [str(column["name"]) for column in columns]
    told_rows = [[plain(value) for value in row] for row in rows]
    if shape == "csv":
        return Content(to_csv(names, told_rows), MEDIA_TYPES[shape], link)
    told = {
        "name": str(asked.name),
        "question": _question(asked),
        "columns": columns,
        "rows": [dict(zip(names, row, strict=True)) for row in told_rows],
        "next": following,
    }
    return Content(to_json(told), MEDIA_TYPES[shape], link)


def _time(name: str, value: Any) -> Any:
    """A value of a question's answer; SQLite, which has no times, gives them as text."""
    is_text = isinstance(value, str) and name.endswith("_at")
    return datetime.fromisoformat(value) if is_text else value


def _whole(reading: Reading, query: sa.Select[Any], table: sa.Table) -> Response:
    """All rows as CSV, by way of a file if they are many: a slow client would hold up others."""
    with ExitStack() as stack:
        spool = stack.enter_context(
            tempfile.SpooledTemporaryFile(_BYTES_IN_MEMORY, "w+", encoding="utf-8", newline="")
        )
        writer = csv.writer(spool)
        writer.writerow(column_names(table))
        connection = reading.connection.execution_options(yield_per=_ROWS_AT_ONCE)
        for row in connection.execute(query):
            writer.writerow([plain(value) for value in row])
        spool.seek(0)
        return StreamingResponse(
            _pieces(spool, stack.pop_all()), headers={"Content-Type": MEDIA_TYPES["csv"]}
        )


def _pieces(spool: IO[str], open_files: ExitStack) -> Iterator[str]:
    with open_files:
        while piece := spool.read(_BYTES_AT_ONCE):
            yield piece
