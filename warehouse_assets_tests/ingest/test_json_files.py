"""Every record of a file ends as a row or as a rejected record with its place and its reason."""

import codecs
import gzip
import json
import random
from pathlib import Path

import pytest

from warehouse_assets.defs.forum.tables import POSTS
from warehouse_assets.ingest.json_files import ARRAY, JSON_LINES, first_fields, layout_of
from warehouse_assets.ingest.plain_text import UnreadableFileError
from warehouse_assets_tests.ingest.staging import DAY, stage, vote_text

RECORD = b'{"Id": "1"}'
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01"

LAYOUTS: list[tuple[bytes, str | None]] = [
    (b"", None),
    (b" \r\n\t\n  ", None),
    (b"\n" * 200_000, None),
    (RECORD, JSON_LINES),
    (b"\n  \n" + RECORD + b"\n", JSON_LINES),
    (b"no JSON at all", JSON_LINES),
    (b"5", JSON_LINES),
    (b"[]", ARRAY),
    (b"[" + RECORD + b"]", ARRAY),
    (b"[" + RECORD + b"]\n\n \n", ARRAY),
    (b"\r\n \n[\n  {\n    " + RECORD[1:] + b"\n]\n", ARRAY),
    (b"[\n" + RECORD + b",\n" + RECORD + b"\n]" + b"\n" * 200_000, ARRAY),
    (b"[" + b",".join([RECORD] * 20_000) + b"]\n", ARRAY),
    (b"[1, 2]\n" + RECORD + b"\n", JSON_LINES),
    (b"[]\n\n\n" + RECORD, JSON_LINES),
    (b"[1, 2]\n" + b" " * 2_000_000 + RECORD, JSON_LINES),
]


def test_the_layout_of_a_file_is_seen_at_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    for content, layout in LAYOUTS:
        for written in (content, codecs.BOM_UTF8 + content):
            path.write_bytes(written)
            assert layout_of(path) == layout, content[:20]


def test_an_array_that_does_not_end_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    for content in (
        b"[",
        b"[\n" + RECORD + b",\n",
        b"[" + RECORD + b",",
        b"[" + RECORD + b"\n" + b" " * 200_000,
        b"[" + RECORD + b"]" + b" " * 70_000 + b"x",
    ):
        path.write_bytes(content)
        with pytest.raises(UnreadableFileError, match="not a whole JSON array"):
            layout_of(path)


def test_the_first_fields_that_can_be_told_are_told(tmp_path: Path) -> None:
    path = tmp_path / "file"
    contents: list[tuple[bytes, set[str]]] = [
        (b'{"Id": 1, "CreationDate": {"x": 1}}\n{"PostId": 2}', {"Id", "CreationDate"}),
        (b'[{"Id": 1},\n{"PostId": 2}]', {"Id"}),
        (b'\n\n[\n  {\n    "Id": 1,\n    "PostId": 2\n  }\n]', {"Id", "PostId"}),
        (b'{"Id": 1\n{"PostId": 2}\n', {"PostId"}),
        (b"5\n[1]\n\n" + RECORD, {"Id"}),
        (b"{}", set()),
        (b"", set()),
        (b"\x89PNG\r\n\x1a\n{\x00\xff", set()),
        (b"<html>{ margin: 0 }</html>", set()),
        (b"[" * 5000 + b"{" * 5000, set()),
        (b"{" * 3 + b'"a":' * 100_000, set()),
        (b" " * 70_000 + RECORD, set()),
    ]
    for content, fields in contents:
        for stored in (content, gzip.compress(content), codecs.BOM_UTF8 + content):
            path.write_bytes(stored)
            assert first_fields(path) == fields, content[:20]
    path.write_bytes(gzip.compress(RECORD)[:-9])
    assert first_fields(path) == set()
    assert first_fields(tmp_path / "gone") == set()


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
    assert together.rows == [(arrival, number) for arrival in arrivals for number in (3, 1, 2)]


def test_a_file_without_records_gives_nothing(tmp_path: Path) -> None:
    contents = [b"", b"\n", b"  \r\n\t \n", b"[]", b"[ ]\n", codecs.BOM_UTF8]
    staged = stage(tmp_path, *contents, *map(gzip.compress, contents))
    assert (staged.rows, staged.rejected) == ([], [])


def test_a_file_that_is_not_json_is_rejected_line_by_line(tmp_path: Path) -> None:
    nul = len("\rIHDR") + 1  # those at its beginning are not part of it
    html = "<!DOCTYPE html>\n<html>\n\n</html>\n"
    staged = stage(tmp_path, PNG, html)
    assert [place[:3] for place in staged.rejected] == [
        (1, 1, "not valid UTF-8: byte 1"),
        (1, 2, "not valid JSON"),
        (1, 3, f"not valid JSON: it has a NUL byte: byte {nul}"),
        *((2, line, "not valid JSON") for line in (1, 2, 4)),
    ]


