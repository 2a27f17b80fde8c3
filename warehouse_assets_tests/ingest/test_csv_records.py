"""Every record of a CSV file ends as a row or as a rejected record with its line and its reason."""

import codecs
import gzip
from datetime import datetime
from pathlib import Path

import pytest

from warehouse_assets.ingest.csv_records import OPEN_QUOTE, OTHER_WIDTH
from warehouse_assets_tests.defs.trips.csv_model import FIELDS
from warehouse_assets_tests.ingest.csv_files import HEADER, Read, read, trip, trips

AT = datetime.fromisoformat("2018-05-28 09:03:40")
ROW = ("Turin", 14.5, 50.0, -3.25, -9.0, AT, "cheap_mobile")
GOOD = trip("Turin")


def other_width(fields: int) -> str:
    return f"{OTHER_WIDTH}: {fields} where the header has 5"


def only_rejected(found: Read, position: int, raw: str) -> str:
    """The reason of the only rejected record, which is of the first file."""
    ((arrival, line, reason, text),) = found.rejected
    assert (arrival, line, text) == (1, position, raw)
    return reason


def test_a_file_gives_the_same_rows_however_it_is_written(tmp_path: Path) -> None:
    plain = trips(GOOD, GOOD)
    quoted = trips(*['"' + GOOD.replace(",", '","') + '"'] * 2)
    blank = plain.replace("\n", "\n\n")
    contents = []
    for text in (plain, plain.rstrip("\n"), blank, f"\n \n{plain}", quoted, quoted.rstrip("\n")):
        contents += [text.encode(), text.replace("\n", "\r\n").encode()]
    contents += [codecs.BOM_UTF8 + content for content in contents]
    contents += [gzip.compress(content) for content in contents]
    found = read(tmp_path, *contents)
    assert (found.rows, found.rejected, found.unknown) == ([ROW] * 2 * len(contents), [], [])
    assert read(tmp_path, contents[0]).rows == read(tmp_path, contents[-1]).rows == [ROW, ROW]


def test_the_header_or_a_line_before_it_shows_the_delimiter(tmp_path: Path) -> None:
    any_place = [(d, before) for d in ",;\t|" for before in ("", "sep={}\n", "\n\ufeffsep={}\r\n")]
    written = [*any_place, *((d, "sep={}\n") for d in "^'")]
    contents = [before.format(d) + trips(GOOD).replace(",", d) for d, before in written]
    assert read(tmp_path, *contents).rows == [ROW] * len(written)
    contents = [before.format(d) + trips(GOOD, "x").replace(",", d) for d, before in any_place[:3]]
    found = read(tmp_path, *contents)
    assert found.rows == [ROW] * 3
    assert [place[:3] for place in found.rejected] == [
        (arrival, 3 + before.count("\n"), other_width(1))
        for arrival, (_, before) in enumerate(any_place[:3], start=1)
    ]


def test_lines_may_end_with_cr_alone(tmp_path: Path) -> None:
    content = trips(GOOD, GOOD).replace("\n", "\r").encode()
    found = read(tmp_path, content, gzip.compress(content), content + b"x\r")
    assert (found.rows, found.raws) == ([ROW] * 6, {4: "x"})


def test_columns_are_found_by_name_in_any_order_and_case(tmp_path: Path) -> None:
    text = (
        'DateTime, Fare ,"Datasource",REGION,driver,"origin_coord ",destination_coord\n'
        "2018-05-28 09:03:40,5,cheap_mobile,Turin,Eva,POINT (14.5 50),POINT (-3.25 -9)\n"
    )
    found = read(tmp_path, text, text.replace("DateTime", "date_time"))
    assert found.rows == [ROW, ROW]
    assert found.unknown == [(1, "driver"), (1, "fare"), (2, "driver"), (2, "fare")]


