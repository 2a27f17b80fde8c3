"""What a record of the feed says, or what is wrong with it. One reader for all who read the feed.

A record is a JSON object with `Delivery Step`, `Customer` and `Timestamp`; which texts are times is
told in `times`. Only the standard library is needed here.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from itertools import islice

from warehouse_assets.errors import PermanentError
from warehouse_assets.times import BLANK, BLANKS, read_time

FIRST_STEP = 1
LAST_STEP = 4
LARGEST_CUSTOMER = 2**63 - 1
# A clock that is ahead by more would have all other records taken for late ones.
MOST_AHEAD = timedelta(days=1)
"""How much later than now a record of the feed may be."""

_NAMES = {
    "Delivery Step": ("Delivery Step", "deliveryStep", "delivery_step"),
    "Customer": ("Customer", "customer"),
    "Timestamp": ("Timestamp", "timestamp"),
}
_ALL_NAMES = {spelling for spellings in _NAMES.values() for spelling in spellings}
_MOST_FIELDS = 100  # names of unknown fields that are told
_WHOLE = re.compile(rf"{BLANK}*[+-]?[0-9]{{1,19}}{BLANK}*")
_MOST_CHARACTERS_SHOWN = 60
_decode = json.JSONDecoder().decode


class RecordError(PermanentError):
    """A record is not what a step of a delivery is.

    Attributes:
        reason: the kind of fault.
        field: the field that is wrong, if one is.
        seen: what was seen, if anything.
    """

    def __init__(self, reason: str, field: str | None = None, seen: str | None = None) -> None:
        super().__init__(reason if seen is None else f"{reason}: {seen}")
        self.reason = reason
        self.field = field
        self.seen = seen


Step = tuple[int, int, datetime]
"""A step of a delivery: customer, step, and its time without a zone."""


def read_lines(
    lines: Iterable[tuple[int, bytes, tuple[str, str | None] | None]],
    latest: datetime,
    unknown: set[str] | None = None,
) -> Iterator[tuple[int, bytes, "Step | RecordError"]]:
    """Position and text of each line that is not blank, and its step or why it has none.

    Args:
        lines: position, text without stray bytes, and why it cannot be used whatever it says, with
            what was seen.
        latest: the latest time that a record may have.
        unknown: names of fields that mean nothing here are added to it, up to a hundred or so.
    """
    for position, text, problem in lines:
        if problem is not None:
            yield position, text, RecordError(problem[0], seen=problem[1])
        elif not text.isspace() and text:
            try:
                yield position, text, read_line(text.decode("utf-8"), latest, unknown)
            except RecordError as error:
                yield position, text, error


def read_line(text: str, latest: datetime, unknown: set[str] | None = None) -> Step:
    """What a line of the feed says; see `read_lines`.

    Raises:
        RecordError: it cannot be used; the message says why.
    """
    try:
        record = _decode(text)
    except (ValueError, RecursionError):
        raise _no_json(text) from None
    # A usable record has a text besides its names; what is there twice has more quotes than that.
    if type(record) is dict and (
        text.count('"') > 2 * len(record) + 2
        or (len(record) > len(_NAMES) and len(record.keys() & _ALL_NAMES) > len(_NAMES))
    ):
        _refuse_repeated(text)
    if unknown is not None and type(record) is dict and not record.keys() <= _ALL_NAMES:
        names = (name for name in record if name not in _ALL_NAMES | unknown)
        unknown.update(islice(names, _MOST_FIELDS - len(unknown)))
    return checked(record, latest)


def checked(record: object, latest: datetime) -> Step:
    """The same of a value read from JSON."""
    if not isinstance(record, dict):
        raise RecordError("not a JSON object")
    step = read_record(record)
    if step[2] > latest:
        raise _wrong("Timestamp", "more than a day after now", step[2].isoformat(" "))
    return step


def latest_now() -> datetime:
    """The latest time that a record which is read now may have."""
    return datetime.now(timezone.utc).replace(tzinfo=None) + MOST_AHEAD


def read_record(record: Mapping[str, object]) -> Step:
    """What a record says.

    Raises:
        RecordError: it cannot be used; the message says why.
    """
    # The usual record, in the usual types, is most of them.
    try:
        step, customer = record["Delivery Step"], record["Customer"]
        at = record["Timestamp"]
    except KeyError:
        step, customer, at = (_field(record, name) for name in _NAMES)
    if type(step) is not int:
        step = _whole(step, "Delivery Step")
    if not FIRST_STEP <= step <= LAST_STEP:
        raise _wrong("Delivery Step", "not 1 to 4", step)
    if type(customer) is not int:
        customer = _whole(customer, "Customer")
    if not -LARGEST_CUSTOMER <= customer <= LARGEST_CUSTOMER:
        raise _wrong("Customer", "too great a number", customer)
    if isinstance(at, datetime):
        return customer, step, _in_utc(at)
    moment = read_time(at) if isinstance(at, str) else None
    if moment is None:
        raise _wrong("Timestamp", "not a date and time", at)
    return customer, step, moment


def _refuse_repeated(text: str) -> None:
    """Raise RecordError if a field is there more than once: which value is meant is not guessed."""
    pairs = json.loads(text, object_pairs_hook=list)
    for name, spellings in _NAMES.items():
        if sum(key in spellings for key, _ in pairs) > 1:
            raise RecordError(f"{name} is there more than once", name)


def _field(record: Mapping[str, object], name: str) -> object:
    return next((record[spelling] for spelling in _NAMES[name] if spelling in record), None)


def _whole(value: object, name: str) -> int:
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    raise _wrong(name, "not a whole number", value)


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        return moment
    try:
        return moment.astimezone(timezone.utc).replace(tzinfo=None)
    except OverflowError:
        raise _wrong("Timestamp", "not a date and time", moment) from None


def _wrong(name: str, fault: str, value: object) -> RecordError:
    """What is said of a field that is not what it should be, or that is missing."""
    if value is None or (isinstance(value, str) and not value.strip(BLANKS)):
        return RecordError(f"{name} is missing", name)
    text = value if isinstance(value, str) else repr(value)
    if len(text) > _MOST_CHARACTERS_SHOWN:
        text = text[:_MOST_CHARACTERS_SHOWN] + "…"
    return RecordError(f"{name} is {fault}", name, text)


def _no_json(text: str) -> RecordError:
    """What is said of a text that is not JSON: what cannot be seen in it is named."""
    for character, name in (("\0", "a NUL byte"), ("\ufeff", "a byte-order mark")):
        before, found, _ = text.partition(character)
        if found:
            place = f"byte {len(before.encode()) + 1}"
            return RecordError(f"not valid JSON: it has {name}", seen=place)
    return RecordError("not valid JSON")
