"""NUL bytes and byte-order marks before a line do not cost the line, whoever reads it."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from warehouse_assets.defs.deliveries.tables import DELIVERIES
from warehouse_assets.ingest.json_records import json_array
from warehouse_assets_tests.defs.deliveries.feeds import Feed
from warehouse_assets_tests.defs.deliveries.steps import NOON, record_of
from warehouse_assets_tests.ingest import csv_files
from warehouse_assets_tests.ingest.logs import Log, run_line
from warehouse_assets_tests.ingest.staging import stage, vote_text
from warehouse_assets_tests.ingest.stored import rejected, stored

MARK = b"\xef\xbb\xbf"
HOLE = b"\0" * 17_000_000

TEXTS = {
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
    "more NULs than any line has bytes": HOLE + b"[1]\n[2]\n",
}
"""Texts of which both lines are to be taken; `[1]` and `[2]` stand for good lines."""

Reader = Callable[[Path, bytes], tuple[list[int], list[str]]]
"""Takes a text, in which `[n]` stands for a good line: the numbers taken, and why not all."""


def filled(text: bytes, line: Callable[[int], bytes]) -> bytes:
    return text.replace(b"[1]", line(1)).replace(b"[2]", line(2))


def of_votes(folder: Path, text: bytes) -> tuple[list[int], list[str]]:
    content = filled(text, lambda number: vote_text(number).encode())
    staged = stage(folder, content)
    assert stage(folder, gzip.compress(content, 1)) == staged
    return staged.ids, list(staged.reasons.values())


def of_test_runs(folder: Path, text: bytes) -> tuple[list[int], list[str]]:
    log = Log(folder)
    log.write(filled(text, lambda number: run_line(number)[:-1]))
    log.take()
    return [student for _, student in log.students()], [why for (why,) in log.rejected("reason")]


def step_line(customer: int) -> bytes:
    return json.dumps(record_of((customer, 1, NOON))).encode()


def of_deliveries(folder: Path, text: bytes) -> tuple[list[int], list[str]]:
    feed = Feed(folder)
    feed.append(filled(text, step_line))
    feed.take_into_lake()
    reasons = [why for (why,) in rejected(feed.lake, "reason")]
    feed.average.catch_up()
    now = feed.average.snapshot()
    customers = [number for (number,) in stored(feed.lake, DELIVERIES, "customer")]
    assert (now.records, now.unusable) == (len(customers), len(reasons))
    return customers, reasons


def of_trips(folder: Path, text: bytes) -> tuple[list[int], list[str]]:
    content = filled(text, lambda number: csv_files.trip(str(number)).encode())
    found = csv_files.read(folder, csv_files.HEADER.encode() + content)
    assert csv_files.read(folder, csv_files.HEADER.encode() + content, threads=1) == found
    return [int(region) for region in found.regions], list(found.reasons.values())


@pytest.mark.parametrize("read", [of_votes, of_trips])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_a_line_behind_stray_bytes_is_taken(tmp_path: Path, read: Reader, text: bytes) -> None:
    assert read(tmp_path, text) == ([1, 2], [])


@pytest.mark.parametrize("read", [of_test_runs, of_deliveries])
def test_a_growing_log_is_read_in_the_same_way(tmp_path: Path, read: Reader) -> None:
    for number, name in enumerate(["a mark behind NULs", "line ends of Windows", "a line of NULs"]):
        assert read(tmp_path / str(number), TEXTS[name]) == ([1, 2], [])


@pytest.mark.parametrize(
    ("read", "reason"),
    [
        (of_votes, "not valid JSON: it has a NUL byte: byte 2"),
        (of_test_runs, "not valid JSON: it has a NUL byte: byte 2"),
        (of_deliveries, "not valid JSON: it has a NUL byte: byte 2"),
        (of_trips, "region has a NUL byte"),
    ],
)
def test_a_nul_byte_inside_a_line_is_named(tmp_path: Path, read: Reader, reason: str) -> None:
    damaged = b"a\0" + csv_files.trip("b").encode() if read is of_trips else b'{\0"Id": 1}'
    assert read(tmp_path, b"[1]\n" + damaged + b"\n[2]\n") == ([1, 2], [reason])


@pytest.mark.parametrize("before", [b"\0\0", MARK, b" \0" + MARK, b"\0" * 100_000 + b"\n"])
def test_arrays_and_headers_behind_stray_bytes_are_read(tmp_path: Path, before: bytes) -> None:
    array = f"[{vote_text(1)},\n".encode() + before + f"{vote_text(2)}]\n".encode() + before
    assert stage(tmp_path, before + array).ids == [1, 2]
    trips = csv_files.trips(csv_files.trip("1"), csv_files.trip("2")).encode()
    assert csv_files.read(tmp_path, before + trips).regions == ["1", "2"]
    assert json_array(before.replace(b"\n", b"") + b'[{"id": 1}]') == [{"id": 1}]


def test_two_files_of_trips_put_together_repeat_the_header_only(tmp_path: Path) -> None:
    trips = [MARK + csv_files.trips(csv_files.trip(region)).encode() for region in "12"]
    found = csv_files.read(tmp_path, b"".join(trips))
    assert found.regions == ["1", "2"]
    assert found.raws == {3: csv_files.HEADER.strip()}


def test_of_lines_with_one_key_the_last_counts_behind_stray_bytes_too(tmp_path: Path) -> None:
    lines = [vote_text(1, PostId="5"), "\0" + vote_text(1, PostId="6"), vote_text(1, PostId="7")]
    assert [row[1] for row in stage(tmp_path, "\n".join(lines)).rows] == [5, 6, 7]


def test_a_character_that_begins_like_a_mark_stays(tmp_path: Path) -> None:
    # U+FEC0 and the mark have two bytes in common.
    found = csv_files.read(tmp_path, csv_files.trips("\0" + csv_files.trip("\ufec0")))
    assert found.regions == ["\ufec0"]


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
    assert log.students() == [
        (0, 1),
        (size, 2),
        (2 * size, 3),
        (second, 4),
        (second + len(before) + size, 5),
        (second + len(before) + 2 * size, 6),
    ]
    assert log.rejected() == []