def test_a_header_may_end_with_delimiters_that_records_have_or_have_not(tmp_path: Path) -> None:
    contents, rejected = list[str](), []
    for line_end in ("\n", ",\n", ",,\n"):
        header = HEADER.replace("\n", line_end)
        contents.append(f"{header}\n{GOOD}{line_end}{GOOD}{line_end}")
        contents.append(f"{header}\n{GOOD}\n{GOOD}\n")
        contents.append(f"{contents[-1]}Turin\n")
        rejected.append((len(contents), 5, other_width(1)))
    found = read(tmp_path, *contents)
    assert found.rows == [ROW] * 18
    assert [place[:3] for place in found.rejected] == rejected


def test_files_with_different_headers_are_read_together(tmp_path: Path) -> None:
    other = trips(GOOD).replace("region,", "").replace("datasource\n", "datasource,region\n")
    other = other.replace("Turin,", "").replace("cheap_mobile\n", "cheap_mobile,Turin\n")
    assert read(tmp_path, trips(GOOD), other).rows == [ROW, ROW]


MISSING, DOUBLED = "columns missing in the header: ", "columns more than once in the header: "
TIME = "datetime or date_time"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("region,origin_coord,datetime", f"{MISSING}destination_coord, datasource"),
        (HEADER.replace("datetime", "time"), f"{MISSING}{TIME}"),
        (HEADER.replace("region", "region,Region"), f"{DOUBLED}region"),
        (HEADER.replace("datetime", "datetime,date_time"), f"{DOUBLED}{TIME}"),
        (GOOD, f"{MISSING}region, origin_coord, destination_coord, {TIME}, datasource"),
        (
            "a\0b\udcff" + "x" * 500,
            f"{MISSING}region, origin_coord, destination_coord, {TIME}, datasource",
        ),
        ('"region,origin_coord', "the header cannot be read: its quotes are not closed"),
    ],
)
def test_a_file_without_its_columns_is_rejected_as_a_whole(
    tmp_path: Path, header: str, reason: str
) -> None:
    content = f"{header.strip()}\n{GOOD}\n".encode(errors="surrogateescape")
    found = read(tmp_path, content, trips(GOOD))
    shown = content.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
    expected = reason if "quotes" in reason else f"{reason}: {shown.splitlines()[0][:200]}"
    assert only_rejected(found, 0, shown) == expected
    assert found.rows == [ROW]


def test_a_damaged_or_foreign_file_is_rejected_as_a_whole(tmp_path: Path) -> None:
    packed = gzip.compress(trips(*[trip(str(number)) for number in range(99)]).encode())
    flipped = packed[:60] + bytes([packed[60] ^ 255]) + packed[61:]
    for content in (packed[:-20], flipped):
        found = read(tmp_path, content, trips(GOOD))
        assert found.reasons[0].startswith("the compressed file is cut off or damaged")
        assert found.rows == [ROW]
    assert read(tmp_path, trips(GOOD).encode("utf-16")).reasons == {
        0: "the file is encoded in UTF-16; give it as UTF-8"
    }


def test_a_file_without_records_gives_nothing(tmp_path: Path) -> None:
    contents = [c.encode() for c in ("", "\n", " \r\n\n", "\ufeff", HEADER, HEADER.strip())]
    assert read(tmp_path, *contents, *map(gzip.compress, contents)) == Read([], [], [], 0)


TEXTS = [
    ('"a,b"', "a,b"),
    ('"say ""x"""', 'say "x"'),
    ('"two\nlines"', "two\nlines"),
    ('"two\r\n\r\nlines"', "two\r\n\r\nlines"),
    ('5" pipe', '5" pipe'),
    (' "Turin"  ', "Turin"),
    ('  "Turin" ', '"Turin"'),
    ('" \tTurin\r\n"', "Turin"),
    ("\vNew Turin\t", "New Turin"),
    ("\N{NO-BREAK SPACE}", "\N{NO-BREAK SPACE}"),
    ("#Turin", "#Turin"),
    ("NULL", "NULL"),
    ("nan", "nan"),
    ("\\", "\\"),
    ("Přerov", "Přerov"),
    ("a\ufeff", "a\ufeff"),
    ("x" * 1_000_000, "x" * 1_000_000),
]


