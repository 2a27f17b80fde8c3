"""Every record of a file ends as a row or as a rejected record with its place and its reason."""

import codecs
import gzip
import json
import random
from pathlib import Path

import pytest

from warehouse_assets.defs.forum.tables import POSTS
from warehouse_assets_tests.ingest.staging import DAY, stage, vote_text

PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01"


def test_lines_and_arrays_compressed_or_not_give_the_same_rows(tmp_path: Path) -> None:
    records = [vote_text(number) for number in (3, 1, 2)]
    lines = "\n".join(records).encode()
    contents = [lines, lines + b"\n", lines.replace(b"\n", b"\r\n"), lines.replace(b"\n", b"\n\n")]
    contents += [("[" + separator.join(records) + "]").encode() for separator in (",", ", ", ",\n")]
    contents += [json.dumps([json.loads(record) for record in records], indent=4).encode()]
    contents += [codecs.BOM_UTF8 + content for content in contents]
    contents += [gzip.compress(content) for content in contents]
    together = stage(tmp_path, *contents, columns=("arrival", "id"))
    arrivals = range(1, len(contents) + 1)
    assert together.rejected == []
    assert sorted(together.rows, key=lambda row: row[0]) == [
        (arrival, number) for arrival in arrivals for number in (3, 1, 2)
    ]
    for content in (contents[0], contents[-1]):
        assert stage(tmp_path, content).ids == [3, 1, 2]


def test_fields_may_be_missing_unknown_and_in_any_order(tmp_path: Path) -> None:
    text = f'{{"New": {{"a": [1]}}, "CreationDate": "{DAY}", "PostId": 7, "Id": "1", "": null}}'
    staged = stage(tmp_path, text, columns=("id", "post_id", "vote_type_id", "user_id", "arrival"))
    assert staged.rows == [(1, 7, None, None, 1)]


def test_names_of_fields_are_taken_by_their_case(tmp_path: Path) -> None:
    staged = stage(tmp_path, vote_text(1).replace("PostId", "postid"))
    assert staged.reasons == {1: "PostId is missing"}


@pytest.mark.parametrize("content", [b"", b"\n", b"  \r\n\t \n", b"[]", b"[ ]\n", codecs.BOM_UTF8])
def test_a_file_without_records_gives_nothing(tmp_path: Path, content: bytes) -> None:
    for stored in (content, gzip.compress(content)):
        staged = stage(tmp_path, stored)
        assert (staged.rows, staged.rejected) == ([], [])


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


def test_a_file_that_is_not_json_is_rejected_line_by_line(tmp_path: Path) -> None:
    nul = len("\rIHDR") + 1  # those at its beginning are not part of it
    assert stage(tmp_path, PNG).reasons == {
        1: "not valid UTF-8: byte 1",
        2: "not valid JSON",
        3: f"not valid JSON: it has a NUL byte: byte {nul}",
    }
    html = "<!DOCTYPE html>\n<html>\n\n</html>\n"
    assert stage(tmp_path, html).reasons == dict.fromkeys((1, 2, 4), "not valid JSON")


@pytest.mark.parametrize("size", [1, 17, 33])
def test_a_line_too_long_to_read_is_rejected_and_its_neighbours_are_not(
    tmp_path: Path, size: int
) -> None:
    # DuckDB takes lines up to 16 MiB for sure, and none above 32 MiB.
    def text(number: int, body: str) -> str:
        return json.dumps({"Id": number, "CreationDate": DAY, "Body": body})

    content = "\n".join([text(1, ""), text(2, ""), text(3, "x" * (size * 2**20))])
    staged = stage(tmp_path, content, table=POSTS, columns=("id",))
    if size == 1:
        assert (staged.ids, staged.rejected) == ([1, 2, 3], [])
    else:
        assert staged.ids == [1, 2]
        assert staged.reasons == {3: "longer than 16 MiB"}
        assert staged.raws[3] == text(3, "x" * 1000)[:1000]


def test_elements_of_an_array_are_judged_one_by_one(tmp_path: Path) -> None:
    bad = vote_text("x")
    elements = [vote_text(1), "null", "[1, 2]", bad, '"text"', "{}", vote_text(2), "5", "true"]
    for separator in (",", ",\n", "\n,\n\n"):
        staged = stage(tmp_path, f"[{separator.join(elements)}]")
        assert staged.ids == [1, 2]
        assert staged.reasons == {
            2: "not a JSON object but null",
            3: "not a JSON object but an array",
            4: "Id is not a whole number: x",
            5: "not a JSON object but a string",
            6: "Id is missing; PostId is missing; CreationDate is missing",
            8: "not a JSON object but a number",
            9: "not a JSON object but true or false",
        }
        assert json.loads(staged.raws[4]) == json.loads(bad)


