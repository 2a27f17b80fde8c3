"""What can be asked about reviews, and how it is told; by which route it is asked is elsewhere."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode

import sqlalchemy as sa

from warehouse_assets.api.shapes import Shape, to_csv, to_json
from warehouse_assets.days import ANY_DAY, Days
from warehouse_assets.reviews.answers import (
    REVIEW_FIELDS,
    Execute,
    Page,
    Place,
    Reviewed,
    ReviewQueries,
)
from warehouse_assets.reviews.tables import REVIEWS, STARS

REVIEWS_ON_A_PAGE = 20
MOST_REVIEWS_ON_A_PAGE = 100
_LONGEST_CURSOR = 200
_LARGEST = (1 << 63) - 1  # whole number of a database
_TOTALS = ("id", "reviews", "average_rating")
_STARS = tuple(str(n) for n in STARS)
_DETAILS = ("verified_share", "first_review_date", "last_review_date")
_SUMMARY_NAMES = (
    *_TOTALS,
    *(f"stars_{n}" for n in _STARS),
    *(f"share_of_stars_{n}" for n in _STARS),
    *_DETAILS,
)


@dataclass(frozen=True)
class SummaryAsked:
    """What the reviews of an id come to, within a range of days."""

    reviewed: Reviewed
    id: str
    days: Days

    @property
    def table(self) -> sa.Table:
        """The table that is read."""
        return self.reviewed.daily

    def told(self, queries: ReviewQueries, execute: Execute, shape: Shape) -> "Told | None":
        """The answer; None if there is no such id."""
        found = queries.summary(execute, self.reviewed, self.id, self.days)
        if found is None:
            return None
        return Told(to_json(found) if shape == "json" else _summary_as_csv(found))


@dataclass(frozen=True)
class PageAsked:
    """Some of the reviews of an id within a range of days, newest first."""

    reviewed: Reviewed
    id: str
    limit: int = REVIEWS_ON_A_PAGE
    after: Place | None = None
    days: Days = ANY_DAY

    @property
    def table(self) -> sa.Table:
        """The table that is read."""
        return REVIEWS

    def told(self, queries: ReviewQueries, execute: Execute, shape: Shape) -> "Told | None":
        """The answer; None if there is no such id."""
        page = queries.page(execute, self.reviewed, self.id, self.limit, self.after, self.days)
        if page is None:
            return None
        following = None if page.next is None else cursor(page.next, self.days)
        link = following and f"<?{urlencode({'limit': self.limit, 'after': following})}>"
        return Told(_page(self.id, page, following, shape), f'{link}; rel="next"' if link else None)


Question = SummaryAsked | PageAsked


@dataclass(frozen=True)
class Told:
    """The bytes of an answer, and the header `Link` to the page behind it, if there is one."""

    body: bytes
    link: str | None = None


def cursor(place: Place, days: Days) -> str:
    """A place, and the days that are asked for, as text that stands for itself in an address."""
    parts: list[object] = [place.reviewed_at.isoformat(), place.content_hash, place.occurrence]
    if days != ANY_DAY:
        parts += [None if day is None else day.isoformat() for day in (days.first, days.last)]
    text = json.dumps(parts)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def place_of(text: str, days: Days = ANY_DAY) -> tuple[Place, Days]:
    """The place and the days that `cursor` made text of.

    Args:
        days: what is asked for beside it: the same days, or any.

    Raises:
        ValueError: it is no such text, or of other days.
    """
    if len(text) > _LONGEST_CURSOR:
        raise ValueError("it is too long")
    parts = json.loads(base64.urlsafe_b64decode(text.encode() + b"=="))
    width = len(Place.__dataclass_fields__)
    if not isinstance(parts, list) or len(parts) not in {width, width + 2}:
        raise ValueError("it has other parts")
    (at, *numbers), kept_days = parts[:width], parts[width:]
    if not all(type(n) is int and -_LARGEST - 1 <= n <= _LARGEST for n in numbers):
        raise ValueError("it has other numbers")
    moment = datetime.fromisoformat(at) if isinstance(at, str) else None
    if moment is None or moment.tzinfo is not None:
        raise ValueError("it has another time")
    kept = Days(*(None if day is None else day_of(str(day)) for day in kept_days))
    if days not in (ANY_DAY, kept):
        raise ValueError("it is of a page with other days")
    return Place(moment, *numbers), kept


def day_of(text: str) -> date:
    """A day, YYYY-MM-DD and nothing else.

    Raises:
        ValueError: it is no such day.
    """
    day = date.fromisoformat(text)
    if day.isoformat() != text:  # weeks are taken, too, by newer versions of Python
        raise ValueError("it is not YYYY-MM-DD")
    return day


def _summary_as_csv(found: Mapping[str, Any]) -> bytes:
    stars = [found["stars"][n] for n in _STARS]
    row = [
        *(found[name] for name in _TOTALS),
        *(star["count"] for star in stars),
        *(star["share"] for star in stars),
        *(found[name] for name in _DETAILS),
    ]
    return to_csv(_SUMMARY_NAMES, [row])


def _page(id_: str, page: Page, following: str | None, shape: Shape) -> bytes:
    if shape == "csv":
        return to_csv(REVIEW_FIELDS, [list(review.values()) for review in page.reviews])
    return to_json({"id": id_, "reviews": page.reviews, "next": following})
