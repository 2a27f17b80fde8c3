"""The routes of groups of similar trips, and the map of them."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import pydantic_core
from anyio.to_thread import run_sync
from deltalake import DeltaTable
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from warehouse_assets.api.formats import Formatted
from warehouse_assets.api.pictures import KIND, OF_CHART, drawn, kind_called, specification_sent
from warehouse_assets.api.problems import Refusal
from warehouse_assets.api.request import AsOf, StrictRoute, cursor_of, kind_of, read_cursor
from warehouse_assets.api.response import answer, formatted, in_both_formats, page_model, row_model
from warehouse_assets.api.routes.trips import InBox, Weeks, trips_at
from warehouse_assets.api.service import service_of
from warehouse_assets.charts import specification, values_of
from warehouse_assets.defs.trips.groups import (
    HOURS,
    MAP,
    ORDER,
    Filter,
    Likeness,
    TooManyGroupsError,
    groups_of,
    tile_centre,
)
from warehouse_assets.defs.trips.tables import TRIP_GROUPS
from warehouse_assets.setting_types import PartOfDay, Zoom
from warehouse_assets.tables import column_names

router = APIRouter(prefix="/trips", tags=["trips"], route_class=StrictRoute)

_GROUPS_ON_THE_MAP = 600


class Point(BaseModel):
    """The centre of a tile, in degrees."""

    lon: float
    lat: float


_GROUP = row_model(
    "Group",
    {str(column.name): column for column in TRIP_GROUPS.columns},
    groups_joined=(int, Field(description="Neighbours that are one in it; 1 without `merge`.")),
    origin=(Point, Field(description="Centre of the origin's tile.")),
    destination=(Point, Field(description="Centre of the destination's tile.")),
)
_PAGE_OF_GROUPS = page_model(
    "Groups",
    _GROUP,
    zoom=(int, Field(description="Zoom of the tiles.")),
    hours=(int, Field(description="Hours of a part of the day.")),
    trips=(int, Field(description="Trips in all groups, on whichever page.")),
    all_groups=(int, Field(description="How many groups these are.")),
    share_in_groups=(
        float | None,
        Field(description="Share of the trips that are in groups of two or more; null if none."),
    ),
)
_NAMES = column_names(TRIP_GROUPS)
_COLUMNS = (
    *_NAMES,
    *("origin_lon", "origin_lat", "destination_lon", "destination_lat", "groups_joined"),
)
_OF_GROUPS = in_both_formats(
    ",".join(_COLUMNS) + "\r\n",
    "A page; the header `Link` leads to the next one, too.",
)


class _Groups(Formatted, InBox):
    """What may be said behind the `?` of groups."""

    zoom: Zoom | None = Field(
        None,
        description="Zoom of the tiles, 0 to 24; without it TRIP_GROUPS_ZOOM.",
        examples=[12],
    )
    hours: PartOfDay | None = Field(
        None,
        description="Hours of a part of the day; without it TRIP_GROUPS_HOURS.",
        json_schema_extra={"enum": [*HOURS]},
    )
    merge: Literal["neighbours"] | None = Field(
        None, description="Whether groups whose tiles and parts of the day touch are one."
    )
    hour_of_day: int | None = Field(
        None,
        ge=0,
        le=23,
        description="Groups of the part of the day with this hour.",
        examples=[8],
    )
    min_trips: int = Field(1, ge=1, lt=1 << 62, description="Least trips of a group.")
    limit: int = Field(100, ge=1, le=1000, description="Groups on a page.")
    after: str | None = Field(None, description="`next` of the page before.")


@router.get("/groups", response_model=_PAGE_OF_GROUPS, responses=_OF_GROUPS)
async def groups(request: Request, said: Annotated[_Groups, Query()]) -> Response:
    """Groups of similar trips, those with the most trips first; say how similar they are."""
    format_, place, service = said.wanted(request), None, service_of(request)
    likeness = Likeness(
        service.settings.trip_groups_zoom if said.zoom is None else said.zoom,
        said.hours or service.settings.trip_groups_hours,
        said.merge is not None,
    )
    filter_ = Filter(
        said.region, said.hour_of_day, said.days, said.box(), said.match or "origin", said.min_trips
    )
    if said.after is not None:
        place = read_cursor(said.after, map(kind_of, ORDER))

    def make(at: DeltaTable | None) -> Response:
        try:
            found = groups_of(
                service.lake, service.settings, likeness, filter_, said.limit + 1, place, at
            )
        except TooManyGroupsError as error:
            raise Refusal(422, f"{str(error).capitalize()}.", "merge") from None
        page = [_group(group, likeness.zoom) for group in found.rows[: said.limit]]
        following = None
        if len(found.rows) > said.limit:
            following = cursor_of([page[-1][column.name] for column in ORDER])
        told = {
            "zoom": likeness.zoom,
            "hours": likeness.hours,
            "trips": found.trips,
            "all_groups": found.groups,
            "share_in_groups": found.share_in_groups,
            "items": page,
            "next": following,
        }
        return formatted(request, format_, told, _COLUMNS, map(_row, page), following)

    return await _of_groups(request, said, make)


async def _of_groups(
    request: Request, said: AsOf, make: Callable[[DeltaTable | None], Response]
) -> Response:
    """What `make` makes of the groups of now, or of those of a former version of the trips."""
    if said.as_of is not None:
        return await run_sync(lambda: make(trips_at(service_of(request), said)))
    return await answer(request, [TRIP_GROUPS], lambda _: make(None))


def _group(group: Mapping[str, Any], zoom: int) -> dict[str, Any]:
    """A `Group`."""
    told = dict(group)
    for end in ("origin", "destination"):
        lon, lat = tile_centre(told[f"{end}_tile_x"], told[f"{end}_tile_y"], zoom)
        told[end] = {"lon": lon, "lat": lat}
    return told


def _row(group: Mapping[str, Any]) -> list[Any]:
    """A group as CSV has it: both centres as two columns each."""
    ends = (*group["origin"].values(), *group["destination"].values())
    return [*(group[name] for name in _NAMES), *ends, group["groups_joined"]]


class _Map(Weeks):
    """What may be said behind the `?` of the map."""

    zoom: Zoom = Field(14, description="Zoom of the tiles, 0 to 24.")
    hours: PartOfDay = Field(
        24, description="Hours of a part of the day.", json_schema_extra={"enum": [*HOURS]}
    )


@router.get("/map.{kind}", response_class=Response, responses=OF_CHART)
async def trips_map(request: Request, kind: KIND, said: Annotated[_Map, Query()]) -> Response:
    """A map of the most travelled groups, for each of the regions with the most trips."""
    service, likeness = service_of(request), Likeness(said.zoom, said.hours)
    wanted = kind_called(kind)

    def make(at: DeltaTable | None) -> Response:
        some, of_region = _GROUPS_ON_THE_MAP, Filter(said.region)
        found = groups_of(service.lake, service.settings, likeness, of_region, some, at=at)
        rows = [_row(_group(group, said.zoom)) for group in found.rows]
        values = values_of(_COLUMNS, rows)
        note = "There are no rows." if not rows else ""
        if found.groups > len(rows):
            note = f"The first {len(rows):,} of {found.groups:,} groups."
        title = "The most travelled groups of similar trips"
        spec = specification(MAP, title, lambda _: values, said.style, note)
        return specification_sent(request, pydantic_core.to_json(spec))

    return await drawn(request, await _of_groups(request, said, make), wanted)
