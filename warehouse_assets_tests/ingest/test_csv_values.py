"""Which texts are points and times, and why others are not."""

from datetime import datetime
from pathlib import Path

import pytest

from warehouse_assets_tests.ingest.csv_files import read, trip, trips

POINTS = {
    "POINT (14.5 50)": (14.5, 50),
    "POINT (14.205662487624788 49.990962878533496)": (14.205662487624788, 49.990962878533496),
    "POINT(14.5 50)": (14.5, 50),
    "point (14.5 50)": (14.5, 50),
    "Point\t( 14.5   50 ) ": (14.5, 50),
    "  POINT (14.5\t50)": (14.5, 50),
    "POINT (1.45e1 5E+1)": (14.5, 50),
    "POINT (+14.5 -.5)": (14.5, -0.5),
    "POINT (5. 007)": (5, 7),
    "POINT (-180 -90)": (-180, -90),
    "POINT (180.0 90)": (180, 90),
}

NOT_POINTS = [
    "POINT EMPTY", "POINT ()", "POINT (14.5)", "POINT (14.5 50 7)", "POINT Z (14.5 50 7)",
    "POINT (14,5 50)", "POINT (14.5, 50)", "POINT (14.5 50", "POINT 14.5 50", "POINT (14.5 50))",
    "POINT (14.5 50) x", "xPOINT (14.5 50)", "PAINT (14.5 50)", "LINESTRING (1 2)", "14.5 50",
    "POINT (1_4 50)", "POINT (0x10 50)", "POINT (5e 50)", "POINT (\uff11 50)", "POINT (nan 50)",
    "POINT (inf 50)", "POINT (1 -infinity)", "POINT (1 NULL)", "(14.5 50)", "POINT ((14.5 50))",
    "POINT (14.5 50é)", "é POINT (14.5 50)", "-",
]  # fmt: skip

ALONE_OFF_THE_EARTH = [
    "180.00000000000003 0", "-180.00000000000003 0", "0 90.00000000000001", "0 -90.00000000000001",
    "inf 0", "0 -inf", "inf -inf", "nan 0", "0 nan", "1e999 0",
]  # fmt: skip

OFF_THE_EARTH = ["POINT (180.0001 0)", "POINT (0 -90.5)", "POINT (50 114.5)", "point (1e400 0)"]

TIMES = {
    "2018-05-28 09:03:40": "2018-05-28 09:03:40",
    "2018-05-28T09:03:40": "2018-05-28 09:03:40",
    "2018-05-28 09:03": "2018-05-28 09:03:00",
    "2018-05-28": "2018-05-28 00:00:00",
    "2018-05-28 09:03:40.5": "2018-05-28 09:03:40.500000",
    "2018-05-28 09:03:40.123456": "2018-05-28 09:03:40.123456",
    "2018-05-28T09:03:40.1234567": "2018-05-28 09:03:40.123456",
    "2018-05-28T09:03:40Z": "2018-05-28 09:03:40",
    "2018-05-28 09:03:40+02": "2018-05-28 07:03:40",
    "2018-05-28T23:03:40.250-09:30": "2018-05-29 08:33:40.250000",
    "2020-02-29 23:59:59": "2020-02-29 23:59:59",
    "0001-01-01 00:00:00": "0001-01-01 00:00:00",
    "9999-12-31 23:59:59": "9999-12-31 23:59:59",
}

NOT_TIMES = [
    "2018-02-30 09:03:40", "2019-02-29", "2018-13-01 00:00:00", "2018-05-28 25:00:00",
    "2018-05-28 24:00:00", "2018-05-28 09:60:00", "2018-05-28 09:03:60", "epoch", "infinity",
    "-infinity", "now", "today", "NULL", "18-05-28 09:03:40", "2018-5-28 09:03:40",
    "2018-05-28 9:03:40", "2018/05/28 09:03:40", "28.05.2018 09:03", "05/28/2018", "20180528",
    "1527498220", "2018-05-28 (BC) 09:03:40", "0000-01-01 00:00:00", "12018-05-28 09:03:40",
    "2018-05-28 09:03:40 Europe/Prague", "2018-05-28 09:03:40 AM", "2018-05-28 09:03:40 x",
    "٢٠١٨-05-28 09:03:40", "2018-05-28 09:03:4 ", "2018-05-1T 09:03:40", " 018-05-28 09:03:40",
    "2018-05-28 09:03:40+25:99", "-",
]  # fmt: skip