def test_text_is_taken_as_it_is_beside_broken_lines_or_not(tmp_path: Path) -> None:
    lines, values = [trip(region) for region, _ in TEXTS], [value for _, value in TEXTS]
    for line, value in zip(lines, values, strict=True):  # the first quote changes how all are read
        assert read(tmp_path, trips(line)).regions == [value]
    assert read(tmp_path, trips(*lines, "broken"), trips("broken", *lines)).regions == values * 2


BAD_LINES = [
    ("x", other_width(1)),
    ("Turin,POINT (1 2),POINT (1 2),2018-05-28", other_width(4)),
    (GOOD + ",x", other_width(6)),
    (GOOD + ", ", other_width(6)),
    ('"Turin"x' + GOOD, "text follows a closing quote"),
    ('"' + GOOD, OPEN_QUOTE),
    (GOOD.replace("Turin", "Tu\0rin"), "region has a NUL byte"),
    (GOOD.replace("POINT (14", "POINT\0(14"), "origin_coord has a NUL byte"),
    (f'"\ufeff{GOOD[:5]}"{GOOD[5:]}', "region begins with a byte-order mark"),
    (",,,,", "; ".join(f"{name} is missing" for name in FIELDS)),
    ('"",POINT (1 2),POINT (1 2),2018-05-28,x', "region is missing"),
]


def test_a_bad_line_is_rejected_wherever_it_stands(tmp_path: Path) -> None:
    contents, rejected = list[str](), []
    for line, reason in BAD_LINES:
        for place, content in (
            (2, trips(line, GOOD)),
            (4, trips(GOOD, "", line, GOOD)),
            (3, trips(GOOD, line, GOOD).replace("\n", "\r\n")),
        ):
            contents.append(content)
            raw = line.replace("\0", "\N{REPLACEMENT CHARACTER}")
            rejected.append((len(contents), place, reason, raw))
    found = read(tmp_path, *contents)
    assert found.rejected == rejected
    assert found.rows == [ROW] * 5 * len(BAD_LINES)


def test_a_part_of_a_file_may_begin_amid_quotes_and_have_the_only_bad_records(
    tmp_path: Path,
) -> None:
    before = (8 << 20) // (len(GOOD) + 1) - 1000  # DuckDB reads parts of 8 MiB
    # What is within the quotes looks like trips, where the second part begins.
    text = f"{GOOD}\n" * 2000
    quoted = '"' + text + '"' + GOOD.removeprefix("Turin")
    bad = [
        trip("Turin", at="never"),
        *(trip("Turin", origin=f"POINT ({p})") for p in ("180.00000000000003 0", "nan nan")),
    ]

    found = read(tmp_path, trips(*[GOOD] * before, quoted, *bad, GOOD))

    assert found.regions == ["Turin"] * before + [text.rstrip(), "Turin"]
    assert found.raws == dict(enumerate(bad, start=before + 2003))


@pytest.mark.parametrize("line", ['"' + GOOD, GOOD.replace(",cheap", ',"cheap'), '"', '"x\n""'])
def test_a_stray_quote_swallows_no_line_behind_it(tmp_path: Path, line: str) -> None:
    lines = [[GOOD, line, GOOD], [GOOD, GOOD, line], [line]]
    found = read(tmp_path, *(trips(*each) for each in lines))
    assert found.rows == [ROW] * 4
    first = line.partition("\n")[0]
    places = [(arrival, each.index(line) + 2) for arrival, each in enumerate(lines, start=1)]
    assert [place[:2] for place in found.rejected if place[3] == first] == places
    assert read(tmp_path, trips(line)).raws[2] == first


def test_bytes_that_are_not_utf8_cost_only_their_line(tmp_path: Path) -> None:
    bad = GOOD.encode().replace(b"rin", b"r\xedn")
    found = read(tmp_path, b"\n".join([HEADER.encode().strip(), GOOD.encode(), bad, GOOD.encode()]))
    reason = only_rejected(found, 3, bad.decode(errors="replace"))
    assert reason == "region is not valid UTF-8: byte 4"
    assert found.rows == [ROW, ROW]


