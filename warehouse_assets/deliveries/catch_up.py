"""Catching the running average up with the feed, and replaying the lake where the state is lost."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from deltalake import DeltaTable

from warehouse_assets.deliveries import records
from warehouse_assets.deliveries.average import LATE, NOTHING_OPEN
from warehouse_assets.deliveries.feed import SETTING, append
from warehouse_assets.deliveries.session import Session
from warehouse_assets.deliveries.state import Snapshot, snapshot
from warehouse_assets.deliveries.state_database import StateDatabase
from warehouse_assets.deliveries.tables import DELIVERIES
from warehouse_assets.ingest.log import Segment, checkpoint_of, find_place, refuse_missing
from warehouse_assets.ingest.log_files import LogSource, open_log
from warehouse_assets.lake import Lake
from warehouse_assets.schema import REJECTED_RECORDS
from warehouse_assets.settings import Settings

_BYTES_TOGETHER = 3 << 20  # and up to a mebibyte more
_STEPS_TOGETHER = 50_000


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
    """

    before: Snapshot
    after: Snapshot
    lag: int = 0
    is_missing: bool = False

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
        append(self.source, lines)
        mark = self.snapshot().mark
        with open_log(self.source) as log:
            place = find_place(log, mark, None)
        if place.segment is not None:
            return place.segment.position + place.waiting
        return (mark.position if mark else 0) + place.waiting

    def catch_up(
        self, tell: Callable[[str], object] = str, is_enough: Callable[[], bool] = lambda: False
    ) -> Change:
        """Take what is new in the feed, record by record, a transaction for about four megabytes.

        Args:
            tell: told in words what is worth knowing meanwhile.
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
        waiting: int | None = None
        while True:
            with self.database.exclusive() as connection:
                session.begin(connection)
                if session.standing.mark is None and self._replay(session, connection, tell):
                    is_over = False
                else:
                    waiting, is_over = self._take(session, connection, tell)
            if is_over or is_enough():
                break
        if is_over and waiting is None:
            tell(refuse_missing(self.source, "feed"))
            return Change(before, self.snapshot(), is_missing=True)
        return Change(before, self.snapshot(), waiting or 0)

    def _take(
        self, session: Session, connection: sa.Connection, tell: Callable[[str], object]
    ) -> tuple[int | None, bool]:
        """Take lines of the feed; returns the bytes that wait, None without a feed, and if all."""
        mark = session.standing.mark
        with open_log(self.source) as log:
            place = find_place(log, mark, None)
            if place.segment is None:
                return (place.waiting if place.files else None), True
            self._tell_where(place.segment, tell)
            latest, steps, unusable = records.latest_now(), list[records.Step](), 0
            for lines in place.segment.read(self._bytes_together):
                for _, _, said in records.read_lines(lines, latest):
                    if isinstance(said, records.RecordError):
                        unusable += 1
                    else:
                        steps.append(said)
            touched = session.take(connection, steps)
            session.commit(connection, touched, mark=place.segment.checkpoint, unusable=unusable)
            waiting = place.waiting - place.segment.size
            return waiting, place.segment.file is log.present and waiting == 0

    def _tell_where(self, segment: Segment, tell: Callable[[str], object]) -> None:
        if segment.lost_at is not None:
            tell(
                f"Warning: the feed {self.source.path} was truncated, or rotated and what was left "
                "of it is gone; it is taken from its beginning. Records written just before may "
                "never have been seen."
            )

    def _replay(
        self, session: Session, connection: sa.Connection, tell: Callable[[str], object]
    ) -> bool:
        """Take steps that the lake holds, in the feed's order; False if it holds none."""
        handle = self._lake.table(DELIVERIES).open_existing()
        mark = checkpoint_of(handle, str(DELIVERIES.name)) if handle else None
        standing = session.standing
        if handle is None or mark is None:
            if standing.replayed_position is not None:  # the lake was lost, too
                session.drop(connection)
            return False
        if standing.replayed_position is None:
            tell("There is no state of deliveries: it is made again from the lake.")
        steps = self._steps(handle, standing.replayed_position)
        touched: set[int] = set()
        for open_for, part in _by_window(steps):
            session.average.keep_for(open_for)
            touched |= session.take(connection, part)
        is_last = len(steps) < self._steps_together
        session.average.keep_for(self._open_for)
        session.commit(
            connection,
            touched,
            mark=mark if is_last else None,
            replayed_position=None if is_last else int(str(steps[-1][0])),
            unusable=self._unusable() if is_last else 0,
        )
        return True

    def _steps(self, handle: DeltaTable, after: int | None) -> list[tuple[object, ...]]:
        with self._lake.connect() as connection:
            self._lake.view(connection, DELIVERIES, handle)
            return connection.execute(
                """SELECT log_position, customer, delivery_step, occurred_at,
                    newest_at - horizon_at AS open_for
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


def _by_window(
    rows: list[tuple[object, ...]],
) -> list[tuple[timedelta, list[records.Step]]]:
    """Steps in their order, together where the same time was allowed for a delivery."""
    parts: list[tuple[timedelta, list[records.Step]]] = []
    for _, customer, step, at, open_for in rows:
        assert isinstance(customer, int)
        assert isinstance(step, int)
        assert isinstance(at, datetime)
        assert isinstance(open_for, timedelta)
        if not parts or parts[-1][0] != open_for:
            parts.append((open_for, []))
        parts[-1][1].append((customer, step, at))
    return parts
