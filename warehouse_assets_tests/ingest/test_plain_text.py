"""Packed files and other formats; and stray bytes before a line, which do not cost the line."""

import bz2
import gzip
import json
import lzma
from pathlib import Path

import pytest

from warehouse_assets.defs.deliveries.tables import DELIVERIES
from warehouse_assets.ingest.json_records import json_array
from warehouse_assets.ingest.plain_text import UnreadableFileError, make_plain
from warehouse_assets_tests.defs.deliveries.feeds import Feed
from warehouse_assets_tests.defs.deliveries.steps import NOON, record_of
from warehouse_assets_tests.ingest import csv_files
from warehouse_assets_tests.ingest.logs import Log, run_line
from warehouse_assets_tests.ingest.staging import stage, vote_text
from warehouse_assets_tests.ingest.stored import rejected, stored

RECORD = b'{"Id": "1"}'
MARK = b"\xef\xbb\xbf"


def plain(folder: Path, content: bytes) -> bytes:
    """A file of this content, made plain."""
    path, target = folder / "file", folder / "plain"
    path.write_bytes(content)
    target.unlink(missing_ok=True)
    make_plain(path, target, 10**9)
    assert path.read_bytes() == content
    return target.read_bytes()


def test_a_file_is_unpacked_whole_also_one_that_was_packed_in_parts(tmp_path: Path) -> None:
    assert plain(tmp_path, RECORD) == RECORD
    assert plain(tmp_path, gzip.compress(RECORD)) == RECORD
    assert plain(tmp_path, gzip.compress(RECORD) + gzip.compress(b"\n")) == RECORD + b"\n"


def test_a_packed_file_that_is_cut_off_or_damaged_is_refused(tmp_path: Path) -> None:
    packed = gzip.compress(b"".join(b"%d\n" % (n * n) for n in range(1000)))
    # The last 8 bytes are the trailer: checksum and length.
    broken = [packed[:-missing] for missing in (1, 4, 8, 9, 20)]
    for position in (-6, -2, 30):
        damaged = bytearray(packed)
        damaged[position] ^= 0xFF
        broken.append(bytes(damaged))
    for content in broken:
        with pytest.raises(UnreadableFileError, match="cut off or damaged"):
            plain(tmp_path, content)


def test_what_is_not_text_is_refused_with_what_it_is(tmp_path: Path) -> None:
    text = RECORD.decode()
    for content, words in [
        (b"PK\x03\x04\x14\0\0\0", "a ZIP archive"),
        (bz2.compress(RECORD), "compressed by bzip2"),
        (lzma.compress(RECORD), "compressed by xz"),
        (gzip.compress(gzip.compress(RECORD)), "compressed by gzip twice"),
        (gzip.compress(bz2.compress(RECORD)), "inside compressed by bzip2"),
        *(((mark + text).encode("utf-16-le"), "UTF-16") for mark in ("", "\ufeff")),
        *(((mark + text).encode("utf-16-be"), "UTF-16") for mark in ("", "\ufeff")),
        (text.encode("utf-32"), "UTF-32"),
        (b"PAR1\x15\0", "a Parquet file"),
    ]:
        with pytest.raises(UnreadableFileError, match=words):
            plain(tmp_path, content)


STRAY = {
    "NULs before the first line": b"\0\0\0[1]\n[2]\n",
    "a mark before the first line": MARK + b"[1]\n[2]\n",
    "NULs before a later line": b"[1]\n\0\0\0[2]\n",
    "a mark before a later line": b"[1]\n" + MARK + b"[2]\n",
    "several marks": MARK * 2 + b"[1]\n" + MARK * 3 + b"[2]\n",
    "a mark behind NULs": b"\0" + MARK + b"[1]\n\0\0" + MARK + b"[2]\n",
    "NULs behind a mark": MARK + b"\0[1]\n" + MARK + b"\0\0[2]\n",
    "blanks among them": b"[1]\n \0 " + MARK + b" \0 [2]\n",
    "line ends of Windows": b"\0[1]\r\n\r\n" + MARK + b"[2]\r\n",
    "a line of NULs": b"[1]\n\0\0\0\n[2]\n\0\n",
    "a line of a mark": b"[1]\n" + MARK + b"\n" + MARK + b"\r\n[2]\n",
    "NULs behind the last line": b"[1]\n[2]\n\0\0\0",
    "more NULs than a block has bytes": b"[1]\n" + b"\0" * 3_000_000 + b"[2]\n",
}
"""Texts of which both lines are to be taken; `[1]` and `[2]` stand for good lines."""
HOLE = b"\0" * 17_000_000  # more than any line has bytes


def filled(text: bytes, one: bytes, two: bytes) -> bytes:
    return text.replace(b"[1]", one).replace(b"[2]", two)


