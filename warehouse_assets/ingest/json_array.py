"""Text that should be one JSON array, as a server or a recorded file gives it."""

import json
import math

from warehouse_assets.ingest.stray_bytes import without_stray_bytes

# Python refuses to read numbers of thousands of digits; no key has more than twenty.
_MOST_DIGITS = 40
_CHARACTERS_SHOWN = 100


class NotJsonError(ValueError):
    """Text that is not JSON, perhaps because it was cut; the message says what it is."""


class NotAnArrayError(ValueError):
    """JSON that is not an array; the message says what it is."""


class AmbiguousRecord(dict[str, object]):
    """A JSON object in which a field is there more than once; as a dict it has the last of them.

    Attributes:
        pairs: all of its fields, as they came.
    """

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs


def json_array(body: bytes) -> list[object]:
    """The elements of the array in `body`, which is UTF-8.

    A number that Python cannot hold as it is written comes as its text.

    Raises:
        NotJsonError: it is no JSON.
        NotAnArrayError: it is JSON, but no array.
    """
    try:
        value = json.loads(
            without_stray_bytes(body),
            parse_int=_whole,
            parse_float=_float,
            parse_constant=str,
            object_pairs_hook=_record,
        )
    except (ValueError, RecursionError) as error:
        raise NotJsonError(_kind(body)) from error
    if not isinstance(value, list):
        raise NotAnArrayError(f"JSON that is not an array: {excerpt(body)}")
    return value


def excerpt(body: bytes) -> str:
    """The beginning of a text, in one line, for an error message."""
    text = " ".join(body[: 4 * _CHARACTERS_SHOWN].decode("utf-8", errors="replace").split())
    return text if len(text) <= _CHARACTERS_SHOWN else text[:_CHARACTERS_SHOWN] + "…"


def _kind(body: bytes) -> str:
    if not body.strip():
        return "nothing"
    words = "an HTML page" if body.lstrip().startswith(b"<") else "what is not whole JSON"
    return f"{words}: {excerpt(body)}"


def _record(pairs: list[tuple[str, object]]) -> dict[str, object]:
    record = dict(pairs)
    return record if len(record) == len(pairs) else AmbiguousRecord(pairs)


def _whole(digits: str) -> int | str:
    return int(digits) if len(digits) <= _MOST_DIGITS else digits


def _float(digits: str) -> float | str:
    number = float(digits)
    return number if math.isfinite(number) else digits
