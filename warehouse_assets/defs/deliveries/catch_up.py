"""The event log of deliveries, and the running average that is kept up to date with it.

The event log is a growing file of JSON lines, to which steps are appended here, too. A lost
average is made again from the lake.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
from filelock import FileLock, Timeout

from warehouse_assets.crash_points import crash_point
from warehouse_assets.defs.deliveries import records, state
from warehouse_assets.defs.deliveries.average import LATE, NOTHING_OPEN, RunningAverage
from warehouse_assets.defs.deliveries.state import Snapshot, state_database
from warehouse_assets.defs.deliveries.tables import DELIVERIES
from warehouse_assets.errors import BusyError, SourceError, naming
from warehouse_assets.ingest.loaded import note_missing
from warehouse_assets.ingest.log import checkpoint_of, find_place
from warehouse_assets.ingest.log_files import LogSource, open_log
from warehouse_assets.lake import Lake
from warehouse_assets.progress import tell
from warehouse_assets.settings import Settings
from warehouse_assets.tables import REJECTED_RECORDS
from warehouse_assets.warehouse.database import SqlDatabase

_SETTING = "DELIVERIES_FEED"
_SECONDS_TO_WAIT = 30  # for another writer of the event log
_BYTES_TOGETHER = 3 << 20  # and up to a mebibyte more
_STEPS_TOGETHER = 50_000


@dataclass(frozen=True)
class Change:
    """What a catch-up did.

    Args:
        before: the state that it found.
        after: the state that it left; others may have changed it, too.
        lag: bytes of the event log that have not been taken.
        is_missing: whether there is no event log, and need not be one.
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
        return not self.before.is_as(self.after)


