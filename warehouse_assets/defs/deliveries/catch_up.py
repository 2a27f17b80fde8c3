"""The running average, kept up to date with the feed, and made again from the lake if it is lost.

The feed is the event log of deliveries: a growing file of JSON lines, which is read like any log.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from deltalake import DeltaTable
from filelock import FileLock, Timeout

from warehouse_assets.defs.deliveries import records
from warehouse_assets.defs.deliveries.average import LATE, NOTHING_OPEN
from warehouse_assets.defs.deliveries.state import Session, Snapshot, snapshot
from warehouse_assets.defs.deliveries.state_database import StateDatabase
from warehouse_assets.defs.deliveries.tables import DELIVERIES
from warehouse_assets.errors import BusyError, SourceError, naming
from warehouse_assets.ingest.log import Segment, checkpoint_of, find_place, refuse_missing
from warehouse_assets.ingest.log_files import LogSource, open_log
from warehouse_assets.lake import Lake
from warehouse_assets.progress import tell
from warehouse_assets.settings import Settings
from warehouse_assets.tables import REJECTED_RECORDS

SETTING = "DELIVERIES_FEED"
_BYTES_TOGETHER = 3 << 20  # and up to a mebibyte more
_STEPS_TOGETHER = 50_000
_SECONDS_TO_WAIT = 30


def feed_of(settings: Settings) -> LogSource:
    """The feed that `settings` name."""
    return LogSource(settings.deliveries_feed, SETTING in settings.given, SETTING)


@dataclass(frozen=True)
class Change:
    """What a catch-up did.

    Args:
        before: the state that it found.
        after: the state that it left; others may have changed it, too.
        lag: bytes of the feed that have not been taken.
        is_missing: whether there is no feed, and need not be one.
        is_cut: whether more could have been taken.
    """

    before: Snapshot
    after: Snapshot
    lag: int = 0
    is_missing: bool = False
    is_cut: bool = False

    @property
    def is_any(self) -> bool:
        """Whether there was anything to take."""
        return (self.before.revision, self.before.changed_at) != (
            self.after.revision,
            self.after.changed_at,
        )


class DeliveryAverage:
    """The running average, kept in a database: a resource of the asset graph.

    Args:
        database: where its state is.
        source: the feed.
        lake: what is replayed if the state is lost.
        open_for: for how long, in the time of the records, a delivery may stay open.
        bytes_together: about so many bytes of the feed are taken in a transaction.
        steps_together: so many steps of the lake are.
    """

    def __init__(
        self,
        database: StateDatabase,
        source: LogSource,
        lake: Lake,
        open_for: timedelta,
        bytes_together: int = _BYTES_TOGETHER,
        steps_together: int = _STEPS_TOGETHER,
    ) -> None:
        self.database = database
        self.source = source
        self._lake = lake
        self._open_for = open_for
        self._bytes_together = bytes_together
        self._steps_together = steps_together

    @classmethod
    def of(cls, settings: Settings, lake: Lake) -> "DeliveryAverage":
        """The one that `settings` name; nothing is opened."""
        open_for = timedelta(hours=settings.delivery_open_hours)
        return cls(
            StateDatabase(settings.state_url, lake.folder), feed_of(settings), lake, open_for
        )

    def snapshot(self, known: Snapshot | None = None) -> Snapshot:
        """The state as it is now; see `state.snapshot`."""
        return snapshot(self.database, known)

    def append(self, lines: Sequence[bytes]) -> int:
        """Append lines to the feed so that they survive a power cut.

        Returns:
            A position of the feed: what has been taken up to there includes them.

        Raises:
            SourceError: the feed cannot be written or read.
            BusyError: another writer did not end in time.
            StateError: the state cannot be read.
        """
        append_lines(self.source, lines)
        mark = self.snapshot().mark
        with open_log(self.source) as log:
            place = find_place(log, mark, None)
        if place.segment is not None:
            return place.segment.position + place.waiting
        return (mark.position if mark else 0) + place.waiting

    def look(self) -> str | None:
        """What changes whenever the feed does; '' if that cannot be told, None if there is no feed.

        It costs next to nothing.
        """
        try:
            status = self.source.path.stat()
        except FileNotFoundError:
            return None
        except OSError:  # for which reason, catching up finds out
            return ""
        return f"{status.st_ino} {status.st_size} {status.st_mtime_ns}"

    def catch_up(self, is_enough: Callable[[], bool] = lambda: False) -> Change:
        """Take what is new in the feed, record by record, a transaction for about four megabytes.

        Args:
            is_enough: asked after each transaction whether to leave the rest for next time.

        Raises:
            SourceError: the feed cannot be read, or it is missing where someone said it is.
            LogChangedError: it was truncated while it was read.
            StateError: the state cannot be read or written, or it is of another lake.
            BusyError: another program kept it locked.
        """
        before = self.snapshot()
        self.database.prepare()
        session = Session(self.database, self._open_for)
        while True:
            with self.database.exclusive() as connection:
                session.begin(connection)
                waiting, is_over = self._replay(session, connection), False
                if waiting is None:
                    waiting, is_over = self._take(session, connection)
            if is_over and waiting is None:
                tell(refuse_missing(self.source, "feed"))
                return Change(before, self.snapshot(), is_missing=True)
            if is_over or is_enough():
                return Change(before, self.snapshot(), waiting or 0, is_cut=not is_over)

    def _take(self, session: Session, connection: sa.Connection) -> tuple[int | None, bool]:
        """Take lines of the feed; returns the bytes that wait, None without a feed, and if all."""
        with open_log(self.source) as log:
            place = find_place(log, session.checkpoint, None)
            segment = place.segment
            if segment is None:
                return (place.waiting if place.files else None), True
            self._tell_where(segment)
            latest, steps, unusable = records.latest_now(), list[records.Step](), 0
            for lines in segment.read(self._bytes_together):
                for _, _, said in records.read_lines(lines, latest):
                    if isinstance(said, records.RecordError):
                        unusable += 1
                    else:
                        steps.append(said)
            touched = session.take(connection, steps)
            session.commit(connection, touched, segment.checkpoint, unusable)
            waiting = place.waiting - segment.size
            return waiting, segment.file is log.present and waiting == 0

    def _tell_where(self, segment: Segment) -> None:
        if segment.lost_at is not None:
            tell(
                f"Warning: the feed {self.source.path} was truncated, or rotated and what was left "
                "of it is gone; it is taken from its beginning. Records written just before may "
                "never have been seen."
            )

    def _replay(self, session: Session, connection: sa.Connection) -> int | None:
        """Take steps that the lake holds where there is no state, in the order of the feed.

        Returns 0 if there were any, else None.
        """
        if session.checkpoint is not None:
            return None
        handle = self._lake.table(DELIVERIES).open_existing()
        checkpoint = checkpoint_of(handle, str(DELIVERIES.name)) if handle else None
        replayed = session.replayed_position
        if handle is None or checkpoint is None:
            if replayed is not None:  # the lake was lost, too
                session.drop(connection)
            return None
        if replayed is None:
            tell("There is no state of deliveries: it is made again from the lake.")
        rows = self._steps(handle, replayed)
        touched: set[int] = set()
        for open_for, steps in groupby(rows, key=itemgetter(0)):
            session.average.keep_for(open_for)
            touched |= session.take(
                connection, [(who, number, at) for _, _, who, number, at in steps]
            )
        session.average.keep_for(self._open_for)
        if len(rows) < self._steps_together:
            session.commit(connection, touched, checkpoint, self._unusable())
        else:
            session.commit(connection, touched, None, replayed_position=rows[-1][1])
        return 0

    def _steps(self, handle: DeltaTable, after: int | None) -> list[Any]:
        """How long a delivery could stay open, position, customer, step and time."""
        with self._lake.connect() as connection:
            self._lake.view(connection, DELIVERIES, handle)
            return connection.execute(
                """SELECT newest_at - horizon_at AS open_for, log_position, customer,
                    delivery_step, occurred_at
                FROM deliveries WHERE log_position > ? ORDER BY log_position LIMIT ?""",
                [-1 if after is None else after, self._steps_together],
            ).fetchall()

    def _unusable(self) -> int:
        """How many lines of the feed the lake could not read."""
        with self._lake.connect() as connection:
            self._lake.view_newest(connection, REJECTED_RECORDS)
            (count,) = connection.execute(
                """SELECT count(*) FROM rejected_records WHERE source = ?
                AND reason NOT IN (?, ?) AND raw <> ''""",
                [str(DELIVERIES.name), NOTHING_OPEN, LATE],
            ).fetchall()[0]
        return int(count)


def append_lines(source: LogSource, lines: Sequence[bytes]) -> None:
    """Append lines to the feed so that they survive a power cut.

    A last line that was cut, by whoever wrote it, is ended first; it is rejected when it is read.

    Raises:
        SourceError: the feed cannot be written.
        BusyError: another writer did not end in time.
    """
    path = source.path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with (
            naming(path),
            FileLock(_lock(path), timeout=_SECONDS_TO_WAIT),
            path.open("ab+", buffering=0) as feed,
        ):
            size = feed.seek(0, os.SEEK_END)
            data = b"".join(line + b"\n" for line in lines)
            if size:
                feed.seek(size - 1)
                data = data if feed.read(1) == b"\n" else b"\n" + data
            while data:
                data = data[feed.write(data) :]
            os.fsync(feed.fileno())
    except Timeout:
        raise BusyError(
            f"The feed {path} was being written for {_SECONDS_TO_WAIT} s. Nothing was appended; "
            "send the records again."
        ) from None
    except OSError as error:
        raise SourceError(
            f"The feed {path} cannot be written: {error.strerror}. Give this user permission to "
            f"write it, free some space, or set {SETTING} to another file. Part of the records may "
            "be in it: send them again, what is there twice counts once."
        ) from error


def _lock(path: Path) -> Path:
    return path.with_name(f".{path.name}.lock")
