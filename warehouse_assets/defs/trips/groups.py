"""Groups of similar trips, whose likeness is chosen when asking.

Trips are alike that have the same region, tile of origin, tile of destination and part of the
day. Tiles nest, so that the fine groups of the lake add up to those of any coarser tiles and longer
parts of the day. What the fine ones do not know (days, places within a tile, finer tiles) is asked
of the trips themselves, by the same SELECTs. Both are read in the newest version of the lake.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import duckdb
from deltalake import DeltaTable

from warehouse_assets.charts import SAID
from warehouse_assets.defs.trips.answers import IS_WANTED, Box, Match, values_of
from warehouse_assets.defs.trips.tables import (
    TRIP_GROUPS,
    TRIP_GROUPS_FINE,
    TRIPS,
    constants_of,
    fine_zoom,
)
from warehouse_assets.lake import Lake
from warehouse_assets.questions import Chart
from warehouse_assets.settings import Settings
from warehouse_assets.tables import cast_columns, column_names, identifiers, key_names
from warehouse_assets.times import ANY_DAY, Days

Hours = Literal[1, 2, 3, 4, 6, 8, 12, 24]
"""How long parts of the day may be, so that they are of equal length."""

HOURS: tuple[int, ...] = get_args(Hours)
ORDER = [TRIP_GROUPS.c[name] for name in ("trips", *key_names(TRIP_GROUPS))]
"""The columns by which groups are ordered: most trips first, then by their key."""
MOST_TO_JOIN = 20_000
"""So many groups may be joined with their neighbours: that takes a second or two."""


def _degrees(axis: str, way: str) -> Chart:
    """The encoding of both ends of lines, in degrees."""
    return {
        axis: {
            "field": f"origin_{way}",
            "type": "quantitative",
            "scale": {"zero": False, "nice": False, "padding": 14},
            "axis": {"format": ".2~f", "tickCount": 4, "labelExpr": "datum.label + '°'"},
            "title": None,
        },
        f"{axis}2": {"field": f"destination_{way}"},
    }


MAP: Chart = {
    "transform": [
        {
            "joinaggregate": [{"op": "sum", "field": "trips", "as": "of_region"}],
            "groupby": ["region"],
        },
        {
            "window": [{"op": "dense_rank", "as": "rank"}],
            "sort": [{"field": "of_region", "order": "descending"}, {"field": "region"}],
        },
        {"filter": "datum.rank <= 6"},
        {
            "calculate": "datum.region + ': ' + datum.trips + ' trips from ' "
            "+ datum.origin_tile_x + '/' + datum.origin_tile_y + ' to ' "
            "+ datum.destination_tile_x + '/' + datum.destination_tile_y",
            "as": "said",
        },
    ],
    "facet": {"field": "region", "sort": {"field": "rank", "op": "min"}, "title": None},
    "resolve": {"scale": {"x": "independent", "y": "independent"}},
    "spec": {
        "encoding": SAID,
        "layer": [
            {
                "transform": [
                    {
                        "filter": "datum.origin_lon != datum.destination_lon "
                        "|| datum.origin_lat != datum.destination_lat"
                    }
                ],
                "mark": {"type": "rule", "opacity": 0.5},
                "encoding": {
                    **_degrees("x", "lon"),
                    **_degrees("y", "lat"),
                    "strokeWidth": {
                        "field": "trips",
                        "type": "quantitative",
                        "scale": {"range": [0.5, 5]},
                        "legend": None,
                    },
                },
            },
            {
                "mark": {"type": "circle", "opacity": 0.7},
                "encoding": {
                    "x": _degrees("x", "lon")["x"],
                    "y": _degrees("y", "lat")["y"],
                    "size": {
                        "field": "trips",
                        "type": "quantitative",
                        "scale": {"range": [10, 400]},
                        "title": "Trips",
                    },
                },
            },
        ],
    },
}
"""How groups are drawn, with the centres of their tiles: in each region, from where to where."""

_SQL = Path(__file__).parent / "sql"
_FINE = (_SQL / "trip_groups_fine.sql").read_text(encoding="utf-8")
_COARSE = (_SQL / "trip_groups.sql").read_text(encoding="utf-8")
_NEIGHBOURS = (_SQL / "asked" / "neighbours.sql").read_text(encoding="utf-8")
_NAMES = [*column_names(TRIP_GROUPS), "groups_joined"]
_KEYS = identifiers(key_names(TRIP_GROUPS))


class TooManyGroupsError(ValueError):
    """There are more groups than can be joined with their neighbours."""


@dataclass(frozen=True)
class Likeness:
    """When trips are alike.

    Args:
        zoom: of the Web-Mercator tiles.
        hours: of a part of the day.
        joins_neighbours: whether groups whose tiles and parts of the day touch are one; see
            `sql/asked/neighbours.sql`.
    """

    zoom: int
    hours: int
    joins_neighbours: bool = False


@dataclass(frozen=True)
class Filter:
    """Which trips are wanted, and which of their groups; None is no limit."""

    region: str | None = None
    hour_of_day: int | None = None
    days: Days = ANY_DAY
    box: Box | None = None
    match: Match = "origin"
    min_trips: int = 1


@dataclass(frozen=True)
class Groups:
    """Groups of trips, those with the most trips first.

    Args:
        rows: their columns, and how many groups were joined to each, at most as many as wanted.
        groups: how many there are, whatever their trips.
        trips: how many trips are in them.
        trips_in_groups: how many of these are in groups of two or more.
    """

    rows: Sequence[Mapping[str, Any]]
    groups: int
    trips: int
    trips_in_groups: int

    @property
    def share_in_groups(self) -> float | None:
        """The share of trips that are in groups of two or more; None if there are none."""
        return self.trips_in_groups / self.trips if self.trips else None


def groups_of(
    lake: Lake,
    settings: Settings,
    likeness: Likeness,
    wanted: Filter,
    limit: int,
    after: Sequence[Any] | None = None,
    at: DeltaTable | None = None,
) -> Groups:
    """The groups of the trips that are wanted, at most `limit`, after some other one.

    Args:
        after: what that one has in the columns of `ORDER`.
        at: the version of the trips, else the newest of the lake.

    Raises:
        TooManyGroupsError: neighbours are to be joined, and there are over `MOST_TO_JOIN` groups.
    """
    with lake.connect() as connection:
        _make(connection, lake, settings, likeness, wanted, at)
        if likeness.joins_neighbours:
            _join(connection, likeness)
        ((groups, trips, together),) = connection.execute(
            """SELECT count(*), coalesce(sum(trips), 0), coalesce(sum(trips) FILTER (trips > 1), 0)
            FROM groups"""
        ).fetchall()
        place, values = "true", [wanted.min_trips]
        if after is not None:
            marks = ", ".join("?" * (len(ORDER) - 1))
            place = f"(trips < ? OR (trips = ? AND ({_KEYS}) > ({marks})))"
            values += [after[0], *after]
        rows = connection.execute(
            f"""SELECT {identifiers(_NAMES)} FROM groups WHERE trips >= ? AND {place}
            ORDER BY trips DESC, {_KEYS} LIMIT {limit}""",
            values,
        ).fetchall()
    return Groups([dict(zip(_NAMES, row, strict=True)) for row in rows], groups, trips, together)


def _make(
    connection: duckdb.DuckDBPyConnection,
    lake: Lake,
    settings: Settings,
    likeness: Likeness,
    wanted: Filter,
    at: DeltaTable | None,
) -> None:
    """Make the table `groups`."""
    # The fine groups of a former version may be of another zoom than that of now.
    fine = None if at else lake.table(TRIP_GROUPS_FINE).open_existing()
    zoom = fine_zoom(settings)
    values: dict[str, object] = {"region": wanted.region, "hour": wanted.hour_of_day}
    if fine and likeness.zoom <= zoom and wanted.box is None and wanted.days == ANY_DAY:
        lake.view(connection, TRIP_GROUPS_FINE, fine, "all_fine")
        rows = "trip_groups_fine AS (FROM all_fine WHERE $region IS NULL OR region = $region)"
    else:
        zoom = likeness.zoom
        lake.view(connection, TRIPS, at or lake.table(TRIPS).open_existing(), "all_trips")
        values |= values_of(wanted.box or Box(-180, -90, 180, 90), wanted.match, wanted.days)
        rows = f"""trips AS (
            FROM all_trips WHERE ($region IS NULL OR region = $region) AND {IS_WANTED}
        ), trip_groups_fine AS ({_FINE})"""
    constants = constants_of(likeness.zoom, zoom, likeness.hours)
    given = ", ".join(f"CAST(${name} AS DOUBLE) AS {name}" for name in constants)
    connection.execute(
        f"""CREATE TEMP TABLE groups AS
        WITH constants AS (SELECT {given}), {rows}, trip_groups AS ({_COARSE})
        SELECT {cast_columns(TRIP_GROUPS)}, CAST(1 AS BIGINT) AS groups_joined
        FROM trip_groups WHERE $hour IS NULL OR hour_of_day = $hour - $hour % $hours""",
        {**values, **constants},
    )


def _join(connection: duckdb.DuckDBPyConnection, likeness: Likeness) -> None:
    """Make the table `groups` one of groups that have no neighbours among them."""
    ((number,),) = connection.execute("SELECT count(*) FROM groups").fetchall()
    if number > MOST_TO_JOIN:
        raise TooManyGroupsError(
            f"there are {number:,} groups, and neighbours are looked for among {MOST_TO_JOIN:,} at "
            "most; ask for one region, a smaller zoom, more hours or fewer days"
        )
    connection.execute(
        f"""CREATE TEMP TABLE numbered AS
        SELECT row_number() OVER (ORDER BY trips DESC, {_KEYS}) AS number, * FROM groups"""
    )
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE groups AS {_NEIGHBOURS}",
        {"tiles": 2**likeness.zoom, "hours": likeness.hours},
    )


def tile_centre(x: int, y: int, zoom: int) -> tuple[float, float]:
    """Longitude and latitude, in degrees, of the centre of a Web-Mercator tile.

    The inverse of the spherical Mercator projection, as in `sql/trip_groups_fine.sql`.
    """
    tiles = 2**zoom
    longitude = (x + 0.5) / tiles * 360 - 180
    # The same as atan(sinh(…)), which cannot be computed of rows far from this zoom's: until the
    # groups are computed anew after a change of TRIP_GROUPS_ZOOM there are such.
    latitude = math.degrees(2 * math.atan(math.tanh(math.pi * (0.5 - (y + 0.5) / tiles))))
    return longitude, latitude
