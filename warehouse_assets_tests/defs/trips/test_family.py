"""Which files are trips."""

import gzip
from pathlib import Path

import pytest

from warehouse_assets.defs.trips.family import TRIPS_FILES
from warehouse_assets.ingest.inbox import InboxFile

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
