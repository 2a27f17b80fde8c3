"""Which texts are values of which columns, and why others are not."""

import json
from pathlib import Path
from typing import Any

import pytest

from warehouse_assets.defs.forum.tables import POSTS
from warehouse_assets_tests.ingest.staging import DAY, Staged, stage, vote_text


def staged_both_ways(folder: Path, *texts: str) -> Staged:
    """Read records as lines, and in an array; both ways must agree."""
    lines = stage(folder, "\n".join(texts))
    array = stage(folder, f"[{', '.join(texts)}]")
    assert lines.rows == array.rows
    assert lines.reasons == array.reasons
    return lines


def votes_with_id(*written: str) -> list[str]:
    """A vote for each, whose number is written so."""
    return [vote_text(0).replace('"Id": 0', f'"Id": {number}') for number in written]


WHOLE_NUMBERS = {
    '"1"': 1,
    "1": 1,
    "1.0": 1,
    "0": 0,
    "-5": -5,
    "1e3": 1000,
    "999999999999999.0": 999_999_999_999_999,
    "9223372036854775807": 2**63 - 1,
    '"-9223372036854775808"': -(2**63),
    '"5\\n"': 5,
}
NO_WHOLE_NUMBERS = [
    '"1.5"', "1.5", '"1e3"', "NaN", "Infinity", "-Infinity", "9223372036854775808", "1e30",
    "123456789012345678901234567890", "9007199254740993.0", "true", "false", '{"a":1}', "[1]",
    '"1\\u00002"',
]  # fmt: skip


def test_numbers_are_whole_however_json_writes_them(tmp_path: Path) -> None:
    staged = staged_both_ways(tmp_path, *votes_with_id(*WHOLE_NUMBERS))
    assert staged.reasons == {}
    assert dict(zip(WHOLE_NUMBERS, staged.ids, strict=True)) == WHOLE_NUMBERS


def test_what_is_not_a_whole_number_is_not_guessed(tmp_path: Path) -> None:
    texts = votes_with_id(*NO_WHOLE_NUMBERS)
    staged = staged_both_ways(tmp_path, *texts)
    assert staged.rows == []
    assert staged.raws == dict(enumerate(texts, start=1))
    for reason in staged.reasons.values():
        assert reason.startswith("Id is not a whole number: ")


NO_MOMENTS: list[Any] = [1641081600, True, {"$date": "2022-01-02"}, ["2022-01-02"]]


def test_what_is_not_text_is_no_time(tmp_path: Path) -> None:
    texts = [vote_text(1, CreationDate=written) for written in NO_MOMENTS]
    staged = staged_both_ways(tmp_path, *texts)
    assert staged.rows == []
    for reason in staged.reasons.values():
        assert reason.startswith("CreationDate is not a date and time: ")


def test_null_and_text_of_blanks_are_missing(tmp_path: Path) -> None:
    staged = staged_both_ways(tmp_path, *votes_with_id("null", '""', '" \\t\\u000b"'))
    assert staged.reasons == dict.fromkeys((1, 2, 3), "Id is missing")


def test_a_time_does_not_depend_on_the_zone_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    staged = stage(tmp_path, vote_text(1), vote_text(2, CreationDate="2022-01-02T09:00:00+09:00"))
    assert [row[2].isoformat() for row in staged.rows] == [
        "2022-01-02T00:00:00",
        "2022-01-02T00:00:00",
    ]


def test_a_record_says_everything_that_is_wrong_with_it(tmp_path: Path) -> None:
    text = json.dumps({"Id": "x", "CreationDate": "epoch", "UserId": "1.5", "VoteTypeId": "2"})
    assert staged_both_ways(tmp_path, text).reasons == {
        1: "Id is not a whole number; PostId is missing; UserId is not a whole number; "
        "CreationDate is not a date and time: x; 1.5; epoch"
    }


def test_an_optional_number_that_is_damaged_makes_the_record_unusable(tmp_path: Path) -> None:
    staged = stage(tmp_path, vote_text(1, UserId="nobody") + "\n" + vote_text(2, UserId=""))
    assert staged.ids == [2]
    assert staged.reasons == {1: "UserId is not a whole number: nobody"}


def test_a_long_text_is_cut_in_the_reason_and_whole_in_the_raw_text(tmp_path: Path) -> None:
    text = vote_text("ä" * 500)
    staged = stage(tmp_path, text)
    assert staged.reasons == {1: "Id is not a whole number: " + "ä" * 60 + "…"}
    assert staged.raws == {1: text}


def test_text_is_kept_as_it_came(tmp_path: Path) -> None:
    bodies: list[Any] = ["", ' a\n\t"b" ', "日本 \N{PILE OF POO}", "null", "5", "<p>&amp;</p>"]
    lines = [
        json.dumps({"Id": n, "CreationDate": DAY, "Body": body}) for n, body in enumerate(bodies)
    ]
    staged = stage(tmp_path, "\n".join(lines), table=POSTS, columns=("id", "body"))
    assert staged.rows == list(enumerate(bodies))


def test_a_value_that_is_not_text_becomes_its_json_in_a_text_column(tmp_path: Path) -> None:
    lines = [
        f'{{"Id": {n}, "CreationDate": "{DAY}", "Tags": {tags}}}'
        for n, tags in enumerate(["null", "5", "true", '["a","b"]', '{"a":1}'])
    ]
    staged = stage(tmp_path, "\n".join(lines), table=POSTS, columns=("tags",))
    assert [tags for (tags,) in staged.rows] == [None, "5", "true", '["a","b"]', '{"a":1}']
