"""Reading the groups of similar trips from the warehouse, those with the most trips first."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from warehouse_assets.defs.trips.tables import MANY_TRIPS, TRIP_GROUPS
from warehouse_assets.tables import key_names

ORDER = [TRIP_GROUPS.c[name] for name in ("trips", *key_names(TRIP_GROUPS))]
"""The columns by which groups are ordered: most trips first, then by their key."""
# As text of the statement: of a bound value the database cannot know that its index is enough.
_HAS_MANY_TRIPS = sa.text(f"trips >= {MANY_TRIPS}")
_HAS_FEW_TRIPS = sa.text(f"trips < {MANY_TRIPS}")


@dataclass(frozen=True)
class Filter:
    """Which groups are wanted; None is no limit."""

    region: str | None = None
    hour_of_day: int | None = None
    min_trips: int = 1


def most_travelled(
    connection: sa.Connection, wanted: Filter, limit: int, after: Sequence[Any] | None = None
) -> Sequence[sa.RowMapping]:
    """The groups with the most trips, at most `limit`, in the order of trips, then of their key.

    Those with many trips are found by an index, which is all that the first pages need.

    Args:
        after: what the group before has in the columns of `ORDER`.
    """
    found: list[sa.RowMapping] = []
    if after is None or after[0] >= MANY_TRIPS:
        found += connection.execute(_query(wanted, limit, after, _HAS_MANY_TRIPS)).mappings()
    if len(found) < limit and wanted.min_trips < MANY_TRIPS:
        rest = _query(wanted, limit - len(found), after, _HAS_FEW_TRIPS)
        found += connection.execute(rest).mappings()
    return found


def _query(
    wanted: Filter, limit: int, after: Sequence[Any] | None, part: sa.TextClause
) -> sa.Select[tuple[Any, ...]]:
    trips, *keys = ORDER
    query = sa.select(TRIP_GROUPS).where(part).order_by(trips.desc(), *keys).limit(limit)
    if wanted.region is not None:
        query = query.where(TRIP_GROUPS.c.region == wanted.region)
    if wanted.hour_of_day is not None:
        query = query.where(TRIP_GROUPS.c.hour_of_day == wanted.hour_of_day)
    if wanted.min_trips > 1:
        query = query.where(trips >= wanted.min_trips)
    if after is not None:
        is_later = sa.tuple_(*keys) > sa.tuple_(*after[1:])
        query = query.where((trips < after[0]) | ((trips == after[0]) & is_later))
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
