"""The rows of sample trips, as a query of DuckDB: who travels from where to where, and when.

Each row follows from its number and the seed alone, by hashes of them, whole numbers and the four
basic operations: the same number gives the same row in whatever order and by however many threads
they are made. A draw takes some bits of a hash; what it decides is looked up in a table that has
as many of the equally likely slots for each choice as its weight tells.
"""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from typing import Any

import duckdb

from warehouse_assets.samples.trips_cities import CITIES

FIRST_DAY = date(2018, 1, 1)
"""The day of the earliest trips, a Monday."""

DAYS = 104 * 7
"""How many days the trips are spread over."""

DATASOURCES = {
    "funny_car": 7,
    "baba_car": 6,
    "cheap_mobile": 5,
    "bad_diesel_vehicles": 4,
    "pt_search_app": 3,
}
"""What records trips, and how many relative to the others."""

DAMAGE = (
    ("datetime", "'2018-02-30 09:03:40'"),
    ("origin_coord", "'POINT (14.42)'"),
    ("region", "''"),
    ("destination_coord", "NULL"),
    ("datetime", "'yesterday'"),
    ("destination_coord", "'POINT (14.42 95.5)'"),
    ("datasource", "NULL"),
    ("origin_coord", "'LINESTRING (14.42 50.08, 14.43 50.09)'"),
)
"""What damaged rows have in which column, in turn; SQL."""

_KM_PER_DEGREE = 111.32
_SATURDAY = 5
_SLOTS = 1024
_DAY_SLOTS = 16_384
_SOURCE_SLOTS = 256
_DAYS_OF_WEEK = (1.0, 1.04, 1.05, 1.06, 1.12, 0.78, 0.62)
_MONTHS = (0.86, 0.9, 0.98, 1.03, 1.1, 1.08, 0.88, 0.8, 1.08, 1.1, 1.05, 0.94)
_GROWTH = 0.4  # from the first day to the last
# Trips by hour of the day, and of 256 how many lead from homes to jobs rather than back.
_WORKDAY_HOURS = [6, 4, 3, 2, 4, 14, 42, 88, 96, 62, 38, 36, 42, 42, 46, 62, 88, 98, 82, 56]
_WORKDAY_HOURS += [38, 28, 20, 12]
_WEEKEND_HOURS = [24, 18, 12, 8, 5, 6, 10, 18, 30, 46, 60, 66, 66, 62, 60, 60, 60, 58, 56, 50]
_WEEKEND_HOURS += [44, 40, 38, 32]
_OUTWARD = [40, 40, 40, 80, 160, 220, 236, 236, 224, 196, 160, 140, 128, 128, 116, 84, 52, 36, 40]
_OUTWARD += [90, 100, 70, 50, 40]
_HOMES, _JOBS = 0, 1
_LOCAL = 90  # of 256 trips

_CHOICES = """
CREATE TABLE cities AS
    SELECT slot, city, region FROM _cities, range(1024) AS r(slot)
    WHERE slot >= first AND slot < next;
CREATE TABLE sources AS
    SELECT city * 256 + slot AS slot, datasource FROM _sources, range(256) AS r(slot)
    WHERE slot >= first AND slot < next;
CREATE TABLE ends AS
    SELECT (city * 2 + kind) * 1024 + slot AS slot, lon, lat, lon_degrees, lat_degrees
    FROM _ends, range(1024) AS r(slot) WHERE slot >= first AND slot < next;
CREATE TABLE days AS
    SELECT slot, day, is_weekend FROM _days, range(16384) AS r(slot)
    WHERE slot >= first AND slot < next;
CREATE TABLE hours AS
    SELECT is_weekend * 1024 + slot AS slot, hour, outward FROM _hours, range(1024) AS r(slot)
    WHERE slot >= first AND slot < next;
"""


