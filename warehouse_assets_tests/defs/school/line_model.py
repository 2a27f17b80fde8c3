"""The rules for lines of the log in plain Python, written down a second time to compare with."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from warehouse_assets_tests.ingest.model import whole_number

Row = tuple[Any, ...]

_KEYS = ("result", "student_id", "lesson_id", "lesson_title")
_RESULT = re.compile(r"[ \t\n\r\f]*([0-9]+)[ \t\n\r\f]*(?:/|out[ \t\n\r\f]+of)"
                     r"[ \t\n\r\f]*([0-9]+)[ \t\n\r\f]*")  # fmt: skip
_LONGEST = 16 * 2**20
_BLANKS = " \t\n\r"
_SCALAR = json.JSONDecoder()


def lines_of(files: Sequence[bytes]) -> Iterator[tuple[int, bytes]]:
    """Position and content of each line in the files of a log, the oldest first.

    What is behind the last line end of a file is a line once a newer file holds anything.
    """
    base = 0
    for index, content in enumerate(files):
        *lines, last = content.split(b"\n")
        if last and any(files[index + 1 :]):
            lines.append(last)
        position = base
        for line in lines:
            if line[stray_bytes(line) :].strip(b" \t\r\f\v"):
                yield position, line
            position += len(line) + 1
        base += len(content)


def expected(files: Sequence[bytes]) -> tuple[list[Row], list[tuple[int, str]]]:
    """The rows of `test_runs`, and position and raw text of rejected lines."""
    rows, rejected = [], []
    for position, line in ((at, line[stray_bytes(line) :]) for at, line in lines_of(files)):
        values = values_of(line)
        if values is None:
            raw = line.decode("utf-8", errors="replace").rstrip("\r")
            rejected.append((position, raw.replace("\0", "\N{REPLACEMENT CHARACTER}")))
        else:
            rows.append((position, *values))
    return rows, rejected


def stray_bytes(line: bytes) -> int:
    """How many bytes these are, and blanks among and behind them; 0 if they are blanks alone."""
    behind = line
    while behind.startswith((b"\0", b"\xef\xbb\xbf", b" ")):
        behind = behind[3 if behind.startswith(b"\xef") else 1 :]
    begun = line[: len(line) - len(behind)]
    return len(begun) if begun.strip(b" ") else 0


def values_of(line: bytes) -> Row | None:
    """What a line says, or None if it cannot be used."""
    try:
        record = _parse(line.decode("utf-8"))
        if not isinstance(record, dict) or len(line) > _LONGEST:
            return None
        student = whole_number(record.get("student_id"))
        lesson = whole_number(record.get("lesson_id"))
    except ValueError:
        return None
    title = _title(record.get("lesson_title"))
    result = record.get("result")
    match = _RESULT.fullmatch(result) if isinstance(result, str) else None
    if match is None or student is None or (lesson is None and title is None):
        return None
    passed, total = int(match[1]), int(match[2])
    if max(passed, total) >= 2**63:
        return None
    return student, lesson, title, passed, total, passed == total


def _title(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value if value and value.strip(" \t\n\v\f\r") else None
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _parse(text: str) -> Any:
    value, end = _value(text, _skip(text, 0))
    if _skip(text, end) != len(text):
        raise ValueError("something follows")
    return value


def _skip(text: str, at: int) -> int:
    while text[at : at + 1] and text[at] in _BLANKS:
        at += 1
    return at


def _value(text: str, at: int) -> tuple[Any, int]:
    if text[at : at + 1] == "{":
        return _object(text, _skip(text, at + 1))
    if text[at : at + 1] == "[":
        return _list(text, _skip(text, at + 1))
    try:
        value, end = _SCALAR.raw_decode(text, at)
    except StopIteration as error:
        raise ValueError("nothing there") from error
    if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise ValueError("half a character")
    return value, end


def _object(text: str, at: int) -> tuple[dict[str, Any], int]:
    """The members of an object; after a known key a comma is as good as a colon."""
    members: dict[str, Any] = {}
    while text[at : at + 1] != "}":
        key, end = _value(text, at)
        mark = _skip(text, end)
        is_known = text[at:end] in [f'"{name}"' for name in _KEYS]
        if not isinstance(key, str) or text[mark : mark + 1] not in (":", "," if is_known else ":"):
            raise ValueError("no key")
        value, end = _value(text, _skip(text, mark + 1))
        members.setdefault(key, value)
        at = _behind_comma(text, end, "}")
    return members, at + 1


def _list(text: str, at: int) -> tuple[list[Any], int]:
    elements = []
    while text[at : at + 1] != "]":
        value, end = _value(text, at)
        elements.append(value)
        at = _behind_comma(text, end, "]")
    return elements, at + 1


def _behind_comma(text: str, at: int, closing: str) -> int:
    at = _skip(text, at)
    if text[at : at + 1] == ",":
        return _skip(text, at + 1)
    if text[at : at + 1] != closing:
        raise ValueError("neither a comma nor an end")
    return at
