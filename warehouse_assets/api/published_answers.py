"""The routes of the answers to what people ask: which there are, and the rows of each."""

import csv
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from typing import IO, Annotated, Any
from urllib.parse import urlencode

import sqlalchemy as sa
from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response, StreamingResponse

from warehouse_assets.api.answers_described import (
    LIST_AS_CSV,
    ROWS_AS_CSV,
    ROWS_EXAMPLE,
    Answers,
    ColumnDescription,
    Rows,
    columns_of,
    description_of,
)
from warehouse_assets.api.answers_paged import cursor, place_of, plain, query
from warehouse_assets.api.deps import TheWarehouse
from warehouse_assets.api.parameters import check
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
from warehouse_assets.schema import column_names

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

_OF_ANSWER: Any = {
    200: described(
        ROWS_EXAMPLE, ROWS_AS_CSV, "JSON is a page; CSV has all rows if no `limit` is given."
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
                "text/csv": {"schema": {"type": "string"}, "example": LIST_AS_CSV},
            }
        }
    },
)
def answers(shape: TheShape) -> Response:
    """The answers there are, with what they answer and their columns."""
    found = [description_of(asked) for asked in _ASKED.values()]
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
    if isinstance(asked, Question):  # its answer has one page
        check(request.query_params, ["format"])
    place = None if after is None or isinstance(asked, Question) else place_of(asked, after)
    if shape == "json" or place is not None:
        limit = limit or _ROWS_ON_A_PAGE
    with reading(request, warehouse, tables, shape) as found:
        if isinstance(asked, Question):
            result = found.connection.exec_driver_sql(asked.path.read_text(encoding="utf-8"))
            names = list(result.keys())
        else:
            result = found.connection.execution_options(yield_per=_ROWS_AT_ONCE).execute(
                query(asked, place, None if limit is None else limit + 1)
            )
            names = column_names(asked)
        if limit is None and not isinstance(asked, Question):
            return _whole_as_csv(names, result, found.headers)
        rows = [tuple(row) for row in result.fetchall()]
    if isinstance(asked, Question):
        return _page(asked, names, rows, None, shape, found.headers)
    following = cursor(asked, rows[limit - 1]) if limit and len(rows) > limit else None
    headers = dict(found.headers)
    if following:
        headers["Link"] = f'<?{urlencode({"limit": limit, "after": following})}>; rel="next"'
    return _page(asked, names, rows[:limit], following, shape, headers)


def _page(
    asked: sa.Table | Question,
    names: Sequence[str],
    rows: Sequence[Sequence[Any]],
    following: str | None,
    shape: Shape,
    headers: Mapping[str, str],
) -> Response:
    if isinstance(asked, Question):
        rows = [[_time(*pair) for pair in zip(names, row, strict=True)] for row in rows]
    told_rows = [[plain(value) for value in row] for row in rows]
    if shape == "csv":
        return response(to_csv(names, told_rows), shape, headers)
    if isinstance(asked, Question):
        columns = [ColumnDescription(name=name, type=None, description=None) for name in names]
        question = asked.text
    else:
        columns, question = columns_of(asked), asked.info["answers"]
    told = {
        "name": str(asked.name),
        "question": question,
        "columns": [column.model_dump() for column in columns],
        "rows": [dict(zip(names, row, strict=True)) for row in told_rows],
        "next": following,
    }
    return response(to_json(told), shape, headers)


def _time(name: str, value: Any) -> Any:
    """A value of a question's answer; SQLite, which has no times, gives them as text."""
    is_text = isinstance(value, str) and name.endswith("_at")
    return datetime.fromisoformat(value) if is_text else value


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
            writer.writerow([plain(value) for value in row])
        spool.seek(0)
        return StreamingResponse(
            _pieces(spool, stack.pop_all()),
            headers={**headers, "Content-Type": MEDIA_TYPES["csv"]},
        )


def _pieces(spool: IO[str], open_files: ExitStack) -> Iterator[str]:
    with open_files:
        while piece := spool.read(_BYTES_AT_ONCE):
            yield piece
