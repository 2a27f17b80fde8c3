"""Small tables that are kept in partial rows, or in order of place, as those of trips are."""

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, time
from operator import add
from typing import Any

from sqlalchemy import BigInteger, Column, Date, DateTime, Double, MetaData, Table, Text

Walk = tuple[str, date, int | None, float | None, datetime | None]

_METADATA = MetaData()

WALKS = Table(
    "walks",
    _METADATA,
    Column("dog", Text, primary_key=True, comment="Its name."),
    Column("day", Date, primary_key=True, comment="Day of the walks."),
    Column("walks", BigInteger, info={"aggregate": "sum"}, comment="How many."),
    Column("shortest", Double, info={"aggregate": "min"}, comment="In kilometres."),
    Column("last_at", DateTime, info={"aggregate": "max"}, comment="When the last one began."),
    comment="Walks of each dog and day.",
)

SPOTS = Table(
    "spots",
    _METADATA,
    Column("lon", Double, comment="Degrees east."),
    Column("lat", Double, comment="Degrees north."),
    Column("name", Text, comment="What is there."),
    comment="Spots, which have no key.",
    info={"clustered_by": ("lon", "lat")},
)

MONDAY = date(2024, 1, 1)


def at(hour: int) -> datetime:
    """An hour of Monday."""
    return datetime.combine(MONDAY, time(hour))


def walk(dog: str, walks: int | None, shortest: float | None = 1.0, hour: int | None = 12) -> Walk:
    """A partial row of Monday."""
    return dog, MONDAY, walks, shortest, None if hour is None else at(hour)


def added_up(rows: Iterable[Walk]) -> list[Walk]:
    """What partial rows of walks add up to; values that are not there do not count."""
    functions: Sequence[Callable[[Any, Any], Any]] = (add, min, max)
    found: dict[tuple[str, date], list[Any]] = {}
    for dog, day, *values in rows:
        together = found.setdefault((dog, day), [None, None, None])
        for place, function in enumerate(functions):
            old, new = together[place], values[place]
            together[place] = old if new is None else new if old is None else function(old, new)
    return sorted((*key, *values) for key, values in found.items())
