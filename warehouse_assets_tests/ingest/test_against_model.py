"""Whatever lines come, the reader and a plain Python model agree on every one of them."""

import json
import random
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse_assets_tests.house import House
from warehouse_assets_tests.ingest.deliveries import take
from warehouse_assets_tests.ingest.model import Row, row_of, row_of_line
from warehouse_assets_tests.ingest.staging import stage, vote_text

File = tuple[bytes, list[tuple[int, Row | None]]]
"""The content of a file, and its records: the place of each, and its row if it can be used."""

COLUMNS = ("id", "post_id", "vote_type_id", "user_id", "creation_date")

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**65), 2**65),
    st.integers(0, 20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8),
)
numbers = st.one_of(
    st.integers(0, 50),
    st.integers(0, 50).map(str),
    st.sampled_from(
        ["1.5", "0x10", "1e3", "NaN", "", "3.0", "+7", "007", " 8\t", "٣", 1.0, 2.5, "-1"]
    ),
    scalars,
)
zones = st.sampled_from(["", "", "", "Z", "+02:00", "-09:30"])
moments = st.one_of(
    st.builds(
        lambda moment, timespec, zone: moment.isoformat(timespec=timespec) + zone,
        st.datetimes(
            min_value=datetime.fromisoformat("0001-01-03"),
            max_value=datetime.fromisoformat("9999-12-29"),
        ),
        st.sampled_from(["seconds", "milliseconds", "microseconds"]),
        zones,
    ),
    st.sampled_from(
        ["2022-02-30", "2022-01-02", "epoch", "infinity", "2022-01-02T25:00:00", "", " 2022-01-02 "]
    ),
    scalars,
)
whole_votes = st.fixed_dictionaries(
    {"Id": st.integers(0, 99).map(str), "PostId": st.integers(0, 9), "CreationDate": moments}
)
votes = st.one_of(
    whole_votes,
    st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(("Id", "PostId", "VoteTypeId", "UserId", "BountyAmount"), numbers),
            "CreationDate": moments,
            "Unknown": st.lists(scalars, max_size=2),
        },
    ),
)
values = st.one_of(votes, votes, votes, scalars, st.lists(scalars, max_size=3))
# DuckDB cannot read an array in which a number by itself has more than 64 bits.
elements_of_arrays = values.filter(lambda value: type(value) is not int or abs(value) < 2**63)


def as_line(value: Any, is_ascii: bool, end: bytes) -> bytes:
    return json.dumps(value, ensure_ascii=is_ascii).encode() + end


def behind_stray_bytes(line: bytes) -> bytes:
    """What is left of a line without NUL bytes, byte-order marks and blanks at its beginning."""
    rest = line.removeprefix(b"\0").removeprefix(b"\xef\xbb\xbf").lstrip(b" ")
    return rest if rest == line else behind_stray_bytes(rest)


def is_usable_for_lines(lines: Sequence[bytes]) -> bool:
    """Whether a file of these lines is one of lines, in UTF-8 and not compressed."""
    meant = map(behind_stray_bytes, lines)
    first = next((line for line in meant if line.strip()), b"").lstrip()
    return not first.startswith((b"[", b"\x1f\x8b", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"))


json_lines = st.builds(as_line, values, st.booleans(), st.sampled_from([b"", b"", b"\r", b" "]))
cut_lines = st.builds(
    lambda line, share: line[: int(len(line) * share)], json_lines, st.floats(0, 1)
)
junk = st.one_of(
    st.sampled_from([b"", b" ", b"\t\r", b"5", b"{", b"}{", b"\xff", b"\x00", b"<html>", b"'{}'"]),
    st.binary(max_size=12).map(lambda raw: raw.replace(b"\n", b"")),
    st.builds(lambda one, two: one + b" " + two, json_lines, json_lines),
)
files_of_lines = st.lists(st.one_of(json_lines, json_lines, cut_lines, junk), max_size=12)


def of_lines(lines: Sequence[bytes], ends_with_newline: bool) -> File:
    judged = [
        (n, row_of_line(line))
        for n, line in enumerate(map(behind_stray_bytes, lines), start=1)
        if line.strip()
    ]
    return b"\n".join(lines) + (b"\n" if ends_with_newline else b""), judged


def of_elements(elements: Sequence[Any], indent: int | None) -> File:
    judged = [(n, row_of(element)) for n, element in enumerate(elements, start=1)]
    return json.dumps(elements, indent=indent).encode(), judged


files = st.one_of(
    st.builds(of_lines, files_of_lines.filter(is_usable_for_lines), st.booleans()),
    st.builds(
        of_elements, st.lists(elements_of_arrays, max_size=12), st.sampled_from([None, 0, 2])
    ),
)


@settings(max_examples=6, deadline=None, database=None, derandomize=True)
@given(st.lists(files, min_size=3, max_size=5))
def test_records_are_judged_as_the_model_judges_them(
    tmp_path_factory: pytest.TempPathFactory, given_files: list[File]
) -> None:
    contents = [content for content, _ in given_files]
    staged = stage(tmp_path_factory.mktemp("files"), *contents, columns=("arrival", *COLUMNS))
    judged = [
        (arrival, place, row)
        for arrival, (_, records) in enumerate(given_files, start=1)
        for place, row in records
    ]
    assert staged.rows == [(arrival, *row) for arrival, _, row in judged if row is not None]
    bad = [(arrival, place) for arrival, place, row in judged if row is None]
    assert [reject[:2] for reject in staged.rejected] == bad
    assert all(reason for _, _, reason, _ in staged.rejected)


def damaged(source: random.Random, number: int) -> bytes:
    """A line of one of many kinds that hold no vote."""
    whole = vote_text(number)
    return source.choice(
        [
            whole[: source.randrange(1, len(whole))].encode(),
            vote_text(f"{number}.5").encode(),
            vote_text(hex(number)).encode(),
            vote_text(number, PostId=None).encode(),
            vote_text(number, CreationDate=None).encode(),
            vote_text(number, CreationDate="2022-02-30").encode(),
            vote_text(number, CreationDate="epoch").encode(),
            vote_text(number, UserId="nobody").encode(),
            whole.encode() + whole.encode(),
            whole.encode().replace(b'"1"', b'"\xe91"'),
            whole.encode() + b"\x00",
            b"\x89PNG",
            b"\x01\x00\x02",
            b"null",
            b"[1,2]",
            b"5",
            b'"text"',
            b"{}",
            b"}",
            b"<html>",
            b"NaN",
        ]
    )


def test_of_a_thousand_damaged_lines_none_is_lost(house: House) -> None:
    source = random.Random(2022)
    lines = [b"null"]
    good, bad = set(), {1: b"null"}
    for position in range(2, 1001):
        kind = source.random()
        if kind < 0.5:
            lines.append(vote_text(position, New="ü").encode())
            good.add(position)
        elif kind < 0.6:
            lines.append(source.choice([b"", b" ", b"\t \r"]))
        else:
            lines.append(damaged(source, position))
            bad[position] = lines[-1]
    house.deliver("votes.json", b"\n".join(lines))

    take(house)

    not_blank = sum(1 for line in lines if line.strip())
    assert {number for (number,) in house.stored("votes", "id")} == good
    rejected = house.rejected()
    assert len(rejected) == len(bad)
    assert len(good) + len(rejected) == not_blank
    assert {unit for _, unit, _, _, _ in rejected} == {"00000001-votes.json"}
    assert {position: raw for _, _, position, _, raw in rejected} == {
        position: line.decode(errors="replace").replace("\0", "\ufffd")
        for position, line in bad.items()
    }
    assert all(reason for _, _, _, reason, _ in rejected)
