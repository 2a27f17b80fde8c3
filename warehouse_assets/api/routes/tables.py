"""The routes of the tables: which there are, and the rows of each, by conditions on its columns."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlencode

import sqlalchemy as sa
from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, Field

from warehouse_assets.api.conditions import FILTERS, KINDS, OPERATORS
from warehouse_assets.api.formats import MEDIA_TYPES, Format, wanted
from warehouse_assets.api.html import rendered
from warehouse_assets.api.problems import Refusal
from warehouse_assets.api.request import StrictRoute
from warehouse_assets.api.response import formatted, in_formats, page_model, sent
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
from warehouse_assets.catalogue import TABLES
from warehouse_assets.tables import REJECTED_RECORDS, key_names
from warehouse_assets.values import plain

router = APIRouter(prefix="/tables", tags=["tables"], route_class=StrictRoute)

_BY_NAME: Mapping[str, sa.Table] = {str(table.name): table for table in TABLES}
FORMATS: Sequence[Format] = get_args(Format)
_FORMATS_OF_LIST: Sequence[Format] = ("json", "csv", "html")
# What the page's form asks for, which is no column's name.
_OF_FORM = ("-column", "-operator", "-value")


class TableDescription(BaseModel):
    """A table that can be asked for."""

    name: str = Field(examples=["weekly_trips"])
    description: str | None = Field(description="What its rows are.")
    url: str = Field(description="Where its rows are.")
    place: str = Field(description="What has it: warehouse, or only the lake.")
    key: list[str] = Field(description="The columns of its key, if it has one.")
    columns: list[ColumnDescription]


class TablePage(BaseModel):
    """A page of rows of a table."""

    name: str
    items: list[dict[str, Any]] = EXAMPLE_ROWS
    next: str | None = Field(description="`after` of the next page; null on the last one.")


class _List(BaseModel):
    """What may be said behind the `?` of the list."""

    format: Literal["json", "csv", "html"] | None = Field(
        None, description="Format of the answer; by default what `Accept` says."
    )


class RowsAsked(Selecting):
    """What may be said behind the `?` of a table."""

    format: Format | None = Field(
        None, description="Format of the answer; by default what `Accept` says."
    )


_DESCRIPTIONS = [
    {
        "name": name,
        "description": table.comment,
        "key": key_names(table),
        "columns": described(table.columns),
    }
    for name, table in _BY_NAME.items()
]
_OF_LIST = in_formats(_FORMATS_OF_LIST, "The tables there are.")
OF_TABLE = in_formats(
    FORMATS,
    "A page of rows; or a file of all, if no `limit` is given. The header `Link` leads to the next "
    "page, too.",
)


@router.get(
    "",
    response_model=page_model("Tables", TableDescription),
    responses=_OF_LIST,
)
async def tables(request: Request, said: Annotated[_List, Query()]) -> Response:
    """The tables there are, with their columns."""
    format_, publishes = (
        wanted(request, said.format, _FORMATS_OF_LIST),
        service_of(request).settings.publishes,
    )
    found = [
        {
            **told,
            "url": url_of(request, table),
            "place": "warehouse" if publishes(table) else "lake",
        }
        for table, told in zip(TABLES, _DESCRIPTIONS, strict=True)
    ]
    if format_ == "html":
        return sent(request, rendered("tables.html", tables=found), MEDIA_TYPES["html"])
    names = ("name", "place", "url", "description")
    rows = ([told[name] for name in names] for told in found)
    return formatted(request, format_, {"items": found, "next": None}, names, rows)


@router.get(
    "/{name}",
    response_model=TablePage,
    responses=OF_TABLE,
    openapi_extra=FILTERS,
)
async def table_of(
    request: Request,
    name: Annotated[str, Path(description="A name of /tables.", examples=["weekly_trips"])],
    said: Annotated[RowsAsked, Query()],
) -> Response:
    """The rows of a table: those that meet the conditions, in an order."""
    table = _BY_NAME.get(name)
    if table is None:
        raise Refusal(404, "There is no table of that name; /tables tells which there are.")
    format_ = wanted(request, said.format, FORMATS)
    if format_ == "html":
        try:
            return await _page(request, table, said)
        except Refusal as refusal:
            page = rendered("problem.html", title=table.name, problem=refusal.detail)
            return Response(page, refusal.status_code, media_type=MEDIA_TYPES["html"])
    selection = Selection.of(table, said, request.query_params)

    def show(rows: Sequence[Sequence[Any]], following: str | None) -> Response:
        items = [dict(zip(selection.names, map(plain, row), strict=True)) for row in rows]
        told = {"name": name, "items": items, "next": following}
        return formatted(request, "json", told, (), (), following)

    return await answer_of_rows(request, format_, selection, said, show)


async def _page(request: Request, table: sa.Table, said: RowsAsked) -> Response:
    """The rows as a page for people, with what leads to others."""
    asked = dict(request.query_params)
    column, operator, value = (asked.pop(name, None) for name in _OF_FORM)
    if column is not None:  # its form was filled in
        return RedirectResponse(
            f"?{urlencode({**asked, f'{column}.{operator}': value or ''})}", 303
        )
    selection = Selection.of(table, said, request.query_params)

    def link(**changes: str | None) -> str:
        """Where the same is, but for some parameters."""
        changed = {**asked, "after": None, **changes}
        return "?" + urlencode({k: v for k, v in changed.items() if v is not None})

    def show(rows: Sequence[Sequence[Any]], following: str | None) -> Response:
        first, is_desc = selection.order[0]
        page = rendered(
            "table.html",
            table=table,
            columns=selection.columns,
            kinds={column.name: KINDS[column.type.python_type] for column in table.columns},
            sorted_by=(first.name, is_desc) if said.order else None,
            conditions=[(found, link(**{found.name: None})) for found in selection.conditions],
            operators=OPERATORS,
            kept={k: v for k, v in asked.items() if k != "after"},
            rows=rows,
            next=link(after=following) if following else None,
            link=link,
            is_first=said.after is None,
            formats=[format_ for format_ in FORMATS if format_ != "html"],
            rejected=_rejected(request, table),
        )
        return sent(request, page, MEDIA_TYPES["html"], following)

    return await answer_of_rows(request, "html", selection, said, show)


def _rejected(request: Request, table: sa.Table) -> str | None:
    """Where the records are that were rejected instead of becoming rows of a table."""
    is_loaded = table.info.get("made_from") in {"archive", "source", "log"}
    return url_of(request, REJECTED_RECORDS, source=str(table.name)) if is_loaded else None
