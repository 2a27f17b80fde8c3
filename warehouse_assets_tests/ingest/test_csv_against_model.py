"""Files made by chance are read as a model in plain Python reads them."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse_assets_tests.defs.trips.csv_model import FIELDS, judge
from warehouse_assets_tests.ingest.csv_files import HEADER, read, trip

NUMBERS = ["0", "14.5", "-9.25", "+1", "1e1", "90", "90.0001", "-180", "181"]
NUMBERS += ["1_0", "nan", "5.", ""]
TEXTS = ["Prague", "Přerov", "a,b;c|d", 'say "x"', "two\nlines", "cr\r\nlf", "#1", "NULL", "\\"]
MOMENTS = [
    "2018-05-28T09:03:40",
    "2018-05-28 09:03:40.25",
    "2018-05-28T23:59:59+02:00",
    "2018-05-28T01:00:00Z",
    "2018-05-28",
    "2018-02-30 01:00:00",
    "2018-05-28 24:00:00",
    "2018-05-28 25:00:00",
    "18-05-28 01:00:00",
    "20180528",
    " 2018-05-28 01:00:00+02:00",
    "epoch",
    "infinity",
    "",
]
usual_texts = st.sampled_from(TEXTS)
usual_moments = st.sampled_from(["2018-05-28 09:03:40", "2020-02-29 23:59:59", *MOMENTS[:5]])
usual_points = st.builds("POINT ({} {})".format, st.integers(-180, 180), st.floats(-90, 90))
odd_points = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(["POINT (", "POINT(", "point  ( ", "POINT Z (", "PNT ("]),
    st.sampled_from(NUMBERS),
    st.sampled_from([" ", "  ", ",", " 1 "]),
    st.sampled_from(NUMBERS),
    st.sampled_from([")", " )", "", "))"]),
)


def records_of(
    texts: st.SearchStrategy[str], points: st.SearchStrategy[str], moments: st.SearchStrategy[str]
) -> st.SearchStrategy[dict[str, str]]:
    kinds = [texts, points, points, moments, texts]
    return st.fixed_dictionaries(dict(zip([*FIELDS, "fare"], [*kinds, texts], strict=True)))


usual_records = records_of(usual_texts, usual_points, usual_moments)
odd_records = records_of(
    usual_texts | st.text('ab ,"é', max_size=3),
    usual_points | odd_points,
    usual_moments | st.sampled_from(MOMENTS),
)
records = st.one_of(usual_records, usual_records, odd_records)
damages = st.one_of(
    st.just(("", 0, 0)),
    st.just(("", 0, 0)),
    st.tuples(
        st.sampled_from(['"', '""', ",", ";", "\udcff", "\0", "\n", "x", "\r\n", ',"']),
        st.integers(0, 90),
        st.sampled_from([0, 0, 1, 90]),
    ),
)
junk = st.sampled_from(
    ["", " ", "\t", '"', '""', '"x', ",", ",,,,,", "\0", "\udcff", "{}", "x,y", "\ufeff"]
)


def field(text: str, is_quoted: bool, delimiter: str) -> str:
    needs = any(mark in text for mark in (delimiter, '"', "\r", "\n"))
    return '"' + text.replace('"', '""') + '"' if is_quoted or needs else text


@st.composite
def files(draw: st.DrawFn) -> bytes:
    delimiter = draw(st.sampled_from(",,,;\t|"))
    end = draw(st.sampled_from(["\n", "\n", "\r\n"]))
    names = draw(st.permutations([*FIELDS, *draw(st.sampled_from([[], ["fare"]]))]))
    is_other = draw(st.booleans())
    header = [name.replace("datetime", "date_time") if is_other else name for name in names]
    shown = draw(st.sampled_from(["{}", '" {} "', " {}"]))
    before = draw(st.sampled_from(["", "", "", end, "\ufeff"]))
    lines = [before + delimiter.join(shown.format(name.title()) for name in header)]
    is_damaged = draw(st.booleans())
    for record in draw(st.lists(records, max_size=6)):
        is_quoted = draw(st.booleans())
        line = delimiter.join(field(record[name], is_quoted, delimiter) for name in names)
        if is_damaged:
            put, place, cut = draw(damages)
            line = line[:place] + put + line[place + cut :]
            lines += draw(st.lists(junk, max_size=1))
        lines.append(line)
    text = end.join(lines) + draw(st.sampled_from(["", end, end + end]))
    return text.encode("utf-8", errors="surrogateescape")


@settings(max_examples=9, deadline=None, database=None, derandomize=True)
@given(contents=st.lists(files(), min_size=1, max_size=3), threads=st.sampled_from([1, 2]))
def test_files_are_read_as_the_model_reads_them(
    tmp_path_factory: pytest.TempPathFactory, contents: list[bytes], threads: int
) -> None:
    found = read(tmp_path_factory.mktemp("csv"), *contents, threads=threads)
    judged = [judge(content) for content in contents]
    assert found.rows == [row for rows, _ in judged for row in rows]
    assert [(arrival, line, raw) for arrival, line, _, raw in found.rejected] == [
        (arrival, *rejected) for arrival, (_, bad) in enumerate(judged, start=1) for rejected in bad
    ]


def damaged(source: random.Random, line: str) -> bytes:
    """A line of one of many kinds that hold no trip."""
    place = source.randrange(1, len(line) - 12)
    return source.choice(
        [
            line[:place].encode(),
            (line + ",x").encode(),
            ('"' + line).encode(),
            line.replace(",", ',"', 1).encode(),
            line.replace(",", '"x",', 1).encode().replace(b"r", b'"r', 1),
            line.replace("_", "\0").encode(),
            line.encode().replace(b"r", b"\xe9"),
            line.replace("2018", "18").encode(),
            line.replace("09:03", "25:03").encode(),
            line.replace("-28", "-32").encode(),
            line.replace("14.5", "514.5").encode(),
            line.replace("14.5 50", "EMPTY").encode(),
            line.replace("(14.5 50)", "EMPTY").encode(),
            line.replace("14.5 50", "14.5 50 7").encode(),
            line.replace("cheap_mobile", "").encode(),
            b'"', b'""', b"{}", b"\x89PNG", b"," * 4, b"," * 9, b"<html>", b"\xff\xfe",
        ]
    )  # fmt: skip


@pytest.mark.parametrize("is_broken", [True, False])
def test_of_a_thousand_damaged_lines_none_is_lost(tmp_path: Path, is_broken: bool) -> None:
    source = random.Random(2018)
    lines, good, bad = [HEADER.strip().encode()], [], {}
    for number in range(2, 2002):
        line = trip(f"r{number}")
        if source.random() < 0.5:
            lines.append(line.encode())
            good.append(f"r{number}")
        else:
            raw = damaged(source, line) if is_broken else line.replace("2018", "x").encode()
            lines.append(raw)
            bad[number] = raw.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
    found = read(tmp_path, b"\n".join(lines))
    assert found.regions == good
    assert found.raws == bad
