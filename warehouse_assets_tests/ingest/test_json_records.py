"""Which records of JSON hold which values, and why others cannot be used."""

import json
from pathlib import Path
from typing import Any

import pytest

from warehouse_assets.defs.forum.tables import POSTS
from warehouse_assets_tests.ingest.staging import DAY, Staged, stage, vote_text

BAD_LINES = [
    ("null", "not a JSON object but null"),
    ("5", "not a JSON object but a number"),
    ("-1.5e3", "not a JSON object but a number"),
    ('"text"', "not a JSON object but a string"),
    ("true", "not a JSON object but true or false"),
    ("[1,2]", "not a JSON object but an array"),
    ("[]", "not a JSON object but an array"),
    ("{}", "Id is missing; PostId is missing; CreationDate is missing"),
    ("{", "not valid JSON"),
    ("}", "not valid JSON"),
    ("\\", "not valid JSON"),
    ('{"a": "\x00"}', "not valid JSON: it has a NUL byte: byte 8"),
    ("é\ufeff{}", "not valid JSON: it has a byte-order mark: byte 3"),
    (vote_text(1)[:-1], "not valid JSON"),
    (vote_text(1)[:30], "not valid JSON"),
    (vote_text(1) + "}", "not valid JSON"),
    (vote_text(1) + vote_text(2), "not valid JSON"),
    (vote_text(1) + " " + vote_text(2), "not valid JSON"),
    (vote_text(1) + ",", "not valid JSON: a comma is behind it"),
    (vote_text(1).replace('"', "'"), "not valid JSON"),
    ('{"Id": 1, "PostId": 2, "Id": 1, "PostId": 2}', "Id, PostId is there more than once"),
    (vote_text(1).replace(": 1", ": 01"), "not valid JSON"),
    (vote_text(1, UserId="a\tb").replace("\\t", "\t"), "not valid JSON"),
    (vote_text(1, UserId="a").replace('"a"', r'"\ud800"'), "not valid JSON"),
    ("<html><body>502 Bad Gateway</body></html>", "not valid JSON"),
    ("Id,PostId,CreationDate", "not valid JSON"),
    ("// comment", "not valid JSON"),
]


def shown(line: str) -> str:
    """A line as it is kept: no database takes a NUL byte."""
    return line.replace("\0", "\N{REPLACEMENT CHARACTER}")


def test_a_bad_line_is_rejected_wherever_it_stands(tmp_path: Path) -> None:
    good, contents, rejected = vote_text(7), list[str](), []
    for line, reason in BAD_LINES:
        written = [(2, f"{good}\n{line}"), (5, f"\n \n{good}\r\n\r\n{line}\r\n\n{good}")]
        if not line.startswith("["):  # which is an array where a file begins with it
            written.append((1, line))
        for place, content in written:
            contents.append(content)
            rejected.append((len(contents), place, reason, shown(line)))
    staged = stage(tmp_path, *contents)
    assert staged.rejected == rejected
    assert staged.ids == [7] * 3 * len(BAD_LINES)


def test_bytes_that_are_not_utf8_are_rejected_with_their_place(tmp_path: Path) -> None:
    bad = vote_text(1).encode().replace(b'"1"', b'"\xff1"')
    staged = stage(tmp_path, vote_text(2).encode() + b"\n" + bad)
    place = bad.index(b"\xff") + 1
    assert staged.reasons == {2: f"not valid UTF-8: byte {place}"}
    assert staged.raws[2] == bad.decode(errors="replace")


def test_fields_may_be_missing_unknown_and_in_any_order(tmp_path: Path) -> None:
    text = f'{{"New": {{"a": [1]}}, "CreationDate": "{DAY}", "PostId": 7, "Id": "1", "": null}}'
    other_case = vote_text(2).replace("PostId", "postid")
    columns = ("id", "post_id", "vote_type_id", "user_id", "arrival")
    staged = stage(tmp_path, f"{text}\n{other_case}", columns=columns)
    assert staged.rows == [(1, 7, None, None, 1)]
    assert staged.reasons == {2: "PostId is missing"}


def test_a_field_that_is_there_twice_is_not_guessed_but_other_fields_may_be(tmp_path: Path) -> None:
    lines = [
        vote_text(1),
        vote_text(2)[:-1] + ', "PostId": "1"}',
        vote_text(3)[:-1] + ', "more": 1, "more": 2, "UserId": null}',
    ]
    for content in ("\n".join(lines), f"[{', '.join(lines)}]"):
        staged = stage(tmp_path, content)
        assert staged.ids == [1, 3]
        assert staged.reasons == {2: "PostId is there more than once"}
        assert json.loads(staged.raws[2], object_pairs_hook=len) == 4


def staged_both_ways(folder: Path, *texts: str) -> Staged:
    """Read records as lines, and in an array; both ways must agree."""
    columns = ("arrival", "id", "post_id", "creation_date")
    staged = stage(folder, "\n".join(texts), f"[{', '.join(texts)}]", columns=columns)
    rows = [[row[1:] for row in staged.rows if row[0] == arrival] for arrival in (1, 2)]
    rejected = [[each for each in staged.rejected if each[0] == arrival] for arrival in (1, 2)]
    assert rows[0] == rows[1]
    assert [each[1:3] for each in rejected[0]] == [each[1:3] for each in rejected[1]]
    return Staged(rows[0], rejected[0])


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


def test_what_is_not_a_whole_number_or_a_time_is_not_guessed(tmp_path: Path) -> None:
    numbers, blanks = votes_with_id(*NO_WHOLE_NUMBERS), votes_with_id("null", '""', '" \\t\\u000b"')
    times: list[Any] = [1641081600, True, {"$date": "2022-01-02"}, ["2022-01-02"]]
    texts = [*numbers, *blanks, *(vote_text(1, CreationDate=time) for time in times)]
    staged = staged_both_ways(tmp_path, *texts)
    assert staged.rows == []
    assert staged.raws == dict(enumerate(texts, start=1))
    reasons = [reason.partition(": ")[0] for reason in staged.reasons.values()]
    assert reasons == [
        *["Id is not a whole number"] * len(numbers),
        *["Id is missing"] * len(blanks),
        *["CreationDate is not a date and time"] * len(times),
    ]


def test_a_time_does_not_depend_on_the_zone_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    staged = stage(tmp_path, vote_text(1), vote_text(2, CreationDate="2022-01-02T09:00:00+09:00"))
    assert [row[2].isoformat() for row in staged.rows] == [
        "2022-01-02T00:00:00",
        "2022-01-02T00:00:00",
    ]


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
