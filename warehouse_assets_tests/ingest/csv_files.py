"""Reading files of CSV as the sources do, without a lake."""

import glob
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import duckdb

from warehouse_assets.defs.trips.tables import TRIPS
from warehouse_assets.ingest.csv import stage_csv_files
from warehouse_assets.ingest.file_kinds import Unit
from warehouse_assets.ingest.inbox import InboxFile
from warehouse_assets.ingest.staging import REJECTED, UNKNOWN
from warehouse_assets.lake import LakeTable
from warehouse_assets_tests.ingest.stored import WHY

HEADER = "region,origin_coord,destination_coord,datetime,datasource\n"
COLUMNS = "region, origin_lon, origin_lat, destination_lon, destination_lat, started_at, datasource"


@dataclass(frozen=True)
class Read:
    """Good rows by arrival and in their order, rejects, unknown columns, and how many files."""

    rows: list[tuple[Any, ...]]
    rejected: list[tuple[int, int, str, str]]
    unknown: list[tuple[int, str]]
    files: int

    @property
    def regions(self) -> list[str]:
        """The first field of the good rows."""
        return [row[0] for row in self.rows]

    @property
    def reasons(self) -> dict[int, str]:
        """Position and reason of each rejected record."""
        return {position: reason for _, position, reason, _ in self.rejected}

    @property
    def raws(self) -> dict[int, str]:
        """Position and raw text of each rejected record."""
        return {position: raw for _, position, _, raw in self.rejected}


def trip(
    region: str,
    *,
    at: str = "2018-05-28 09:03:40",
    origin: str = "POINT (14.5 50)",
    destination: str = "POINT (-3.25 -9)",
) -> str:
    """A line of a trip."""
    return f"{region},{origin},{destination},{at},cheap_mobile"


def trips(*lines: str) -> str:
    """A file of these lines."""
    return HEADER + "".join(f"{line}\n" for line in lines)


@cache
def _engine(threads: int) -> duckdb.DuckDBPyConnection:
    """A DuckDB; to start one takes as long as to read a file, and what is read is temporary."""
    engine = duckdb.connect(config={"threads": threads})
    engine.execute("SET GLOBAL TimeZone = 'UTC'")
    return engine


def read(
    folder: Path,
    *contents: str | bytes,
    names: Mapping[int, str] | None = None,
    threads: int = 2,
) -> Read:
    """Read files of these contents, whose arrival numbers count from 1."""
    inbox, spool, lake = (Path(mkdtemp(dir=folder)) for _ in range(3))
    units = []
    for arrival, content in enumerate(contents, start=1):
        path = inbox / (names or {}).get(arrival, f"trips-{arrival}.csv")
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        units.append(Unit(InboxFile.look_at(path), arrival, str(arrival)))
    with _engine(threads).cursor() as connection:
        staged = stage_csv_files(connection, LakeTable(TRIPS, lake), units, spool)
        written = {lake / each.action.path for each in staged}
        assert set(lake.iterdir()) == written
        rows: list[tuple[Any, ...]] = []
        for file in written:
            rows += connection.execute(
                f"SELECT {COLUMNS}, arrival, file_row_number AS row "
                "FROM read_parquet(?, file_row_number = true, hive_partitioning = false)",
                [glob.escape(str(file))],
            ).fetchall()
        rejected = connection.execute(
            f"SELECT arrival, position, {WHY}, raw FROM {REJECTED} ORDER BY 1, 2"
        ).fetchall()
        unknown = connection.execute(f"SELECT arrival, field FROM {UNKNOWN} ORDER BY 1, 2")
        found = unknown.fetchall()
    rows.sort(key=lambda row: row[-2:])
    assert all(reason for _, _, reason, _ in rejected)
    assert sum(each.rows for each in staged) == len(rows)
    return Read([row[:-2] for row in rows], rejected, found, len(staged))