class DeliveryAverage:
    """The running average, kept in a database: a resource of the asset graph.

    Args:
        database: where its state is.
        source: the event log.
        lake: what is replayed if the state is lost.
        open_for: for how long, in the time of the records, a delivery may stay open.
        bytes_together: about so many bytes of the event log are taken in a transaction.
    """

    def __init__(
        self,
        database: SqlDatabase,
        source: LogSource,
        lake: Lake,
        open_for: timedelta,
        bytes_together: int = _BYTES_TOGETHER,
    ) -> None:
        self.database = database
        self.source = source
        self._lake = lake
        self._open_for = open_for
        self._bytes_together = bytes_together

    @classmethod
    def of(cls, settings: Settings, lake: Lake) -> "DeliveryAverage":
        """The one that `settings` name; nothing is opened."""
        open_for = timedelta(hours=settings.delivery_open_hours)
        return cls(state_database(settings.state_url), event_log(settings), lake, open_for)

    def snapshot(self, known: Snapshot | None = None) -> Snapshot:
        """The state as it is now; see `state.snapshot`."""
        return state.snapshot(self.database, known)

    def append(self, lines: Sequence[bytes]) -> int:
        """Append lines to the event log so that they survive a power cut.

        A last line that was cut, by whoever wrote it, is ended first; it is rejected when it is
        read.

        Returns:
            A position of the event log: what has been taken up to there includes them.

        Raises:
            SourceError: the event log cannot be written or read.
            WarehouseError: the state cannot be read.
            BusyError: another writer did not end in time.
        """
        path = self.source.path
        lock = path.with_name(f".{path.name}.lock")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with (
                naming(path),
                FileLock(lock, timeout=_SECONDS_TO_WAIT),
                path.open("ab+", buffering=0) as stream,
            ):
                size = stream.seek(0, os.SEEK_END)
                data = b"".join(line + b"\n" for line in lines)
                if size:
                    stream.seek(size - 1)
                    data = data if stream.read(1) == b"\n" else b"\n" + data
                while data:
                    data = data[stream.write(data) :]
                os.fsync(stream.fileno())
        except Timeout:
            raise BusyError(
                f"The feed {path} was being written for {_SECONDS_TO_WAIT} s. Nothing was "
                "appended; send the records again."
            ) from None
        except OSError as error:
            raise SourceError(
                f"The feed {path} cannot be written: {error.strerror}. Give this user permission "
                f"to write it, free some space, or set {_SETTING} to another file. Part of the "
                "records may be in it: send them again, what is there twice counts once."
            ) from error
        now = self.snapshot()
        with open_log(self.source) as log:
            place = find_place(log, now.checkpoint, None)
        return (place.segment.position if place.segment else now.position) + place.waiting

    def look(self) -> str | None:
        """What changes whenever the event log does; '' if that cannot be told, None without one.

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
        """Take what is new in the event log, record by record, about four megabytes at a time.

        Args:
            is_enough: asked after each transaction whether to leave the rest for next time.

        Raises:
            SourceError: the event log cannot be read, or it is missing where someone said it is.
            LogChangedError: it was truncated while it was read.
            WarehouseError: the state cannot be read or written, or it is of another lake.
            BusyError: another program kept it locked.
        """
        before = self.snapshot()
        while True:
            with self.database.write_from(self._lake.folder) as connection:
                waiting, is_over = self._advance(connection)
                crash_point("state to be committed", "deliveries")
            if waiting is None:
                source = self.source
                note_missing(f"feed at {source.path}", source.setting, source.is_given)
                return Change(before, self.snapshot(), is_missing=True)
            if is_over or is_enough():
                return Change(before, self.snapshot(), waiting, is_cut=not is_over)

    def _advance(self, connection: sa.Connection) -> tuple[int | None, bool]:
        """Take some of what waits; returns how many bytes still do, and whether this was all.

        None waits where there is no event log.
        """
        before = state.read(connection)
        is_as_set = before.open_seconds == self._open_for.total_seconds()
        if before.checkpoint is None or not is_as_set:
            state.empty(connection)
            before = Snapshot()
            if self._replay(connection):
                return 0, False
        with open_log(self.source) as log:
            place = find_place(log, before.checkpoint, None)
            segment = place.segment
            if segment is None:
                return (place.waiting if place.files else None), True
            if segment.lost_at is not None:
                tell(
                    f"Warning: the feed {self.source.path} was truncated, or rotated and what was "
                    "left of it is gone; it is taken from its beginning. Records written just "
                    "before may never have been seen."
                )
            latest, steps, unusable = records.latest_now(), list[records.Step](), 0
            for lines in segment.read(self._bytes_together):
                for _, _, said in records.read_lines(lines, latest):
                    if isinstance(said, records.RecordError):
                        unusable += 1
                    else:
                        steps.append(said)
            customers = {customer for customer, _, _ in steps}
            average = state.arithmetic(connection, before, self._open_for, customers)
            for step in steps:
                average.add(*step)
            taken = (segment.checkpoint, len(steps), unusable)
            state.write(connection, before, average, customers, *taken)
            waiting = place.waiting - segment.size
            return waiting, segment.file is log.present and waiting == 0

    def _replay(self, connection: sa.Connection) -> bool:
        """Take all steps that the lake holds, in their order; returns whether it holds any."""
        handle = self._lake.table(DELIVERIES).open_existing()
        checkpoint = checkpoint_of(handle, str(DELIVERIES.name)) if handle else None
        if checkpoint is None:
            return False
        tell("There is no state of deliveries: it is made again from the lake.")
        average, taken = RunningAverage(self._open_for), 0
        with self._lake.connect() as lake:
            self._lake.view(lake, DELIVERIES, handle)
            found = lake.execute(
                """SELECT newest_at - horizon_at, customer, delivery_step, occurred_at
                FROM deliveries ORDER BY log_position"""
            )
            while rows := found.fetchmany(_STEPS_TOGETHER):
                for open_for, customer, step, at in rows:
                    average.open_for = open_for
                    average.add(customer, step, at)
                taken += len(rows)
            self._lake.view_newest(lake, REJECTED_RECORDS)
            ((unusable,),) = lake.execute(
                """SELECT count(*) FROM rejected_records WHERE source = ?
                AND reason NOT IN (?, ?) AND raw <> ''""",
                [str(DELIVERIES.name), NOTHING_OPEN, LATE],
            ).fetchall()
        average.open_for = self._open_for
        customers = average.opened.keys() | average.closed.keys()
        state.write(connection, Snapshot(), average, customers, checkpoint, taken, unusable)
        return True


def event_log(settings: Settings) -> LogSource:
    """The event log that `settings` name."""
    return LogSource(settings.deliveries_feed, _SETTING in settings.given, _SETTING)
