"""Which files are trips, and what is written of them."""

import gzip
from pathlib import Path

import duckdb
import pytest

from warehouse_assets.defs.trips.family import TRIPS_FILES
from warehouse_assets.defs.trips.tables import TRIPS
from warehouse_assets.ingest.csv import stage_csv_files
from warehouse_assets.ingest.file_kinds import Unit
from warehouse_assets.ingest.inbox import InboxFile
from warehouse_assets.lake import Lake
from warehouse_assets.lake.commit import commit_properties
from warehouse_assets.tables import column_names

HEADER = "region,origin_coord,destination_coord,date_time,datasource\n"
OTHERS = "a,b\n1,2\n"


@pytest.mark.parametrize(
    ("name", "content", "is_one"),
    [
        ("trips.csv", HEADER, True),
        ("TRIPS-2018.CSV", HEADER, True),
        ("trips.csv.gz", "", True),
        ("trips_of_others.csv", OTHERS, True),
        ("turin.csv", HEADER, True),
        (
            "turin.csv",
            '\ufeff"Region";DATASOURCE;x;DateTime;origin_coord;destination_coord\n',
            True,
        ),
        ("turin.csv", OTHERS, False),
        ("turin.csv", HEADER.replace("region", "area"), False),
        ("turin.csv", "", False),
        ("trips.json", HEADER, False),
        ("trips", HEADER, False),
        ("trips.csv.part", HEADER, False),
    ],
)
def test_a_csv_file_is_trips_by_its_name_or_its_header(
    tmp_path: Path, name: str, content: str, is_one: bool
) -> None:
    path = tmp_path / name
    for stored in (content.encode(), gzip.compress(content.encode())):
        path.write_bytes(stored)
        assert TRIPS_FILES.recognises(InboxFile.look_at(path)) is is_one


def test_a_damaged_file_is_trips_by_its_name_only(tmp_path: Path) -> None:
    for name, is_one in (("trips.csv.gz", True), ("turin.csv.gz", False)):
        path = tmp_path / name
        path.write_bytes(gzip.compress(HEADER.encode())[:-9] + b"x")
        assert TRIPS_FILES.recognises(InboxFile.look_at(path)) is is_one


def test_what_is_written_becomes_part_of_the_table_and_can_be_compacted(tmp_path: Path) -> None:
    # More regions than a dictionary takes, so that every encoding of the file occurs.
    lines = [
        f"r{n},POINT ({n / 100} 50),POINT (3 -9),2018-05-28 09:{n // 60 % 60:02}:{n % 60:02},x\n"
        for n in range(6000)
    ]
    path, spool = tmp_path / "trips.csv", tmp_path / "spool"
    path.write_text(HEADER + "".join(lines))
    spool.mkdir()
    lake = Lake(tmp_path / "lake", tmp_path / "scratch", 10**9)
    table = lake.table(TRIPS)
    handle = table.open()
    with lake.connect() as connection:
        units = [Unit(InboxFile.look_at(path), 7, "digest")]
        (file,) = stage_csv_files(connection, table, units, spool)
    handle.create_write_transaction(
        [file.action], "append", handle.schema(), commit_properties=commit_properties({})
    )
    assert file.rows == 6000
    for uris in (table.open().file_uris(), compacted(lake)):
        rows = duckdb.execute(
            "SELECT count(*), count(DISTINCT region), max(origin_lon), min(arrival), "
            f"max(started_at) - min(started_at) FROM read_parquet({uris})"
        ).fetchall()
        assert [str(value) for value in rows[0]] == ["6000", "6000", "59.99", "7", "0:59:59"]
        columns = duckdb.execute(f"DESCRIBE FROM read_parquet({uris})").fetchall()
        assert [name for name, *_ in columns] == column_names(TRIPS)


def compacted(lake: Lake) -> list[str]:
    """The files of the table after Delta has read and written them."""
    handle = lake.table(TRIPS).open()
    handle.optimize.z_order(["region"])
    return handle.file_uris()
