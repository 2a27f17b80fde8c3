"""The tables of the trips family: columns, keys, descriptions.

`field` in a column's `info` is the name of the column of a CSV file that it is read from, and
`aggregate` how values of several partial rows become one: see `tables.aggregates`.
"""

from pathlib import Path
from typing import Any

from sqlalchemy import BigInteger, Column, Date, DateTime, Double, Index, Table, Text, text

from warehouse_assets.charts import WEEKS, weeks
from warehouse_assets.questions import Question
from warehouse_assets.settings import Settings
from warehouse_assets.tables import METADATA

_FINE_ZOOM = 14
_MANY_TRIPS = 20  # Groups with so many are in an index by them; of the others there are too many.

_REGION = "Region that the trip was recorded for, as the file names it."
_DATASOURCE = "What recorded the trip, as the file names it."


def _degrees(name: str, field: str, comment: str) -> Column[Any]:
    return Column(name, Double, nullable=False, info={"field": field}, comment=comment)


TRIPS = Table(
    "trips",
    METADATA,
    Column("region", Text, nullable=False, info={"field": "region"}, comment=_REGION),
    _degrees("origin_lon", "origin_coord", "Longitude of the trip's origin, in degrees east."),
    _degrees("origin_lat", "origin_coord", "Latitude of the trip's origin, in degrees north."),
    _degrees(
        "destination_lon",
        "destination_coord",
        "Longitude of the trip's destination, in degrees east.",
    ),
    _degrees(
        "destination_lat",
        "destination_coord",
        "Latitude of the trip's destination, in degrees north.",
    ),
    Column(
        "started_at",
        DateTime,
        nullable=False,
        info={"field": "datetime", "also_called": ("date_time",)},
        comment="When the trip was: as written where that has no zone, else in UTC.",
    ),
    Column("datasource", Text, nullable=False, info={"field": "datasource"}, comment=_DATASOURCE),
    Column(
        "arrival",
        BigInteger,
        nullable=False,
        comment="Number of the inbox file that it came in; the archive has the file under it.",
    ),
    comment="Trips, one row each; they have no key, and what a file says twice counts twice.",
    info={
        "made_from": "archive",
        "is_large": True,
        "clustered_by": ("origin_lon", "origin_lat"),
        "week_of": "started_at",
        "is_kept_by_week": True,
    },
)

DAILY_TRIPS = Table(
    "daily_trips",
    METADATA,
    Column("region", Text, primary_key=True, comment=_REGION),
    Column("day", Date, primary_key=True, comment="Day of the trips' time."),
    Column("datasource", Text, primary_key=True, comment=_DATASOURCE),
    Column(
        "trips",
        BigInteger,
        nullable=False,
        info={"aggregate": "sum"},
        comment="Trips of that day in the region from the datasource.",
    ),
    Column(
        "last_trip_at",
        DateTime,
        nullable=False,
        info={"aggregate": "max"},
        comment="Time of the latest of them.",
    ),
    comment="How many trips each region had each day, by datasource; only days with trips.",
    info={"week_of": "day"},
    sqlite_with_rowid=False,
)

_CHART_OF_WEEKS = {
    "transform": [
        # A row has a datasource, too; what follows is worth doing for fewer rows.
        {
            "aggregate": [{"op": "sum", "field": "trips", "as": "trips"}],
            "groupby": ["week_start", "region"],
        },
        # The regions with the most trips have a colour each, the others one together.
        {
            "joinaggregate": [{"op": "sum", "field": "trips", "as": "of_region"}],
            "groupby": ["region"],
        },
        {
            "window": [{"op": "dense_rank", "as": "rank"}],
            "sort": [{"field": "of_region", "order": "descending"}, {"field": "region"}],
        },
        {"calculate": "datum.rank > 7 ? 'others' : datum.region", "as": "shown"},
        {"calculate": "min(datum.rank, 8)", "as": "place"},
        {
            "aggregate": [
                {"op": "sum", "field": "trips", "as": "trips"},
                {"op": "min", "field": "place", "as": "place"},
            ],
            "groupby": ["week_start", "shown"],
        },
        *weeks("datum.trips + ' trips, ' + datum.shown"),
    ],
    "mark": "bar",
    "encoding": {
        **WEEKS,
        "y": {
            "field": "trips",
            "type": "quantitative",
            "stack": "zero",
            "title": "Trips per week",
        },
        "color": {"field": "shown", "title": "Region", "sort": {"field": "place", "op": "min"}},
        "order": {"field": "place"},
    },
}

WEEKLY_TRIPS = Table(
    "weekly_trips",
    METADATA,
    Column("region", Text, primary_key=True, comment=_REGION),
    Column("week_start", Date, primary_key=True, comment="Monday with which the week begins."),
    Column("datasource", Text, primary_key=True, comment=_DATASOURCE),
    Column(
        "trips",
        BigInteger,
        nullable=False,
        comment="Trips of that week in the region from the datasource.",
    ),
    Column("last_trip_at", DateTime, nullable=False, comment="Time of the latest of them."),
    comment="How many trips each region had each week, by datasource; only weeks with trips.",
    info={
        "answers": "How many trips did each region have per week?",
        "chart": _CHART_OF_WEEKS,
        "week_of": "week_start",
    },
    sqlite_with_rowid=False,
)


def fine_zoom(settings: Settings) -> int:
    """The zoom of the tiles of `trip_groups_fine`."""
    return max(_FINE_ZOOM, settings.trip_groups_zoom)


