"""The routes of charts: an answer as a picture, or as a specification that a page draws."""

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import pydantic_core
import sqlalchemy as sa
from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from warehouse_assets import charts
from warehouse_assets.api.conditions import FILTERS
from warehouse_assets.api.database import PastReading, Reading
from warehouse_assets.api.pictures import (
    KIND,
    OF_CHART,
    Styled,
    drawn,
    kind_called,
    specification_sent,
)
from warehouse_assets.api.problems import Refusal
from warehouse_assets.api.request import StrictRoute, check
from warehouse_assets.api.response import answer_as_of
from warehouse_assets.api.routes.answers import answer_called
from warehouse_assets.api.selection import Selecting, Selection
from warehouse_assets.api.service import service_of
from warehouse_assets.catalogue import ASKED
from warehouse_assets.drawing import Asked, chart_of, specified, tables_drawn, title_of
from warehouse_assets.errors import UsageError
from warehouse_assets.questions import Question

router = APIRouter(prefix="/answers", tags=["answers"], route_class=StrictRoute)


class _Drawn(Selecting, Styled):
    """What may be said behind the `?` of a chart."""


@router.get(
    "/{name}/chart.{kind}", response_class=Response, responses=OF_CHART, openapi_extra=FILTERS
)
async def chart(
    request: Request,
    name: Annotated[str, Path(description="A name of /answers.", examples=["weekly_trips"])],
    kind: KIND,
    said: Annotated[_Drawn, Query()],
) -> Response:
    """The chart of an answer, of the rows that meet the conditions.

    As JSON, the specification has the addresses of these rows.
    """
    asked = answer_called(name)
    selection = _selection(request, asked, said)
    wanted, settings = kind_called(kind), service_of(request).settings
    try:
        tables = tables_drawn(asked)
    except UsageError as error:
        raise Refusal(404, str(error)) from None
    if wanted == "json":
        return specification_sent(request, _described(request, asked, said))

    def make(reading: Reading | PastReading) -> Response:
        spec = specified(
            reading.connection,
            asked,
            settings,
            said.style,
            rows=selection.query(reading.dialect) if selection else None,
            limit=said.limit,
            notes=[f"As of {said.as_of}."] if said.as_of else [],
        )
        return specification_sent(request, spec)

    made = await answer_as_of(request, tables, said.as_of, make)
    return await drawn(request, made, wanted)


def _selection(request: Request, asked: Asked, said: _Drawn) -> Selection | None:
    """The rows that are wanted of a table; None of a question, whose answer has all.

    Raises:
        Refusal: something that is said cannot be used.
    """
    if isinstance(asked, Question):
        check(request.query_params, ["as_of", *Styled.model_fields])
        return None
    selection = Selection.of(asked, said, request.query_params)
    if said.select is not None:
        raise Refusal(422, "A chart has the columns that it shows; name none.", "select")
    return selection


def _described(request: Request, asked: Asked, said: _Drawn) -> bytes:
    """The specification whose data are where the rows are."""
    query = {k: v for k, v in request.query_params.items() if k not in Styled.model_fields}
    chart, note, root = chart_of(asked), "", request.scope["root_path"]
    if (first := charts.first_rows(chart)) is not None:
        query.setdefault("limit", str(first))
    if "limit" in query:
        note = f"At most the first {int(query['limit']):,} rows."

    def data(table: str | None) -> dict[str, Any]:
        if table is not None:
            moment = {"as_of": said.as_of} if said.as_of else {}
            return _data_at(f"{root}/tables/{quote(table)}", moment, ASKED[table])
        return _data_at(f"{root}/answers/{quote(str(asked.name))}", query, asked)

    title = title_of(asked, service_of(request).settings)
    return pydantic_core.to_json(charts.specification(chart, title, data, said.style, note))


def _data_at(path: str, query: Mapping[str, str], asked: Asked) -> dict[str, Any]:
    columns = asked.columns if isinstance(asked, sa.Table) else ()
    numbers = {str(c.name): "number" for c in columns if c.type.python_type in {int, float}}
    return {
        "url": f"{path}?{urlencode({'format': 'csv', **query})}",
        "format": {"type": "csv", **({"parse": numbers} if numbers else {})},
    }
