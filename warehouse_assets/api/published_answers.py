"""The tables and questions that answer what people ask: which there are, and their rows."""

import base64
import csv
import json
import math
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import date, datetime
from decimal import Decimal
from typing import IO, Annotated, Any
from urllib.parse import quote, urlencode

import sqlalchemy as sa
from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, Field

from warehouse_assets.api.deps import TheWarehouse
from warehouse_assets.api.problems import Refusal, problems
from warehouse_assets.api.shapes import (
    MEDIA_TYPES,
    Shape,
    TheShape,
    described,
    response,
    to_csv,
    to_json,
)
from warehouse_assets.api.validators import UNCHANGED, reading
from warehouse_assets.catalogue import ANSWER_TABLES, QUESTIONS, Question
from warehouse_assets.schema import column_names, key_names

router = APIRouter(prefix="/answers", tags=["answers"])

_ASKED: Mapping[str, sa.Table | Question] = {
    **{str(table.name): table for table in ANSWER_TABLES},
    **{question.name: question for question in QUESTIONS},
}
_ROWS_ON_A_PAGE = 100
_MOST_ROWS_ON_A_PAGE = 1000
_ROWS_AT_ONCE = 2000
_BYTES_IN_MEMORY = 4 * 1024 * 1024
_BYTES_AT_ONCE = 64 * 1024
_LONGEST_CURSOR = 10_000
_LARGEST = (1 << 63) - 1
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


_EXAMPLE = {
    "name": "outlier_weeks",
    "question": "Which weeks had unusually many or few votes?",
    "columns": [{"name": "year", "type": "whole number", "description": "Year of the week."}],
    "rows": [{"year": 2022, "week_number": 0, "votes": 1}],
    "next": None,
}
_CSV_EXAMPLE = "year,week_number,votes\r\n2022,0,1\r\n"
_LIST_EXAMPLE = "name,question,address\r\noutlier_weeks,Which weeks …?,/answers/outlier_weeks\r\n"
_OF_ANSWER: Any = {
    200: described(
        _EXAMPLE, _CSV_EXAMPLE, "JSON is a page; CSV has all rows if no `limit` is given."
    ),
    **UNCHANGED,
    **problems(404, 422, 503),
}


@router.get(
    "",
    response_model=Answers,
    responses={
        200: {
            "content": {
                "text/csv": {"schema": {"type": "string"}, "example": _LIST_EXAMPLE},
            }
        }
    },
)
def answers(shape: TheShape) -> Response:
    """The answers there are, with what they answer and their columns."""
    found = [_description(asked) for asked in _ASKED.values()]
    headers = {"Vary": "Accept", "Cache-Control": "no-cache"}
    if shape == "csv":
        names = ("name", "question", "address")
        rows = [[getattr(answer, name) for name in names] for answer in found]
        return response(to_csv(names, rows), shape, headers)
    return response(to_json(Answers(answers=found).model_dump()), shape, headers)


@router.get("/{name}", response_model=Rows, responses=_OF_ANSWER)
def answer(
    request: Request,
    warehouse: TheWarehouse,
    name: Annotated[str, Path(description="A name of /answers.", examples=["batch_completions"])],
    shape: TheShape,
    limit: Annotated[
        int | None,
        Query(
            ge=1,
            le=_MOST_ROWS_ON_A_PAGE,
            description=f"Rows on a page; by default {_ROWS_ON_A_PAGE} as JSON, all as CSV.",
        ),
    ] = None,
    after: Annotated[str | None, Query(description="`next` of the page before.")] = None,
) -> Response:
    """The rows of an answer, in its order."""
    asked = _ASKED.get(name)
    if asked is None:
        raise Refusal(404, "There is no answer of that name; /answers tells which there are.")
    tables = list(asked.reads) if isinstance(asked, Question) else [asked]
    if isinstance(asked, Question) and after is not None:
        raise Refusal(422, "The answer to a question has one page.", "after")
    place = None if after is None or isinstance(asked, Question) else _place(asked, after)
    if shape == "json" or place is not None:
        limit = limit or _ROWS_ON_A_PAGE
    with reading(request, warehouse, tables, shape) as found:
        if isinstance(asked, Question):
            result = found.connection.exec_driver_sql(asked.path.read_text(encoding="utf-8"))
            names = list(result.keys())
        else:
            result = found.connection.execution_options(yield_per=_ROWS_AT_ONCE).execute(
                _query(asked, place, None if limit is None else limit + 1)
            )
            names = column_names(asked)
        if limit is None:
            return _whole_as_csv(names, result, found.headers)
        rows = [tuple(row) for row in result.fetchall()]
    if isinstance(asked, Question):
        return _page(asked, names, rows, None, shape, found.headers)
    following = _cursor(asked, rows[limit - 1]) if len(rows) > limit else None
    headers = dict(found.headers)
    if following:
        headers["Link"] = f'<?{urlencode({"limit": limit, "after": following})}>; rel="next"'
    return _page(asked, names, rows[:limit], following, shape, headers)


