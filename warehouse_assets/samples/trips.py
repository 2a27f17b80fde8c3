"""Sample trips: CSV files such as the datasources' collector writes, of any size.

The same size and seed give the same bytes, so that delivering them again changes nothing. Memory
does not grow with their number.
"""

import gzip
import shutil
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import duckdb

from warehouse_assets.samples.files import Made, make_files

COLUMNS = ("region", "origin_coord", "destination_coord", "datetime", "datasource")
"""The columns of a file, in the usual order."""

CITIES = Path(__file__).parent / "sql" / "cities.csv"
"""Where trips begin and end: the districts of each city, its centre first.

`trips`, `homes` and `jobs` are relative to the other cities and the other districts of the city;
`spread_km` is the standard deviation of the ends of trips, east to west and south to north.
"""

_ROWS = (Path(__file__).parent / "sql" / "trips.sql").read_text(encoding="utf-8")
_DAMAGED_EVERY = 1000
_SECOND_FILE_SHARE = 20
# The second file is from another collector: its columns have another order, and one another name.
_SECOND_COLUMNS = ("datasource", "date_time", "region", "origin_coord", "destination_coord")
_CUT_SHORT = b"funny_car,2019-12-29 22:15:"


def write_trips_samples(folder: Path, trips: int, seed: int) -> Made:
    """Write two files of trips into `folder`, the second one small and packed.

    One row in a thousand is damaged, and the last row of the second file is cut short.

    Args:
        folder: it is made if it is not there.
        trips: how many rows there are in both, damaged ones included, but for that last one.
        seed: another seed makes other trips.
    """
    first, second = (folder / f"trips-sample-{trips}-{seed}-{end}" for end in ("1.csv", "2.csv.gz"))
    rows = trips - trips // _SECOND_FILE_SHARE
    return make_files(
        [first], partial(write_trips, rows=rows, seed=seed, damaged_every=_DAMAGED_EVERY)
    ) | make_files([second], partial(_write_second, rows=trips - rows, seed=seed, number=rows))


def write_trips(
    path: Path,
    rows: int,
    seed: int,
    *,
    number: int = 0,
    damaged_every: int | None = None,
    columns: Sequence[str] = COLUMNS,
) -> None:
    """Write a CSV file of trips.

    Args:
        path: the file.
        rows: how many rows follow the header.
        seed: another seed makes other trips.
        number: of the first row; those before it are in other files with the same seed.
        damaged_every: of so many rows the last one is damaged; none, if it is not given.
        columns: their order; `date_time` may stand for `datetime`.
    """
    drawn = {"seed": seed, "first": number, "next": number + rows, "path": str(path)}
    source = "trips($seed, $first, $next)"
    if damaged_every is not None:
        source, drawn = (
            "damaged_trips($seed, $first, $next, $every)",
            drawn | {"every": damaged_every},
        )
    names = ", ".join("datetime AS date_time" if c == "date_time" else c for c in columns)
    # One thread, which keeps the rows in their order: more of them take longer.
    with closing(duckdb.connect(config={"threads": 1})) as connection:
        # Rows keep their order only where they probe the tables, not the tables them.
        connection.execute("SET disabled_optimizers = 'join_order,build_side_probe_side'")
        connection.execute("CREATE TABLE cities_csv AS FROM read_csv($path)", {"path": str(CITIES)})
        connection.execute(_ROWS)
        connection.execute(f"COPY (SELECT {names} FROM {source}) TO $path (FORMAT csv)", drawn)


def _write_second(path: Path, rows: int, seed: int, number: int) -> None:
    plain = path.with_name(f"{path.name}.csv.part")
    try:
        write_trips(
            plain, rows, seed, number=number, damaged_every=_DAMAGED_EVERY, columns=_SECOND_COLUMNS
        )
        # Without a name and a time in its header the file depends on its content only.
        with (
            plain.open("rb") as source,
            path.open("wb") as stream,
            gzip.GzipFile("", "wb", fileobj=stream, mtime=0) as packed,
        ):
            shutil.copyfileobj(source, packed, 2**20)
            packed.write(_CUT_SHORT)
    finally:
        plain.unlink(missing_ok=True)