def test_points_are_read_in_every_usual_form(tmp_path: Path) -> None:
    lines = [trip("Turin", origin=f'"{text}"') for text in POINTS]
    found = read(tmp_path, trips(*lines))
    assert found.rejected == []
    assert [row[1:3] for row in found.rows] == list(POINTS.values())


@pytest.mark.parametrize("is_quoted", [True, False])
def test_other_texts_are_no_points(tmp_path: Path, is_quoted: bool) -> None:
    texts = [text for text in NOT_POINTS if is_quoted or "," not in text]
    origins = [f'"{text}"' if is_quoted else text for text in texts]
    found = read(tmp_path, trips(*(trip("Turin", origin=origin) for origin in origins)))
    assert found.rows == []
    assert found.reasons == {
        line: f"origin_coord is not POINT (longitude latitude): {text}"
        for line, text in enumerate(texts, start=2)
    }


def test_points_off_the_earth_are_rejected(tmp_path: Path) -> None:
    lines = [trip("Turin", origin=text).replace("-3.25 -9", "-9 93.25") for text in OFF_THE_EARTH]
    found = read(tmp_path, trips(*lines))
    rule = "is not a longitude (-180 to 180) and a latitude (-90 to 90)"
    assert found.reasons == {
        line: f"origin_coord {rule}; destination_coord {rule}: {text}; POINT (-9 93.25)"
        for line, text in enumerate(OFF_THE_EARTH, start=2)
    }


@pytest.mark.parametrize("numbers", ALONE_OFF_THE_EARTH)
@pytest.mark.parametrize("end", ["origin", "destination"])
def test_the_only_point_off_the_earth_is_found(tmp_path: Path, end: str, numbers: str) -> None:
    good, point = trip("Turin"), f"POINT ({numbers})"
    bad = trip("Turin", origin=point) if end == "origin" else trip("Turin", destination=point)
    found = read(tmp_path, trips(good, bad, good))
    assert len(found.rows) == 2
    assert found.raws == {3: bad}
    assert found.reasons[3].startswith(f"{end}_coord is not ")


@pytest.mark.parametrize("numbers", ["180.00000000000003 0", "nan nan"])
def test_one_of_many_parts_has_the_only_point_off_the_earth(tmp_path: Path, numbers: str) -> None:
    # Each part of a Parquet file, of some hundred thousand rows, has statistics of its own.
    good, bad = [trip("Turin")] * 130_000, trip("Turin", origin=f"POINT ({numbers})")
    found = read(tmp_path, trips(*good, bad, *good))
    assert len(found.rows) == 260_000
    assert found.raws == {130_002: bad}


def test_times_are_read_in_every_usual_form(tmp_path: Path) -> None:
    found = read(tmp_path, trips(*(trip("Turin", at=text) for text in [*TIMES, *TIMES])))
    assert found.rejected == []
    expected = [datetime.fromisoformat(text) for text in TIMES.values()]
    assert [row[5] for row in found.rows] == expected * 2


def test_other_texts_are_no_times(tmp_path: Path) -> None:
    found = read(tmp_path, trips(*(trip("Turin", at=text) for text in NOT_TIMES)))
    assert found.rows == []
    assert found.reasons == {
        line: f"datetime is not a date and time: {text}"
        for line, text in enumerate(NOT_TIMES, start=2)
    }


def test_a_long_text_is_cut_in_the_reason_and_whole_in_the_raw_text(tmp_path: Path) -> None:
    line = trip("Turin", at="x" * 61)
    found = read(tmp_path, trips(line))
    assert found.reasons == {2: f"datetime is not a date and time: {'x' * 60}…"}
    assert found.raws == {2: line}


def test_blanks_around_any_value_are_ignored_and_blanks_alone_are_missing(tmp_path: Path) -> None:
    plain = "Old Turin,POINT (14.5 50),POINT (-3.25 -9),2018-05-28 09:03:40,cheap_mobile"
    padded = (
        '\v Old Turin , "POINT (14.5 50)" , POINT (-3.25 -9)\t,  2018-05-28 09:03:40 , cheap_mobile'
    )
    found = read(tmp_path, trips(padded, plain), trips(plain, f"{padded}\t", " ,\t,  ,\v, \f"))
    moment = datetime.fromisoformat("2018-05-28 09:03:40")
    assert found.rows == [("Old Turin", 14.5, 50, -3.25, -9, moment, "cheap_mobile")] * 4
    names = ["region", "origin_coord", "destination_coord", "datetime", "datasource"]
    assert found.reasons == {4: "; ".join(f"{name} is missing" for name in names)}
