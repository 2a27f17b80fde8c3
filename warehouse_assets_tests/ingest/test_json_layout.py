"""Encoding and layout of files of JSON."""

import bz2
import codecs
import gzip
import lzma
from itertools import count
from pathlib import Path

import pytest

from warehouse_assets.ingest.json_files import (
    ARRAY,
    JSON_LINES,
    first_fields,
    layout_of,
)
from warehouse_assets.ingest.plain_text import UnreadableFileError, make_plain

RECORD = b'{"Id": "1"}'


def prepared(folder: Path, content: bytes, name: str = "file.json") -> tuple[str | None, bytes]:
    path = folder / name
    path.write_bytes(content)
    plain = folder / "plain"
    plain.unlink(missing_ok=True)
    make_plain(path, plain, 10**9)
    assert path.read_bytes() == content
    return layout_of(plain), plain.read_bytes()


@pytest.mark.parametrize(
    ("content", "layout"),
    [
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
        (b"[\n" + RECORD + b",\n" + RECORD + b"\n]", ARRAY),
        (b"[" + b",".join([RECORD] * 20_000) + b"]\n", ARRAY),
        (b"[1, 2]\n" + RECORD + b"\n", JSON_LINES),
        (b"[]\n\n\n" + RECORD, JSON_LINES),
        (b"[1, 2]\n" + b" " * 2_000_000 + RECORD, JSON_LINES),
    ],
)
def test_layout(tmp_path: Path, content: bytes, layout: str | None) -> None:
    assert prepared(tmp_path, content) == (layout, content)
    assert prepared(tmp_path, gzip.compress(content)) == (layout, content)
    marked = codecs.BOM_UTF8 + content
    assert prepared(tmp_path, marked) == (layout, marked)
    assert prepared(tmp_path, gzip.compress(marked)) == (layout, marked)


@pytest.mark.parametrize(
    "content",
    [
        b"[",
        b"[\n" + RECORD + b",\n",
        b"[" + RECORD + b",",
        b"[" + RECORD + b"\n" + b" " * 200_000,
        b"[" + RECORD + b"]" + b" " * 70_000 + b"x",
    ],
)
def test_an_array_that_does_not_end_is_not_read(tmp_path: Path, content: bytes) -> None:
    for stored in (content, gzip.compress(content)):
        with pytest.raises(UnreadableFileError, match="not a whole JSON array"):
            prepared(tmp_path, stored)


def test_the_end_of_an_array_is_found_behind_blanks_however_many(tmp_path: Path) -> None:
    content = b"[\n" + RECORD + b"\n]" + b"\n" * 200_000
    assert prepared(tmp_path, content) == (ARRAY, content)


def test_a_compressed_file_is_known_by_its_content_not_by_its_name(tmp_path: Path) -> None:
    assert prepared(tmp_path, gzip.compress(RECORD), "file.json") == (JSON_LINES, RECORD)
    assert prepared(tmp_path, RECORD, "file.json.gz") == (JSON_LINES, RECORD)


def test_a_file_compressed_in_parts_is_read_whole(tmp_path: Path) -> None:
    content = gzip.compress(RECORD + b"\n") + gzip.compress(RECORD + b"\n")
    assert prepared(tmp_path, content) == (JSON_LINES, RECORD + b"\n" + RECORD + b"\n")


@pytest.mark.parametrize("missing", [1, 4, 8, 9, 20])
def test_a_compressed_file_that_is_cut_off_is_not_read(tmp_path: Path, missing: int) -> None:
    # The last 8 bytes are the trailer: checksum and length.
    packed = gzip.compress(b"".join(b'{"Id": "%d"}\n' % number for number in range(1000)))
    with pytest.raises(UnreadableFileError, match="cut off or damaged"):
        prepared(tmp_path, packed[:-missing])


@pytest.mark.parametrize("position", [-6, -2, 30])
def test_a_compressed_file_that_is_damaged_is_not_read(tmp_path: Path, position: int) -> None:
    packed = bytearray(gzip.compress(b"".join(b"%d\n" % (n * n) for n in range(1000))))
    packed[position] ^= 0xFF
    with pytest.raises(UnreadableFileError, match="cut off or damaged"):
        prepared(tmp_path, bytes(packed))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04\x14\0\0\0", "a ZIP archive"),
        (bz2.compress(RECORD), "compressed by bzip2"),
        (lzma.compress(RECORD), "compressed by xz"),
        (gzip.compress(gzip.compress(RECORD)), "compressed by gzip twice"),
        (gzip.compress(bz2.compress(RECORD)), "inside compressed by bzip2"),
        *(
            (mark.encode(encoding) + RECORD.decode().encode(encoding), "UTF-16")
            for encoding in ("utf-16-le", "utf-16-be")
            for mark in ("\ufeff", "")
        ),
        (RECORD.decode().encode("utf-32"), "UTF-32"),
        (b"PAR1\x15\0", "a Parquet file"),
    ],
    ids=count(),
)
def test_what_is_not_text_is_refused_with_what_it_is(
    tmp_path: Path, content: bytes, words: str
) -> None:
    with pytest.raises(UnreadableFileError, match=words):
        prepared(tmp_path, content)


@pytest.mark.parametrize(
    ("content", "fields"),
    [
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
    ],
)
def test_first_fields(tmp_path: Path, content: bytes, fields: set[str]) -> None:
    path = tmp_path / "file"
    for stored in (content, gzip.compress(content), codecs.BOM_UTF8 + content):
        path.write_bytes(stored)
        assert first_fields(path) == fields


def test_first_fields_of_a_file_that_cannot_be_read_are_none(tmp_path: Path) -> None:
    assert first_fields(tmp_path / "gone") == set()
    packed = tmp_path / "packed"
    packed.write_bytes(gzip.compress(RECORD)[:-9])
    assert first_fields(packed) == set()
