"""What the durable state of the running average holds, and how it is read.

How it changes is in `session`, where it is kept in `state_database`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from warehouse_assets.deliveries.average import BEGINNING
from warehouse_assets.deliveries.state_database import (
    CUSTOMERS,
    HISTORY,
    MICROSECOND,
    STATE,
    StateDatabase,
    time_of,
)
from warehouse_assets.ingest.log import Checkpoint

_MARK = ("feed_base", "feed_position", "feed_digest", "feed_file")


@dataclass(frozen=True)
class Point:
    """The average as it was up to `position` of the feed; `at` is in seconds since 1970."""

    position: int
    at: float
    successes: int
    total: timedelta

    @property
    def average(self) -> timedelta | None:
        """The average duration; None before the first success."""
        return self.total / self.successes if self.successes else None


@dataclass(frozen=True)
class Snapshot:
    """The state at one moment.

    Args:
        revision: how often it has changed.
        changed_at: when it did last, in seconds since 1970.
        position: up to where the feed is in it.
        mark: the same, as a mark in its file; None if nothing has been read of a file.
        records: records that could be read.
        unusable: lines that could not.
        rejected: records that could be read, but not be used.
        repetitions: records that were there before.
        openings: deliveries opened.
        successes: deliveries ended by their last step.
        total: their durations together.
        newest: the newest time of any record.
        open: deliveries that are open.
    """

    revision: int = 0
    changed_at: float = 0.0
    position: int = 0
    mark: Checkpoint | None = None
    records: int = 0
    unusable: int = 0
    rejected: int = 0
    repetitions: int = 0
    openings: int = 0
    successes: int = 0
    total: timedelta = timedelta()
    newest: datetime = BEGINNING
    open: int = 0

    @property
    def average(self) -> timedelta | None:
        """The average duration; None before the first success."""
        return self.total / self.successes if self.successes else None

    @property
    def abandoned(self) -> int:
        """Deliveries that were opened and will not succeed."""
        return self.openings - self.successes - self.open


def snapshot(database: StateDatabase, known: Snapshot | None = None) -> Snapshot:
    """The state as it is now; one without anything if there is none yet.

    Args:
        known: a former one, which is returned if nothing has changed since.

    Raises:
        StateError: the database cannot be read.
    """
    with database.reading() as connection:
        row = None if connection is None else connection.execute(sa.select(STATE)).one_or_none()
        if connection is None or row is None:
            return Snapshot()
        if known is not None and (known.revision, known.changed_at) == (
            row.revision,
            row.changed_at,
        ):
            return known
        horizon = row.newest_us - int(row.open_seconds * 10**6)
        is_open = sa.and_(CUSTOMERS.c.is_open, CUSTOMERS.c.at_us >= horizon)
        count = sa.select(sa.func.count()).select_from(CUSTOMERS).where(is_open)
        return Snapshot(
            row.revision,
            row.changed_at,
            row.feed_position or 0,
            mark_in(row),
            row.records,
            row.unusable,
            row.rejected,
            row.repetitions,
            row.openings,
            row.successes,
            row.total_us * MICROSECOND,
            time_of(row.newest_us),
            connection.execute(count).scalar_one(),
        )


def history(database: StateDatabase, up_to: int | None = None, most: int = 60) -> list[Point]:
    """The average after each of the last changes, oldest first.

    Args:
        up_to: only as it was when no more of the feed was taken than up to there.

    Raises:
        StateError: the database cannot be read.
    """
    with database.reading() as connection:
        if connection is None:
            return []
        query = sa.select(HISTORY).order_by(HISTORY.c.revision.desc()).limit(most)
        if up_to is not None:
            query = query.where(HISTORY.c.position <= up_to)
        rows = connection.execute(query).all()
    return [
        Point(row.position, row.changed_at, row.successes, row.total_us * MICROSECOND)
        for row in reversed(rows)
    ]


def mark_in(row: sa.Row[Any]) -> Checkpoint | None:
    """The mark that a row of the table `STATE` holds."""
    values = [getattr(row, name) for name in _MARK]
    return None if None in values else Checkpoint(*values)


def columns_of(mark: Checkpoint | None) -> dict[str, int | None]:
    """The columns of the table `STATE` that hold `mark`."""
    parts = (mark.base, mark.position, mark.digest, mark.file_number) if mark else (None,) * 4
    return dict(zip(_MARK, parts, strict=True))