def _description(asked: sa.Table | Question) -> AnswerDescription:
    if isinstance(asked, Question):
        return AnswerDescription(
            name=asked.name,
            question=asked.text,
            description=None,
            address=f"/answers/{quote(asked.name)}",
            columns=[],
        )
    name = str(asked.name)
    return AnswerDescription(
        name=name,
        question=asked.info["answers"],
        description=asked.comment,
        address=f"/answers/{quote(name)}",
        columns=_columns(asked),
    )


def _columns(table: sa.Table) -> list[ColumnDescription]:
    return [
        ColumnDescription(
            name=column.name,
            type=next((word for kind, word in _KINDS if isinstance(column.type, kind)), None),
            description=column.comment,
        )
        for column in table.columns
    ]


def _order(table: sa.Table) -> list[str]:
    """The columns by which the rows are ordered; together they are of one row only."""
    named: Sequence[str] = table.info.get("order") or ()
    return [*named, *(key for key in key_names(table) if key not in named)]


def _query(
    table: sa.Table, place: Sequence[Any] | None, limit: int | None
) -> sa.Select[tuple[Any, ...]]:
    columns = [table.c[name] for name in _order(table)]
    query = sa.select(table).order_by(*columns).limit(limit)
    return query if place is None else query.where(sa.tuple_(*columns) > sa.tuple_(*place))


def _page(
    asked: sa.Table | Question,
    names: Sequence[str],
    rows: Sequence[Sequence[Any]],
    following: str | None,
    shape: Shape,
    headers: Mapping[str, str],
) -> Response:
    plain = [[_plain(value) for value in row] for row in rows]
    if shape == "csv":
        return response(to_csv(names, plain), shape, headers)
    if isinstance(asked, Question):
        columns = [ColumnDescription(name=name, type=None, description=None) for name in names]
        question = asked.text
    else:
        columns, question = _columns(asked), asked.info["answers"]
    told = {
        "name": str(asked.name),
        "question": question,
        "columns": [column.model_dump() for column in columns],
        "rows": [dict(zip(names, row, strict=True)) for row in plain],
        "next": following,
    }
    return response(to_json(told), shape, headers)


def _whole_as_csv(
    names: Sequence[str], rows: Iterable[Sequence[Any]], headers: Mapping[str, str]
) -> Response:
    """All rows, by way of a file if they are many: a slow client would hold up the database."""
    with ExitStack() as stack:
        spool = stack.enter_context(
            tempfile.SpooledTemporaryFile(_BYTES_IN_MEMORY, "w+", encoding="utf-8", newline="")
        )
        writer = csv.writer(spool)
        writer.writerow(names)
        for row in rows:
            writer.writerow([_plain(value) for value in row])
        spool.seek(0)
        return StreamingResponse(
            _pieces(spool, stack.pop_all()),
            headers={**headers, "Content-Type": MEDIA_TYPES["csv"]},
        )


def _pieces(spool: IO[str], open_files: ExitStack) -> Iterator[str]:
    with open_files:
        while piece := spool.read(_BYTES_AT_ONCE):
            yield piece


def _plain(value: Any) -> Any:
    """A value as JSON has it: times are text, and what is no number is null."""
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _cursor(table: sa.Table, row: Sequence[Any]) -> str:
    values = dict(zip(column_names(table), row, strict=True))
    text = json.dumps([_plain(values[name]) for name in _order(table)])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _place(table: sa.Table, cursor: str) -> list[Any]:
    names = _order(table)
    try:
        found = json.loads(base64.urlsafe_b64decode(cursor[:_LONGEST_CURSOR].encode() + b"=="))
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
