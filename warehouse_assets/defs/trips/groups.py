"""Reading the groups of similar trips from the warehouse, those with the most trips first."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from warehouse_assets.defs.trips.tables import MANY_TRIPS, TRIP_GROUPS
from warehouse_assets.tables import key_names

_KEYS = [TRIP_GROUPS.c[name] for name in key_names(TRIP_GROUPS)]
_ORDER = [TRIP_GROUPS.c.trips.desc(), *_KEYS]
# As text of the statement: of a bound value the database cannot know that its index is enough.
_HAS_MANY_TRIPS = sa.text(f"trips >= {MANY_TRIPS}")
_HAS_FEW_TRIPS = sa.text(f"trips < {MANY_TRIPS}")


@dataclass(frozen=True)
class Filter:
    """Which groups are wanted; None is no limit."""

    region: str | None = None
    hour_of_day: int | None = None
    min_trips: int = 1


@dataclass(frozen=True)
class Place:
    """A place in the order of the groups: trips and key of the last group before it."""

    trips: int
    key: tuple[str | int, ...]

    @classmethod
    def of(cls, group: sa.RowMapping) -> "Place":
        """The place behind `group`."""
        return cls(group["trips"], tuple(group[column.name] for column in _KEYS))


def most_travelled(
    connection: sa.Connection, wanted: Filter, limit: int, after: Place | None = None
) -> Sequence[sa.RowMapping]:
    """The groups with the most trips, at most `limit`, in the order of trips, then of their key.

    Those with many trips are found by an index, which is all that the first pages need.
    """
    found: list[sa.RowMapping] = []
    if after is None or after.trips >= MANY_TRIPS:
        found += connection.execute(_query(wanted, limit, after, _HAS_MANY_TRIPS)).mappings()
    if len(found) < limit and wanted.min_trips < MANY_TRIPS:
        rest = _query(wanted, limit - len(found), after, _HAS_FEW_TRIPS)
        found += connection.execute(rest).mappings()
    return found


def _query(
    wanted: Filter, limit: int, after: Place | None, part: sa.TextClause
) -> sa.Select[tuple[Any, ...]]:
    query = sa.select(TRIP_GROUPS).where(part).order_by(*_ORDER).limit(limit)
    if wanted.region is not None:
        query = query.where(TRIP_GROUPS.c.region == wanted.region)
    if wanted.hour_of_day is not None:
        query = query.where(TRIP_GROUPS.c.hour_of_day == wanted.hour_of_day)
    if wanted.min_trips > 1:
        query = query.where(TRIP_GROUPS.c.trips >= wanted.min_trips)
    if after is not None:
        is_later = sa.tuple_(*_KEYS) > sa.tuple_(*after.key)
        trips = TRIP_GROUPS.c.trips
        query = query.where((trips < after.trips) | ((trips == after.trips) & is_later))
    return query


def tile_centre(x: int, y: int, zoom: int) -> tuple[float, float]:
    """Longitude and latitude, in degrees, of the centre of a Web-Mercator tile.

    The inverse of the spherical Mercator projection, as in `sql/trip_groups.sql`.
    """
    tiles = 2**zoom
    longitude = (x + 0.5) / tiles * 360 - 180
    # The same as atan(sinh(…)), which cannot be computed of rows far from this zoom's: until the
    # groups are computed anew after a change of TRIP_GROUPS_ZOOM there are such.
    latitude = math.degrees(2 * math.atan(math.tanh(math.pi * (0.5 - (y + 0.5) / tiles))))
    return longitude, latitude
