"""The rules for votes in plain Python, written down a second time to hold the reader against."""

import json
import re
from datetime import datetime, timedelta, timezone
from typing import Any

Row = tuple[Any, ...]

_WHOLE_NUMBER = re.compile(r"[+-]?([0-9]+|[0-9]{1,15}\.0+)", re.ASCII)
_MOMENT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d):(\d\d)(\.\d{1,6})?(Z|[+-]\d\d:\d\d)?)?", re.ASCII
)


def row_of_line(line: bytes) -> Row | None:
    """The vote in a line, or None if it is none."""
    try:
        return row_of(json.loads(line.decode("utf-8")))
    except ValueError:
        return None


def row_of(record: Any) -> Row | None:
    """id, post_id, vote_type_id, user_id and creation_date of a vote, or None if it is none."""
    if not isinstance(record, dict):
        return None
    try:
        numbers = [
            whole_number(record.get(name)) for name in ("Id", "PostId", "VoteTypeId", "UserId")
        ]
        created = _moment(record.get("CreationDate"))
        whole_number(record.get("BountyAmount"))
    except ValueError:
        return None
    if None in (numbers[0], numbers[1], created):
        return None
    return (*numbers, created)


def whole_number(value: Any) -> int | None:
    value = value.strip(" \t\n\v\f\r") if isinstance(value, str) else value
    if value is None or value == "":
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    is_number_or_text = isinstance(value, int | str) and not isinstance(value, bool)
    if not is_number_or_text or not _WHOLE_NUMBER.fullmatch(str(value)):
        raise ValueError(value)
    number = int(str(value).partition(".")[0])
    if not -(2**63) <= number < 2**63:
        raise ValueError(value)
    return number


def _moment(value: Any) -> datetime | None:
    value = value.strip(" \t\n\v\f\r") if isinstance(value, str) else value
    if value is None or value == "":
        return None
    match = _MOMENT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(value)
    *parts, fraction, zone = match.groups()
    year, month, day, hour, minute, second = (int(part or 0) for part in parts)
    microsecond = int((fraction or ".0")[1:].ljust(6, "0"))
    moment = datetime(year, month, day, hour, minute, second, microsecond, timezone.utc)
    if zone and zone != "Z":
        offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
        moment -= offset if zone[0] == "+" else -offset
    return moment.replace(tzinfo=None)