def test_columns_that_are_ignored_may_hold_anything(tmp_path: Path) -> None:
    head = HEADER.strip().encode() + b",note\n" + GOOD.encode() + b","
    contents = [head + note + b"\n" for note in (b"\xff", b"\0", b'"a\nb"', b"", b"x" * 10**6)]
    for content in contents:
        assert read(tmp_path, content).rows == [ROW], content[-9:]
    assert read(tmp_path, *(content + b"broken\n" for content in contents)).rows == [ROW] * 5


def test_delimiters_at_the_end_of_a_line_are_nothing(tmp_path: Path) -> None:
    content, other = trips(GOOD + ",", GOOD), trips(GOOD + ",,", GOOD + ',""', "broken")
    assert read(tmp_path, content).rows == [ROW, ROW]
    assert read(tmp_path, content, other).rows == [ROW] * 4


def test_a_line_too_long_is_rejected_and_its_neighbours_are_not(tmp_path: Path) -> None:
    contents = [trips(GOOD, trip("x" * size), GOOD) for size in (2 << 20, 5 << 20)]
    found = read(tmp_path, *contents)
    assert found.rejected == [(n, 3, "longer than 2 MiB", "x" * 1000) for n in (1, 2)]
    assert found.rows == [ROW] * 4
    assert read(tmp_path, contents[0]).rejected == found.rejected[:1]


def test_a_record_of_several_lines_is_rejected_at_its_first(tmp_path: Path) -> None:
    bad = trip('"two\n\nlines"', at="tomorrow")
    found = read(tmp_path, trips(trip('"a\nb"'), bad, GOOD, trip("x", at="")))
    assert found.reasons == {
        4: "datetime is not a date and time: tomorrow",
        8: "datetime is missing",
    }
    assert found.raws[4] == bad
    assert found.regions == ["a\nb", "Turin"]


def test_many_small_files_are_one_and_a_broken_one_does_not_hurt_them(tmp_path: Path) -> None:
    contents = [trips(trip(f"{n}-1"), trip(f"{n}-2")) for n in range(1, 61)]
    assert read(tmp_path, *contents).files == 1
    contents[9] = trips("x", trip("10-2"))
    contents[19] = trips(trip("20-1"), '"20-2')
    contents[29] = HEADER
    contents[39] = trips(trip("40-1", at="never"), trip("40-2"))
    found = read(tmp_path, *contents)
    lost = {"10-1", "20-2", "30-1", "30-2", "40-1"}
    names = [f"{n}-{k}" for n in range(1, 61) for k in (1, 2)]
    assert found.regions == [name for name in names if name not in lost]
    assert [place[:2] for place in found.rejected] == [(10, 2), (20, 3), (40, 2)]


def test_a_file_is_read_alone_whatever_its_name_means_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / "region=[5]*"
    folder.mkdir()
    names = dict(enumerate(["t*.csv", "[t]rips-5.csv", "t'\"; --.csv", "a\\b.csv"], start=1))
    for bad, rejected in ([], []), (["x"], [(n, 3, other_width(1), "x") for n in range(1, 6)]):
        found = read(folder, *[trips(GOOD, *bad)] * 5, names=names)
        assert (found.rows, found.rejected) == ([ROW] * 5, rejected)


def test_order_and_places_hold_over_many_blocks_of_a_big_file(tmp_path: Path) -> None:
    # DuckDB reads blocks of 8 MiB, several at a time, Python of 1 MiB.
    app = "x" * 2000
    bad = {2: "", 5000: "POINT (5)", 8999: "x", 9001: "POINT (181 0)"}
    regions = [f'"{n}\n{n}"' if n % 7 == 0 else str(n) for n in range(9001)]
    lines = [trip(region) + app for region in regions]
    for number, origin in bad.items():
        lines[number - 2] = trip(f"{number}", origin=origin)
    places, position = {}, 2
    for number, line in enumerate(lines, start=2):
        if number in bad:
            places[position] = line
        position += line.count("\n") + 1
    found = read(tmp_path, trips(*lines))
    assert found.raws == places
    kept = [region.strip('"') for n, region in enumerate(regions, start=2) if n not in bad]
    assert found.regions == kept


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