def test_a_line_too_long_to_read_is_rejected_and_its_neighbours_are_not(tmp_path: Path) -> None:
    # DuckDB takes lines up to 16 MiB for sure, and none above 32 MiB.
    def text(number: int, body: str) -> str:
        return json.dumps({"Id": number, "CreationDate": DAY, "Body": body})

    contents = [
        "\n".join([text(1, ""), text(2, "x" * (size << 20)), text(3, "")]) for size in (1, 17, 33)
    ]
    staged = stage(tmp_path, *contents, table=POSTS, columns=("arrival", "id"))
    assert staged.rows == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 3), (3, 1), (3, 3)]
    raw = text(2, "x" * 1000)[:1000]
    assert staged.rejected == [(n, 2, "longer than 16 MiB", raw) for n in (2, 3)]


def test_elements_of_an_array_are_judged_one_by_one(tmp_path: Path) -> None:
    bad = vote_text("x")
    elements = [vote_text(1), "null", "[1, 2]", bad, '"text"', "{}", vote_text(2), "5", "true"]
    separators = (",", ",\n", "\n,\n\n")
    staged = stage(tmp_path, *(f"[{separator.join(elements)}]" for separator in separators))
    assert staged.ids == [1, 2] * 3
    reasons = {
        2: "not a JSON object but null",
        3: "not a JSON object but an array",
        4: "Id is not a whole number: x",
        5: "not a JSON object but a string",
        6: "Id is missing; PostId is missing; CreationDate is missing",
        8: "not a JSON object but a number",
        9: "not a JSON object but true or false",
    }
    assert [place[:3] for place in staged.rejected] == [
        (arrival, *place) for arrival in (1, 2, 3) for place in reasons.items()
    ]
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
    "[\n" + "\n".join(vote_text(number) for number in range(100)),
]


def test_a_broken_array_is_rejected_as_one_unit_whose_beginning_is_kept(tmp_path: Path) -> None:
    cut = gzip.compress(BROKEN_ARRAYS[-1].encode())[:-20]
    staged = stage(tmp_path, *BROKEN_ARRAYS, vote_text(9), cut)
    assert staged.ids == [9]
    *arrays, (_, position, reason, raw) = staged.rejected
    assert [(*places, raw) for *places, _, raw in arrays] == [
        (arrival, 0, content[:1000]) for arrival, content in enumerate(BROKEN_ARRAYS, start=1)
    ]
    for _, _, why, _ in arrays:
        assert why.startswith("not a whole JSON array: ")
        assert str(tmp_path) not in why
    assert (position, "\0" in raw) == (0, False)
    assert reason.startswith("the compressed file is cut off or damaged")


WANTED = "; write each in one line, or all in one array"


def test_a_layout_that_is_not_read_is_one_reason(tmp_path: Path) -> None:
    spread, pretty = "that go over several lines", json.dumps(json.loads(vote_text(1)), indent=2)
    files = [
        (f"{vote_text(1)},\n{vote_text(2)},\n", "with commas between them and no brackets around"),
        (pretty * 100, spread),
        (pretty, spread),
        ('{"Id": 1,\n"PostId": 5}\n' * 9, spread),
        ("{\n" + '"x": "y",\n' * 1000 + '"Id": 1}', spread),
    ]
    contents = [
        written
        for content, _ in files
        for written in (content, "\n \n" + content, content.replace("\n", "\r\n"))
    ]
    rejected = stage(tmp_path, *contents).rejected
    assert [place[:2] for place in rejected] == [(n, 0) for n in range(1, len(contents) + 1)]
    for arrival, _, found, _ in rejected:
        assert found.startswith("JSON objects ")
        assert found.endswith(WANTED)
        assert files[(arrival - 1) // 3][1] in found


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
    assert staged.ids == [1, 2, 4, 5]
    places = [(arrival, position) for arrival, position, _, _ in staged.rejected]
    assert places == [(1, 2), (3, 0), (4, 1), (5, 3), (6, 1), (6, 2), (6, 3)]


def test_a_file_is_read_alone_whatever_its_name_or_its_folder_means_elsewhere(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "Id=5"
    folder.mkdir()
    names = dict(enumerate(["v*.json", "v?tes-5.json", "[v]otes-5.json", "v'\"; --.json"], start=1))
    contents = [vote_text(n) + ("\nx" if n == 1 else "") for n in range(1, 7)]
    staged = stage(folder, *contents, names=names)
    assert staged.ids == [1, 2, 3, 4, 5, 6]
    assert staged.rejected == [(1, 2, "not valid JSON", "x")]


def test_order_and_places_hold_over_many_blocks_of_a_big_file(tmp_path: Path) -> None:
    # DuckDB reads blocks of 32 MiB, several at a time.
    source = random.Random(1)
    bad = {source.randrange(1, 9_001) for _ in range(50)}
    body = "x" * 4000
    lines = (
        f'{{"Id": "{n}"' if n in bad else f'{{"Id":{n},"CreationDate":"{DAY}","Body":"{body}"}}'
        for n in range(1, 9_001)
    )
    staged = stage(tmp_path, "\n".join(lines), table=POSTS, columns=("id",))
    assert staged.ids == [n for n in range(1, 9_001) if n not in bad]
    assert staged.raws == {n: f'{{"Id": "{n}"' for n in sorted(bad)}