BROKEN_ARRAYS = [
    "[\n",
    f"[\n{vote_text(1)},\n",
    f"[\n{vote_text(1)},\n{vote_text(2)[:40]}",
    f"[\n{vote_text(1)}\n",
    f"[{vote_text(1)} {vote_text(2)}]",
    f"[{vote_text(1)},]",
    f"[{vote_text(1)},,{vote_text(2)}]",
    f"[\n{vote_text(1)}\n]\n{vote_text(2)}",
    f"[\n{vote_text(1)}\n]]",
    f"[{vote_text(1)}, {{'Id': 2}}]",
    f"[{vote_text(1)}, NULL]",
]


def test_a_broken_array_is_rejected_as_one_unit(tmp_path: Path) -> None:
    staged = stage(tmp_path, *BROKEN_ARRAYS, vote_text(9))
    assert staged.ids == [9]
    assert [(*places, raw) for *places, _, raw in staged.rejected] == [
        (arrival, 0, content) for arrival, content in enumerate(BROKEN_ARRAYS, start=1)
    ]
    for _, _, reason, _ in staged.rejected:
        assert reason.startswith("not a whole JSON array: ")
        assert str(tmp_path) not in reason


WANTED = "; write each in one line, or all in one array"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (f"{vote_text(1)},\n{vote_text(2)},\n", "with commas between them and no brackets around"),
        (json.dumps(json.loads(vote_text(1)), indent=2) * 100, "that go over several lines"),
        (json.dumps(json.loads(vote_text(1)), indent=2), "that go over several lines"),
        ('{"Id": 1,\n"PostId": 5}\n' * 9, "that go over several lines"),
        ("{\n" + '"x": "y",\n' * 10_000 + '"Id": 1}', "that go over several lines"),
    ],
)
def test_a_layout_that_is_not_read_is_one_reason(tmp_path: Path, content: str, reason: str) -> None:
    rejected = stage(tmp_path, content, "\n \n" + content, content.replace("\n", "\r\n")).rejected
    assert [places[:2] for places in rejected] == [(1, 0), (2, 0), (3, 0)]
    for _, _, found, _ in rejected:
        assert found.startswith("JSON objects ")
        assert found.endswith(WANTED)
        assert reason in found


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


def test_of_a_rejected_unit_the_beginning_is_kept(tmp_path: Path) -> None:
    content = "[\n" + "\n".join(vote_text(number) for number in range(100))
    assert stage(tmp_path, content).raws == {0: content[:1000]}
    cut = gzip.compress(content.encode())[:-20]
    staged = stage(tmp_path, cut)
    assert staged.reasons[0].startswith("the compressed file is cut off or damaged")
    assert staged.raws[0]
    assert "\0" not in staged.raws[0]


def test_files_are_staged_in_their_order_and_a_bad_one_does_not_hurt_the_others(
    tmp_path: Path,
) -> None:
    contents: list[str | bytes] = [
        f"{vote_text(1)}\nx\n{vote_text(2)}",
        "",
        f"[{vote_text(3)}",
        "5",
        f"{vote_text(4)}\n\n{{",
        PNG,
        vote_text(5),
    ]
    staged = stage(tmp_path, *contents)
    assert sorted(staged.ids) == [1, 2, 4, 5]
    places = [(arrival, position) for arrival, position, _, _ in staged.rejected]
    assert places == [(1, 2), (3, 0), (4, 1), (5, 3), (6, 1), (6, 2), (6, 3)]


@pytest.mark.parametrize("name", ["v*.json", "v?tes-2.json", "[v]otes-2.json", "v'\"; --.json"])
def test_a_file_is_read_alone_whatever_its_name_means_elsewhere(tmp_path: Path, name: str) -> None:
    staged = stage(tmp_path, vote_text(1) + "\nx", vote_text(2), vote_text(3), names={1: name})
    assert sorted(staged.ids) == [1, 2, 3]
    assert staged.rejected == [(1, 2, "not valid JSON", "x")]


def test_the_name_of_a_folder_is_not_a_field(tmp_path: Path) -> None:
    folder = tmp_path / "Id=5"
    folder.mkdir()
    assert stage(folder, vote_text(1)).ids == [1]


def test_order_and_places_hold_over_many_blocks_of_a_big_file(tmp_path: Path) -> None:
    # DuckDB reads blocks of 32 MiB, several at a time.
    source = random.Random(1)
    bad = {source.randrange(1, 17_501) for _ in range(50)}
    body = "x" * 4000
    lines = (
        f'{{"Id": "{n}"' if n in bad else f'{{"Id":{n},"CreationDate":"{DAY}","Body":"{body}"}}'
        for n in range(1, 17_501)
    )
    staged = stage(tmp_path, "\n".join(lines), table=POSTS, columns=("id",))
    assert staged.ids == [n for n in range(1, 17_501) if n not in bad]
    assert staged.raws == {n: f'{{"Id": "{n}"' for n in sorted(bad)}
