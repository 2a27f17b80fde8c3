"""What a file of JSON is like before any record of it is read: encoding and layout.

A file is read as UTF-8 JSON lines or as one JSON array; what has to be unpacked, stripped or given
another name for that is spooled to a temporary file.
"""

import codecs
import gzip
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from warehouse_assets.ingest.packed import (
    DAMAGED,
    GZIP_MAGIC,
    HEAD_BYTES,
    UNPACKED_LIMIT,
    UnreadableFileError,
    not_text,
    unpack,
)
from warehouse_assets.ingest.stray_bytes import MARK, without_stray_bytes

JSON_LINES, ARRAY = "newline_delimited", "array"
"""The layouts, by their names in DuckDB."""

MOST_RECORD_BYTES = 16 * 1024 * 1024
"""The longest record that is read: DuckDB's own limit."""

# What DuckDB cannot be told in a path: it separates at a backslash, and its names are UTF-8.
_UNUSABLE_IN_A_PATH = re.compile(r"[\\\ud800-\udfff]")
_NOTHING = b"\0 \t\r\n\v\f" + MARK
_CHUNK_BYTES = 1 << 20
_HEAD_BYTES = 1 << 16
# Of pretty-printed objects the second line begins with a field's name.
_OPENED_ON_ITS_OWN_LINE = re.compile(r'\{\s*\n\s*"(?:[^"\\]|\\.)*"\s*:')
_WANTED = "; write each in one line, or all in one array"


@dataclass(frozen=True)
class PreparedFile:
    """A file of plain UTF-8 without byte-order mark; `layout` is None if nothing is in it."""

    path: Path
    layout: str | None


def prepare(path: Path, spool: Path, unpacked_limit: int = UNPACKED_LIMIT) -> PreparedFile:
    """Find out the layout of the file at `path`; unpack it to `spool` where that is needed.

    Args:
        unpacked_limit: the most bytes that it may be when it is unpacked.

    Raises:
        UnreadableFileError: the file is damaged, too large when unpacked, or not text in UTF-8.
    """
    head, is_packed = _head(path), False
    if head.startswith(GZIP_MAGIC):
        unpacked, is_packed = spool.with_suffix(".unpacked"), True
        unpack(path, unpacked, unpacked_limit)
        path, head = unpacked, _head(unpacked)
    if reason := not_text(head.removeprefix(codecs.BOM_UTF8), is_packed):
        raise UnreadableFileError(reason)
    if head.startswith(codecs.BOM_UTF8):
        _spool(path, spool)
        path = spool
    elif _UNUSABLE_IN_A_PATH.search(str(path)):
        spool.symlink_to(path.absolute())
        path = spool
    layout = _layout(path)
    if layout == ARRAY and not _ends_with_bracket(path):
        # DuckDB takes an array that is cut off after a comma for a whole one.
        raise UnreadableFileError("not a whole JSON array: it does not end with a bracket")
    return PreparedFile(path, layout)


def first_fields(path: Path) -> set[str]:
    """The names of the fields of the first record that can be told from the file's beginning."""
    try:
        with _open(path) as stream:
            head = stream.read(_HEAD_BYTES)
    except (OSError, *DAMAGED):
        return set()
    text = head.removeprefix(codecs.BOM_UTF8).decode("utf-8", errors="replace")
    decoder = json.JSONDecoder()
    start = text.find("{")
    while start >= 0:
        try:
            record, _ = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            newline = text.find("\n", start)
            start = text.find("{", newline) if newline >= 0 else -1
            continue
        return set(record)
    return set()


def spread_layout(path: Path) -> str | None:
    """What is wrong with a file that should be JSON lines but has none, if its layout is known."""
    with path.open("rb") as stream:
        head = stream.read(_HEAD_BYTES).decode("utf-8", errors="replace").strip()
    first, line_end, _ = head.partition("\n")
    if line_end and first.rstrip().endswith(",") and _is_json(first.rstrip()[:-1].encode()):
        return "JSON objects with commas between them and no brackets around them" + _WANTED
    if not head.startswith("{"):
        return None
    try:
        first_object, end = json.JSONDecoder().raw_decode(head)
    except (ValueError, RecursionError):
        # The first object is cut off or damaged.
        is_spread = _OPENED_ON_ITS_OWN_LINE.match(head) is not None
    else:
        is_spread = bool(first_object) and "\n" in head[:end]
    return "JSON objects that go over several lines" + _WANTED if is_spread else None


def _open(path: Path) -> BinaryIO | gzip.GzipFile:
    packed = _head(path).startswith(GZIP_MAGIC)
    return gzip.open(path, "rb") if packed else path.open("rb")


def _head(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(len(codecs.BOM_UTF8) + HEAD_BYTES)


def _spool(path: Path, spool: Path) -> None:
    with path.open("rb") as reader, spool.open("wb") as writer:
        chunk = reader.read(_CHUNK_BYTES).removeprefix(codecs.BOM_UTF8)
        while chunk:
            writer.write(chunk)
            chunk = reader.read(_CHUNK_BYTES)


def _layout(path: Path) -> str | None:
    """An array if the first character that is not blank opens one, else lines.

    A first line that is an array by itself with more lines behind it is one bad line of many.
    """
    with path.open("rb") as stream:
        first = b""
        while not first.strip():
            first = stream.readline(_HEAD_BYTES)
            if not first:
                return None
            first = without_stray_bytes(first)
        if not first.lstrip().startswith(b"["):
            return JSON_LINES
        is_whole_line = first.endswith(b"\n")
        if not is_whole_line or not _is_json(first):
            return ARRAY
        while chunk := stream.read(_CHUNK_BYTES):
            if chunk.strip(_NOTHING):
                return JSON_LINES
        return ARRAY


def _ends_with_bracket(path: Path) -> bool:
    with path.open("rb") as stream:
        position = stream.seek(0, os.SEEK_END)
        while position > 0:
            following, position = position, max(position - _HEAD_BYTES, 0)
            stream.seek(position)
            if end := stream.read(following - position).rstrip(_NOTHING):
                return end.endswith(b"]")
    return False


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True