def test_lines_of_json_behind_stray_bytes_are_taken(tmp_path: Path) -> None:
    texts = [*STRAY.values(), HOLE + b"[1]\n[2]\n"]
    contents = [filled(text, *(vote_text(n).encode() for n in (1, 2))) for text in texts]
    packed = [gzip.compress(content, 1) for content in contents]
    staged = stage(tmp_path, *contents, *packed, columns=("arrival", "id"))
    assert staged.rejected == []
    assert staged.rows == [(n, number) for n in range(1, 2 * len(texts) + 1) for number in (1, 2)]


@pytest.mark.parametrize("text", STRAY.values(), ids=STRAY.keys())
def test_lines_of_csv_behind_stray_bytes_are_taken(tmp_path: Path, text: bytes) -> None:
    content = filled(text, *(csv_files.trip(region).encode() for region in "12"))
    found = csv_files.read(tmp_path, csv_files.HEADER.encode() + content)
    assert (found.regions, found.rejected) == (["1", "2"], [])


WITHIN_A_LOG = (
    b"\0" + MARK + b"[1]\r\n\0\0\n" + MARK + b"\r\n" + b'{\0"Id": 1}\n' + MARK + b"[2]\r\n"
)
NUL = "not valid JSON: it has a NUL byte: byte 2"


def test_lines_of_a_log_are_read_in_the_same_way(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.write(filled(WITHIN_A_LOG, run_line(1)[:-1], run_line(2)[:-1]))
    log.take()
    assert [student for _, student in log.students()] == [1, 2]
    assert log.rejected("reason") == [(NUL,)]


def test_lines_of_the_event_log_are_read_in_the_same_way_twice(tmp_path: Path) -> None:
    steps = [json.dumps(record_of((customer, 1, NOON))).encode() for customer in (1, 2)]
    feed = Feed(tmp_path)
    feed.append(filled(WITHIN_A_LOG, *steps))
    feed.take_into_lake()
    feed.average.catch_up()
    now = feed.average.snapshot()
    assert stored(feed.lake, DELIVERIES, "customer") == [(1,), (2,)]
    assert rejected(feed.lake, "reason") == [(NUL,)]
    assert (now.records, now.unusable) == (2, 1)


def test_arrays_and_headers_behind_stray_bytes_are_read(tmp_path: Path) -> None:
    before = [b"\0\0", MARK, b" \0" + MARK, b"\0" * 100_000 + b"\n"]
    one, two = (vote_text(n).encode() for n in (1, 2))
    arrays = [b + b"[" + one + b",\n" + b + two + b"]\n" + b for b in before]
    staged = stage(tmp_path, *arrays, columns=("arrival", "id"))
    assert staged.rows == [(n, number) for n in (1, 2, 3, 4) for number in (1, 2)]
    trips = csv_files.trips(csv_files.trip("1"), csv_files.trip("2")).encode()
    assert csv_files.read(tmp_path, *(b + trips for b in before)).regions == ["1", "2"] * 4
    for stray in before:
        assert json_array(stray.replace(b"\n", b"") + b'[{"id": 1}]') == [{"id": 1}]


def test_two_files_of_csv_put_together_repeat_the_header_only(tmp_path: Path) -> None:
    # U+FEC0 and the mark have two bytes in common.
    regions = ["1", "\ufec0"]
    trips = [MARK + csv_files.trips("\0" + csv_files.trip(each)).encode() for each in regions]
    found = csv_files.read(tmp_path, b"".join(trips))
    assert found.regions == regions
    assert found.raws == {3: csv_files.HEADER.strip()}


def test_of_lines_with_one_key_the_last_counts_behind_stray_bytes_too(tmp_path: Path) -> None:
    lines = [vote_text(1, PostId="5"), "\0" + vote_text(1, PostId="6"), vote_text(1, PostId="7")]
    assert [row[1] for row in stage(tmp_path, "\n".join(lines)).rows] == [5, 6, 7]


def test_a_log_whose_writer_kept_its_place_when_it_was_truncated(tmp_path: Path) -> None:
    log = Log(tmp_path)
    before = b"".join(run_line(number) for number in (1, 2, 3))
    log.write(before)
    log.take()
    log.rotate_by_copy()
    log.write(b"\0" * len(before), run_line(4), run_line(5))
    log.take()
    log.write(run_line(6))
    log.take()
    # Positions count the bytes of both files; a line begins where its stray bytes do.
    size, second = len(run_line(1)), len(before)
    positions = [0, size, 2 * size, second, second + len(before) + size]
    positions.append(positions[-1] + size)
    assert log.students() == list(zip(positions, range(1, 7), strict=True))
    assert log.rejected() == []
