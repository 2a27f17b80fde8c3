"""Which texts are times: one grammar for every source, in SQL and in Python; and ranges of days.

A time is ISO 8601: a date with a year of four digits, `T` or one blank, hours and minutes, perhaps
seconds and a fraction of them (behind a point or a comma, cut to microseconds), perhaps `Z` or an
offset of at most 14 hours (`+02:00`, `+0200` or `+02`). A date alone is its midnight. Nothing else
is a time: there is no 24:00:00, no second 60, no 30 February. Blanks around it are ignored.

A time with a zone is taken in UTC, one without as it is written. What is not in the years 1 to 9999
then cannot be stored everywhere, and is no time either. Only the standard library is needed here.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone

BLANKS = " \t\n\v\f\r"
"""What is ignored around a time, a number, a point and a name."""

BLANK = r"[ \t\n\v\f\r]"
"""A regular expression for one of them, in Python as in DuckDB."""

# The first and the last time that can be stored everywhere.
_TIMES = "TIMESTAMP '0001-01-01' AND TIMESTAMP '9999-12-31 23:59:59.999999'"

_HOURS = r"(?:[01][0-9]|2[0-3])"
_OFFSET = r"[+-](?:(?:0[0-9]|1[0-3])(?::?[0-5][0-9])?|14(?::?00)?)"
_TIME = (
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    rf"(?:[T ]({_HOURS}:[0-5][0-9])(?::([0-5][0-9])(?:[.,]([0-9]+))?)?(?:Z|({_OFFSET}))?)?"
)
_match = re.compile(f"{BLANK}*{_TIME}{BLANK}*").fullmatch
_is_usual = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    rf"[T ]{_HOURS}:[0-5][0-9]:[0-5][0-9](?:\.(?:[0-9]{{3}}){{1,2}})?"
).fullmatch


def read_time(text: str) -> datetime | None:
    """The time that `text` is, without a zone; None if it is none."""
    try:
        if _is_usual(text):
            return datetime.fromisoformat(text)  # alone it takes more than times, or less
        found = _match(text)
        if found is None:
            return None
        day, minute, second, fraction, offset = found.groups()
        moment = datetime.fromisoformat(
            f"{day}T{minute or '00:00'}:{second or '00'}.{(fraction or '')[:6]:0<6}"
        )
        if offset is None:
            return moment
        shift = timedelta(hours=int(offset[1:3]), minutes=int(offset[3:].removeprefix(":") or 0))
        return moment - shift if offset[0] == "+" else moment + shift
    except (ValueError, OverflowError):
        return None


def utc_now() -> datetime:
    """The time now in UTC, without a zone, as times are in all tables."""
    return datetime.now(timezone.utc).replace(tzinfo=None)


def of_milliseconds(milliseconds: float) -> datetime:
    """The time so long after 1970 began, in UTC, without a zone."""
    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc).replace(tzinfo=None)


def trimmed(text: str) -> str:
    """SQL for a text without the blanks around it."""
    # Most texts have none; to see that takes a tenth of the time that trim takes.
    ends = " OR ".join(f"ends_with({text}, chr({ord(blank)}))" for blank in BLANKS)
    return f"CASE WHEN {text} >= '!' AND NOT ({ends}) THEN {text} ELSE trim({text}, '{BLANKS}') END"


def is_blank(text: str) -> str:
    """SQL that is true for a text that is null, empty or nothing but blanks."""
    return f"coalesce({trimmed(text)}, '') = ''"


def time_expression(text: str, cast: str) -> str:
    """SQL for the time that a text is, as `read_time` tells it; null if it is none.

    Args:
        text: the name of the column of the text.
        cast: the name of a column of what DuckDB casts it to, a TIMESTAMP or null.
    """
    # DuckDB's cast alone guesses at years of two digits, ignores zones and takes 24:00:00. But of a
    # text that it would write so, but for the T and zeros at the end, it has not guessed; and to
    # see that takes a tenth of the time that the regular expression takes.
    written, plain = f"CAST({cast} AS VARCHAR)", f"replace({text}, 'T', ' ')"
    conditions = (
        f"{written} = {text}",
        f"{plain} = {written} || '.000'",
        f"{plain} IN ({written}, {written} || '0', {written} || '00')",
    )
    usual = " ".join(f"WHEN {each} AND {cast} BETWEEN {_TIMES} THEN {cast}" for each in conditions)
    moment = (
        "TRY_CAST(concat(p.day, ' ', CASE p.minute WHEN '' THEN '00:00' ELSE p.minute END, ':', "
        "CASE p.second WHEN '' THEN '00' ELSE p.second END, '.', left(p.fraction || '0', 6)) "
        "AS TIMESTAMP)"
    )
    minutes = (
        "to_minutes(CASE WHEN p.zone = '' THEN 0 ELSE CAST(left(p.zone, 1) || '1' AS BIGINT) * "
        "(60 * CAST(p.zone[2:3] AS BIGINT) + "
        "CAST('0' || replace(p.zone[4:], ':', '') AS BIGINT)) END)"
    )
    parts = (
        f"regexp_extract({text}, '^{BLANK}*{_TIME}{BLANK}*$', "
        "['day', 'minute', 'second', 'fraction', 'zone'])"
    )
    unusual = f"list_transform([{parts}], lambda p: {moment} - {minutes})"
    within = f"list_filter({unusual}, lambda moment: moment BETWEEN {_TIMES})[1]"
    return f"CASE {usual} ELSE {within} END"


@dataclass(frozen=True)
class Days:
    """A range of days, both included; None is no limit.

    Raises:
        ValueError: the first is after the last.
    """

    first: date | None = None
    last: date | None = None

    def __post_init__(self) -> None:
        if self.first and self.last and self.first > self.last:
            raise ValueError(f"from {self.first} is after to {self.last}")


ANY_DAY = Days()
"""No limit at either end."""


@dataclass(frozen=True)
class Weeks:
    """A range of weeks, by the Mondays with which the first and the last one begin."""

    first: date
    last: date

    @classmethod
    def of(cls, first: date, last: date) -> "Weeks":
        """The weeks that two days and those between them are of.

        Raises:
            ValueError: the first is after the last.
        """
        Days(first, last)
        return cls(first - timedelta(first.weekday()), last - timedelta(last.weekday()))

    @property
    def mondays(self) -> list[date]:
        """The days with which they begin."""
        count = (self.last - self.first).days // 7 + 1
        return [self.first + timedelta(weeks=number) for number in range(count)]

    def __str__(self) -> str:
        return f"{self.first}" if self.first == self.last else f"{self.first} to {self.last}"