def prepare(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the tables in which `query` looks its draws up."""
    # Rows keep their order only where they probe the tables, not the tables them.
    connection.execute("SET disabled_optimizers = 'join_order,build_side_probe_side'")
    cities = [(n, city.region) for n, city in enumerate(CITIES)]
    _table(connection, "_cities", ["city", "region"], cities, _city_slots())
    sources = [(n, name) for n, _ in enumerate(CITIES) for name in DATASOURCES]
    _table(connection, "_sources", ["city", "datasource"], sources, _source_slots())
    columns = ["city", "kind", "lon", "lat", "lon_degrees", "lat_degrees"]
    _table(connection, "_ends", columns, _ends(), _end_slots())
    days = [FIRST_DAY + timedelta(days=n) for n in range(DAYS)]
    since_1970 = FIRST_DAY.toordinal() - date(1970, 1, 1).toordinal()
    dated = [(since_1970 + n, int(day.weekday() >= _SATURDAY)) for n, day in enumerate(days)]
    weights = [
        _MONTHS[day.month - 1] * _DAYS_OF_WEEK[day.weekday()] * (1 + _GROWTH * n / DAYS)
        for n, day in enumerate(days)
    ]
    _table(connection, "_days", ["day", "is_weekend"], dated, _apportioned(weights, _DAY_SLOTS))
    hours = [(kind, hour, _OUTWARD[hour]) for kind in (0, 1) for hour in range(24)]
    slots = [*_apportioned(_WORKDAY_HOURS, _SLOTS), *_apportioned(_WEEKEND_HOURS, _SLOTS)]
    _table(connection, "_hours", ["is_weekend", "hour", "outward"], hours, slots)
    connection.execute(_CHOICES)


def _table(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    columns: Sequence[str],
    choices: Iterable[tuple[Any, ...]],
    slots: Iterable[tuple[int, int]],
) -> None:
    """Make a table of choices, each with its first slot and the one after its last."""
    rows = [(*choice, *slot) for choice, slot in zip(choices, slots, strict=True)]
    records = [dict(zip([*columns, "first", "next"], row, strict=True)) for row in rows]
    types = {int: "BIGINT", float: "DOUBLE", str: "VARCHAR"}
    structure = json.dumps([{column: types[type(value)] for column, value in records[0].items()}])
    # As one value: DuckDB takes a tenth of a millisecond to bind one, whatever it is.
    connection.execute(
        f"CREATE TABLE {name} AS SELECT unnest(from_json($records, $structure), recursive := true)",
        {"records": json.dumps(records), "structure": structure},
    )


def _city_slots() -> Iterator[tuple[int, int]]:
    return _apportioned([city.trips for city in CITIES], _SLOTS)


def _source_slots() -> Iterator[tuple[int, int]]:
    for city in CITIES:
        weights = [
            weight if city.has_cheap_mobile or name != "cheap_mobile" else 0
            for name, weight in DATASOURCES.items()
        ]
        yield from _apportioned(weights, _SOURCE_SLOTS)


def _ends() -> Iterator[tuple[int, int, float, float, float, float]]:
    """The districts of each city, where people live and once more where they work."""
    for number, city in enumerate(CITIES):
        for kind in (_HOMES, _JOBS):
            for district in city.districts:
                north = district.spread_km / _KM_PER_DEGREE
                # Rounded, because the last digit of a cosine depends on the machine.
                east = round(north / math.cos(math.radians(district.lat)), 9)
                yield number, kind, district.lon, district.lat, east, round(north, 9)


def _end_slots() -> Iterator[tuple[int, int]]:
    for city in CITIES:
        yield from _apportioned([district.homes for district in city.districts], _SLOTS)
        yield from _apportioned([district.jobs for district in city.districts], _SLOTS)


def _apportioned(weights: Sequence[float], slots: int) -> Iterator[tuple[int, int]]:
    """For each weight its first slot and the one after its last."""
    total, so_far, first = math.fsum(weights), 0.0, 0
    for weight in weights:
        so_far += weight
        following = round(so_far / total * slots)
        yield first, following
        first = following


def _bits(draw: str, first: int, count: int) -> str:
    """SQL of a number from 0 to below 2 to the power of `count`, of these bits of a hash."""
    return f"CAST(({draw} >> {first}) & {2**count - 1} AS BIGINT)"


def _normal(draw: str) -> str:
    """SQL of a number from -3 to 3 that is nearly normal, with mean 0 and deviation 1."""
    # Each third of a hash is evenly distributed from 0 to 2**21, with a variance of 2**42 / 12.
    pieces = " + ".join(f"(({draw} >> {first}) & {2**21 - 1})" for first in (0, 21, 42))
    return f"CAST({pieces} AS DOUBLE) / {2**20} - 3"


# Not hash(i, n): DuckDB makes hashes of several values that differ in the same bits.
_HASHES = ", ".join(
    f"hash(xor(number, CAST({n} AS UBIGINT))) AS {draw}" for n, draw in enumerate("abcdef")
)

_DRAWN = f"""
    SELECT i, {_bits("a", 0, 10)} AS city_slot, {_bits("a", 10, 14)} AS day_slot,
        {_bits("a", 24, 10)} AS hour_slot, {_bits("a", 34, 8)} AS direction,
        {_bits("a", 42, 8)} AS source_slot, {_bits("a", 50, 14)} % 3600 AS second,
        {_bits("b", 0, 10)} AS origin_slot, {_bits("b", 10, 10)} AS destination_slot,
        {_bits("b", 20, 8)} < {_LOCAL} AS is_local,
        {_normal("c")} AS east, {_normal("d")} AS north,
        {_normal("e")} AS further_east, {_normal("f")} AS further_north
    FROM (
        SELECT i, {_HASHES}
        FROM (
            SELECT i, hash((hash($seed) >> 2) + CAST(i AS UBIGINT)) AS number
            FROM range($first, $next) AS r(i)
        )
    )"""

_CHOSEN = f"""
    SELECT drawn.*, region, city, datasource, day, hour,
        CASE WHEN direction < outward THEN {_HOMES} ELSE {_JOBS} END AS kind
    FROM ({_DRAWN}) AS drawn
    JOIN cities ON cities.slot = city_slot
    JOIN days ON days.slot = day_slot
    JOIN hours ON hours.slot = is_weekend * 1024 + hour_slot
    JOIN sources ON sources.slot = city * 256 + source_slot"""

_PLACED = f"""
    SELECT chosen.*,
        here.lon + here.lon_degrees * east AS origin_lon,
        here.lat + here.lat_degrees * north AS origin_lat,
        -- Some only go round the corner, wherever they are.
        CASE WHEN is_local THEN origin_lon ELSE there.lon END
            + there.lon_degrees * further_east AS destination_lon,
        CASE WHEN is_local THEN origin_lat ELSE there.lat END
            + there.lat_degrees * further_north AS destination_lat
    FROM ({_CHOSEN}) AS chosen
    JOIN ends AS here ON here.slot = (city * 2 + kind) * 1024 + origin_slot
    JOIN ends AS there ON there.slot = (city * 2 + 1 - kind) * 1024 + destination_slot"""


_ROW = {
    "region": "region",
    "origin_coord": "'POINT (' || origin_lon || ' ' || origin_lat || ')'",
    "destination_coord": "'POINT (' || destination_lon || ' ' || destination_lat || ')'",
    "datetime": "CAST(make_timestamp(((day * 24 + hour) * 3600 + second) * 1000000) AS VARCHAR)",
    "datasource": "datasource",
}


def query(columns: Sequence[str], *, is_damaged: bool) -> str:
    """SQL of the rows with the numbers from `$first` to below `$next` of those `$seed` makes.

    Args:
        columns: their order; `date_time` may stand for `datetime`.
        is_damaged: damage the rows whose number is one less than a multiple of `$every`.
    """
    names = ["datetime" if column == "date_time" else column for column in columns]
    values = [_damaged(name) if is_damaged else _ROW[name] for name in names]
    return f"SELECT {', '.join(values)} FROM ({_PLACED})"


def _damaged(column: str) -> str:
    """SQL of a column, which damaged rows may have otherwise."""
    kinds = "".join(
        f" WHEN {number} THEN {damage}"
        for number, (where, damage) in enumerate(DAMAGE)
        if where == column
    )
    return (
        f"CASE CASE WHEN i % $every = $every - 1 THEN i // $every % {len(DAMAGE)} END{kinds} "
        f"ELSE {_ROW[column]} END"
    )
