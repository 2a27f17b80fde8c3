"""Sample trips: CSV files such as the datasources' collector writes, of any size.

The same size and seed give the same bytes, so that delivering them again changes nothing. The
rows are made in parts, by as many threads as there are cores, so that memory does not grow with
their number.
"""

import gzip
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO

import duckdb

from warehouse_assets.samples.trips_rows import prepare, query

COLUMNS = ("region", "origin_coord", "destination_coord", "datetime", "datasource")
"""The columns of a file, in the usual order."""

_ROWS_OF_A_PART = 250_000
_DAMAGED_EVERY = 1000
_SECOND_FILE_SHARE = 20
# The second file is from another collector: its columns have another order, and one another name.
_SECOND_COLUMNS = ("datasource", "date_time", "region", "origin_coord", "destination_coord")
_CUT_SHORT = b"funny_car,2019-12-29 22:15:"

_NAME = r"trips-sample-\d+--?\d+-(1\.csv|2\.csv\.gz)"
_SAMPLE = re.compile(rf"{_NAME}|\.{_NAME}(\.\d+)?\.part")


def write_trips_samples(folder: Path, trips: int, seed: int) -> list[Path]:
    """Write two files of trips into `folder`, the second one small and packed; returns their paths.

    One row in a thousand is damaged, in one of the ways of `trips_rows.DAMAGE`, and the last row
    of the second file is cut short.

    Args:
        trips: how many rows there are in both, damaged ones included, but for that last one.
        seed: another seed makes other trips.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = f"trips-sample-{trips}-{seed}"
    first, second = folder / f"{name}-1.csv", folder / f"{name}-2.csv.gz"
    rows = trips - trips // _SECOND_FILE_SHARE
    write_trips(first, rows, seed, damaged_every=_DAMAGED_EVERY)
    write_trips(
        second,
        trips - rows,
        seed,
        number=rows,
        damaged_every=_DAMAGED_EVERY,
        columns=_SECOND_COLUMNS,
        ending=_CUT_SHORT,
    )
    return [first, second]


def waiting_trips_samples(folder: Path) -> list[Path]:
    """The files in `folder` that have the names of samples of trips, unfinished ones included."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _SAMPLE.fullmatch(path.name))


def write_trips(
    path: Path,
    rows: int,
    seed: int,
    *,
    number: int = 0,
    damaged_every: int | None = None,
    columns: Sequence[str] = COLUMNS,
    ending: bytes = b"",
) -> None:
    """Write a CSV file of trips; the file appears when it is complete.

    Args:
        path: the file; one that ends in .gz is packed.
        rows: how many rows follow the header.
        seed: another seed makes other trips.
        number: of the first row; those before it are in other files with the same seed.
        damaged_every: of so many rows the last one is damaged; none, if it is not given.
        columns: their order; `date_time` may stand for `datetime`.
        ending: what comes after the last row.
    """
    partial = path.with_name(f".{path.name}.part")
    with _open(partial, is_packed=path.suffix == ".gz") as stream:
        stream.write(",".join(columns).encode() + b"\n")
        drawn = {"seed": seed} if damaged_every is None else {"seed": seed, "every": damaged_every}
        for part in _parts(path, rows, number, drawn, columns):
            with part.open("rb") as source:
                shutil.copyfileobj(source, stream, 2**20)
            part.unlink()
        stream.write(ending)
    partial.replace(path)


def _parts(
    path: Path, rows: int, number: int, drawn: dict[str, int], columns: Sequence[str]
) -> Iterator[Path]:
    """Files of consecutive rows, in their order, each when it is written; the caller removes it."""
    trips = query(columns, is_damaged="every" in drawn)
    starts = range(number, number + rows, _ROWS_OF_A_PART)
    parts = {n: path.with_name(f".{path.name}.{n}.part") for n in starts}

    def write(first: int) -> Path:
        following = min(first + _ROWS_OF_A_PART, number + rows)
        with connection.cursor() as cursor:
            cursor.execute(
                f"COPY ({trips}) TO $path (FORMAT csv, HEADER false)",
                {**drawn, "first": first, "next": following, "path": str(parts[first])},
            )
        return parts[first]

    # Each thread runs its own query; one query by several threads would lose the rows' order.
    threads = os.cpu_count() or 1
    with (
        closing(duckdb.connect(config={"threads": 1})) as connection,
        ThreadPoolExecutor(threads) as pool,
    ):
        prepare(connection)
        try:
            yield from pool.map(write, starts)
        finally:
            pool.shutdown(cancel_futures=True)
            for part in parts.values():
                part.unlink(missing_ok=True)


@contextmanager
def _open(path: Path, *, is_packed: bool) -> Iterator[IO[bytes] | gzip.GzipFile]:
    with path.open("wb") as stream:
        if not is_packed:
            yield stream
            return
        # Without a name and a time in its header the file depends on its content only.
        with gzip.GzipFile("", "wb", fileobj=stream, mtime=0) as packed:
            yield packed