def constants_of(zoom: int, tiles_zoom: int, hours: int) -> dict[str, float]:
    """The constants of the SELECTs that make groups.

    Args:
        zoom: of the tiles of the groups.
        tiles_zoom: of the tiles of the fine groups that they are added up from.
        hours: of a part of the day.
    """
    one = 2.0 ** (tiles_zoom - zoom)
    return {"tiles": 2.0**tiles_zoom, "tiles_in_one": one, "hours": float(hours)}


def _fine_constants(settings: Settings) -> dict[str, float]:
    return constants_of(fine_zoom(settings), fine_zoom(settings), hours=1)


def _constants(settings: Settings) -> dict[str, float]:
    zoom, hours = settings.trip_groups_zoom, settings.trip_groups_hours
    return constants_of(zoom, fine_zoom(settings), hours)


def _groups(name: str, tile: str, hour: str, comment: str, *indexes: Index, **info: Any) -> Table:
    """A table of groups of trips, by tiles and hours."""
    return Table(
        name,
        METADATA,
        Column("region", Text, primary_key=True, comment=_REGION),
        *(
            Column(
                f"{end}_tile_{axis}",
                BigInteger,
                primary_key=True,
                autoincrement=False,
                comment=f"{place} of the Web-Mercator tile ({tile}) of its {end}.",
            )
            for end in ("origin", "destination")
            for axis, place in (("x", "Column"), ("y", "Row"))
        ),
        Column("hour_of_day", BigInteger, primary_key=True, autoincrement=False, comment=hour),
        Column(
            "trips",
            BigInteger,
            nullable=False,
            info={"aggregate": "sum"},
            comment="Trips of the group.",
        ),
        Column(
            "first_trip_at",
            DateTime,
            nullable=False,
            info={"aggregate": "min"},
            comment="Time of the earliest of them.",
        ),
        Column(
            "last_trip_at",
            DateTime,
            nullable=False,
            info={"aggregate": "max"},
            comment="Time of the latest of them.",
        ),
        *indexes,
        comment=comment,
        info=info,
        sqlite_with_rowid=False,
    )


TRIP_GROUPS_FINE = _groups(
    "trip_groups_fine",
    "zoom 14, or TRIP_GROUPS_ZOOM if that is greater",
    "Hour of the trips' time, 0 to 23.",
    "The groups of trips from which coarser ones are added up: the same region, the same small "
    "tile of origin and of destination, the same hour of the day.",
    is_large=True,
    constants=_fine_constants,
)
TRIP_GROUPS = _groups(
    "trip_groups",
    "setting TRIP_GROUPS_ZOOM, 10 by default",
    "First hour of the part of the day in which the trips were, 0 to 23; a part has "
    "TRIP_GROUPS_HOURS, 4 by default: then 8 is from 8 to 12 o'clock.",
    "Groups of similar trips: the same region, the same tile of origin and of destination, the "
    "same part of the day.",
    # Of the many small groups the order matters to nobody, and an index of all would be large.
    Index("ix_trip_groups_most_trips", "trips", sqlite_where=text(f"trips >= {_MANY_TRIPS}")),
    picture="/trips/map.svg",
    constants=_constants,
)

TABLES = (TRIPS, DAILY_TRIPS, WEEKLY_TRIPS, TRIP_GROUPS_FINE, TRIP_GROUPS)

_ASKED = Path(__file__).parent / "sql" / "questions"
_RANKED = {"height": {"step": 20}, "mark": "bar"}
_TRIPS = {"field": "trips", "type": "quantitative", "title": "Trips"}
_CHART_OF_GROUPS = {
    **_RANKED,
    "transform": [
        {"window": [{"op": "row_number", "as": "place"}]},
        {
            "calculate": "datum.region + ' ' + datum.origin_tile + ' → ' + datum.destination_tile "
            "+ ', ' + datum.hour_of_day + ' h'",
            "as": "group",
        },
    ],
    "encoding": {
        "y": {
            "field": "group",
            "sort": {"field": "place"},
            "title": None,
            "axis": {"labelLimit": 220},
        },
        "x": _TRIPS,
    },
}
_CHART_OF_REGIONS = {
    **_RANKED,
    "encoding": {"y": {"field": "region", "sort": "-x", "title": None}, "x": _TRIPS},
}
_CHART_OF_LATEST = {
    "height": {"step": 44},
    "encoding": {
        "y": {"field": "region", "sort": "-x", "title": None},
        "x": {
            "field": "last_trip_at",
            "type": "temporal",
            "title": "Latest trip",
            "scale": {"padding": 60},
            "axis": {"format": "%d %b %Y %H:%M", "tickCount": 4},
        },
    },
    "layer": [
        {"mark": {"type": "point", "filled": True, "size": 80}},
        {"mark": {"type": "text", "dy": -14}, "encoding": {"text": {"field": "datasource"}}},
    ],
}

QUESTIONS = (
    Question(
        "Which similar trips are the most?",
        _ASKED / "most_travelled_groups.sql",
        [TRIP_GROUPS],
        _CHART_OF_GROUPS,
    ),
    Question(
        "Of the two most common regions, which is the latest datasource?",
        _ASKED / "latest_datasource_of_the_two_most_common_regions.sql",
        [WEEKLY_TRIPS],
        _CHART_OF_LATEST,
    ),
    Question(
        "In which regions has the datasource cheap_mobile appeared?",
        _ASKED / "regions_with_cheap_mobile.sql",
        [WEEKLY_TRIPS],
        _CHART_OF_REGIONS,
    ),
)
"""The questions that SELECTs over the tables answer."""
