"""What a file of JSON is like before any record of it is read: lines, or one array."""

import codecs
import json
import os
import re
from pathlib import Path

from warehouse_assets.ingest.packed import DAMAGED, UnreadableFileError, opened
from warehouse_assets.ingest.stray_bytes import MARK, without_stray_bytes

JSON_LINES, ARRAY = "newline_delimited", "array"
"""The layouts, by their names in DuckDB."""

MOST_RECORD_BYTES = 16 * 1024 * 1024
"""The longest record that is read: DuckDB's own limit."""

_NOTHING = b"\0 \t\r\n\v\f" + MARK
_CHUNK_BYTES = 1 << 20
_HEAD_BYTES = 1 << 16
# Of pretty-printed objects the second line begins with a field's name.
_OPENED_ON_ITS_OWN_LINE = re.compile(r'\{\s*\n\s*"(?:[^"\\]|\\.)*"\s*:')
_WANTED = "; write each in one line, or all in one array"


def layout_of(path: Path) -> str | None:
    """An array if the first character that is not blank opens one, else lines; None if it is empty.

    A first line that is an array by itself with more lines behind it is one bad line of many.

    Args:
        path: a plain file.

    Raises:
        UnreadableFileError: the array has no end.
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
        is_whole_line = first.endswith(b"\n") and _is_json(first)
        while is_whole_line and (chunk := stream.read(_CHUNK_BYTES)):
            if chunk.strip(_NOTHING):
                return JSON_LINES
    if not _ends_with_bracket(path):
        # DuckDB takes an array that is cut off after a comma for a whole one.
        raise UnreadableFileError("not a whole JSON array: it does not end with a bracket")
    return ARRAY


def first_fields(path: Path) -> set[str]:
    """The names of the fields of the first record that can be told from the file's beginning."""
    try:
        with opened(path) as stream:
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
