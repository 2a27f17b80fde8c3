"""The rules for files of trips in plain Python, written a second time to hold the reader against.

Bytes that are not UTF-8 are surrogates here, as Python's `surrogateescape` makes them.
"""

import csv
import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

FIELDS = ("region", "origin_coord", "destination_coord", "datetime", "datasource")

_NUMBER = r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
_POINT = re.compile(rf"\s*point\s*\(\s*{_NUMBER}\s+{_NUMBER}\s*\)\s*", re.ASCII | re.IGNORECASE)
_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(\.\d{1,6})?(Z|[+-]\d\d:\d\d)?)?", re.ASCII
)
_NUL = "\ue000"  # older versions of the csv module know no NUL


def judge(content: bytes) -> tuple[list[tuple[Any, ...]], list[tuple[int, str]]]:
    """The trips in a file, and number and text of each (first) line that is no trip."""
    text = content.decode("utf-8", errors="surrogateescape").replace("\0", _NUL)
    lines = re.findall(r"[^\n]*\n|[^\n]+$", text.removeprefix("\ufeff"))
    for number, line in enumerate(lines):  # also within quotes
        if line.lstrip(f"{_NUL}\ufeff ") != line.lstrip(" "):
            lines[number] = line.lstrip(f"{_NUL}\ufeff ")
    number = 0
    while number < len(lines) and not lines[number].strip():
        number += 1
    if number == len(lines):
        return [], []
    delimiter = next(mark for mark in ",;\t|" if mark in lines[number])
    names = [
        name.strip().lower() for name in next(csv.reader([lines[number]], delimiter=delimiter))
    ]
    names = ["datetime" if name == "date_time" else name for name in names]
    good, bad = [], []
    number += 1
    while number < len(lines):
        if not lines[number].strip():
            number += 1
            continue
        record, used = _record(lines[number:], delimiter, len(names))
        row = None if record is None else _row(dict(zip(names, record, strict=True)))
        if row is None:
            raw = "".join(lines[number : number + used]).rstrip("\r\n")
            shown = raw.encode("utf-8", errors="surrogateescape").decode(errors="replace")
            bad.append((number + 1, shown.replace(_NUL, "\N{REPLACEMENT CHARACTER}")))
        else:
            good.append(row)
        number += used
    return good, bad


def _record(lines: Sequence[str], delimiter: str, width: int) -> tuple[list[str] | None, int]:
    """The record that begins with the first of `lines`, and how many of them it takes."""
    reader = csv.reader(iter(lines), delimiter=delimiter, strict=True)
    try:
        record = next(reader)
    except csv.Error:
        return None, 1
    while len(record) > width and not record[-1]:
        record.pop()
    return (record, reader.line_num) if len(record) == width else (None, 1)


def _row(record: dict[str, str]) -> tuple[Any, ...] | None:
    texts = [record[name] for name in FIELDS]
    if any(_NUL in text or re.search("[\udc80-\udcff]", text) for text in texts):
        return None
    region, origin, destination, moment, datasource = (t.strip(" \t\n\v\f\r") for t in texts)
    values = (region, *_point(origin), *_point(destination), _moment(moment), datasource)
    return None if None in values or "" in values else values


def _point(text: str) -> tuple[float | None, float | None]:
    match = _POINT.fullmatch(text)
    if match is None:
        return None, None
    lon, lat = float(match[1]), float(match[2])
    return (lon, lat) if -180 <= lon <= 180 and -90 <= lat <= 90 else (None, None)


def _moment(text: str) -> datetime | None:
    match = _MOMENT.fullmatch(text)
    if match is None:
        return None
    day, time, fraction, zone = match.groups()
    try:
        moment = datetime.fromisoformat(f"{day} {time or '00:00'}")
    except ValueError:
        return None
    moment += timedelta(microseconds=int((fraction or ".0")[1:].ljust(6, "0")))
    if zone and zone != "Z":
        offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
        moment -= offset if zone[0] == "+" else -offset
    return moment
