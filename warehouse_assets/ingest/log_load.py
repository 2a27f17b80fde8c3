"""Loading what is new in a growing log into its table, exactly once, whatever dies in between.

New lines are loaded in parts, and each part in two commits: its lines that cannot be used are
committed to `rejected_records`, then its good ones to the table. With each commit the table
remembers, as transactions, the checkpoint up to which it holds the log. The records say where
reading goes on; what of it `rejected_records` holds already is not added to it again.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

import duckdb
from deltalake import DeltaTable
from sqlalchemy import Table

from warehouse_assets.crash_points import crash_point
from warehouse_assets.ingest.lines import Lines
from warehouse_assets.ingest.log import (
    Checkpoint,
    Place,
    Segment,
    checkpoint_of,
    find_place,
    refuse_missing,
    transactions_of,
)
from warehouse_assets.ingest.log_files import LogSource, open_log
from warehouse_assets.ingest.rejects import commit_rejects
from warehouse_assets.ingest.units import REJECTED, STAGED
from warehouse_assets.ingest.unknown_fields import keep_unknown_fields
from warehouse_assets.lake import Lake, LakeTable, Written, append
from warehouse_assets.lake.lake import conflict
from warehouse_assets.progress import Progress, query_progress, report, tell
from warehouse_assets.tables import REJECTED_RECORDS

_MOST_BYTES_TOGETHER = 64 * 10**6  # about a million lines, which are held in memory

_LOST = (
    "the log was truncated, or it was rotated and the file it became is gone: lines written from "
    "position {} on, if there were any, were never seen"
)


class Stage(Protocol):
    """Reads lines into the tables `STAGED` and `REJECTED` of the connection."""

    def __call__(self, connection: duckdb.DuckDBPyConnection, lines: Iterator[Lines]) -> None:
        """Read all of `lines`; in both tables a line has the position at which it begins."""


@dataclass(frozen=True)
class LogKind:
    """A log that is loaded in one way.

    Args:
        name: its source in `rejected_records`.
        table: where its records go.
        stage: reads its lines.
    """

    name: str
    table: Table
    stage: Stage


@dataclass(frozen=True)
class LoadedLog:
    """What a load did.

    Args:
        records: good lines.
        rejected: lines that cannot be used, and places where lines were lost.
        bytes_read: bytes of the log.
        written: what was written to the table.
        from_position: up to where the table held the log before.
        to_position: up to where it does now.
        restarts: how often reading went on in another file, or in a truncated one.
        lag: bytes of an incomplete last line, left for next time.
        is_missing: whether there is no log, and need not be one.
        unknown_fields: names of fields in its lines that no column is for.
    """

    records: int = 0
    rejected: int = 0
    bytes_read: int = 0
    written: Written = field(default_factory=Written)
    from_position: int = 0
    to_position: int = 0
    restarts: int = 0
    lag: int = 0
    is_missing: bool = False
    unknown_fields: tuple[str, ...] = ()


def load_log(
    lake: Lake,
    source: LogSource,
    kind: LogKind,
    most_bytes: int = _MOST_BYTES_TOGETHER,
) -> LoadedLog:
    """Load every complete line that the lake does not hold yet.

    Args:
        most_bytes: about so many are committed together.

    Raises:
        SourceError: the log cannot be read, or it is missing where someone said it is.
        LogChangedError: it was truncated while it was read.
        ConflictError: another machine took some of it at the same time.
    """
    with lake.lock(kind.name):
        return _Load(lake, source, kind, most_bytes).run()


class _Load:
    """The two tables of a log and up to where they hold it, while the lock is held."""

    def __init__(
        self,
        lake: Lake,
        source: LogSource,
        kind: LogKind,
        most_bytes: int,
    ) -> None:
        self.lake = lake
        self.source = source
        self.kind = kind
        self.most_bytes = most_bytes
        self.table = lake.table(kind.table)
        self.rejects = lake.table(REJECTED_RECORDS)
        self._opened = {table.name: table.open() for table in (self.table, self.rejects)}
        self.loaded = checkpoint_of(self._opened[self.table.name], kind.name)
        self.rejected = checkpoint_of(self._opened[self.rejects.name], kind.name)

    @property
    def _held(self) -> int:
        """The position up to which the table holds the log."""
        return self.loaded.position if self.loaded else 0

    def run(self) -> LoadedLog:
        """Load part by part what is there; what is written meanwhile is left for next time."""
        account = LoadedLog(from_position=self._held, to_position=self._held)
        while True:
            with open_log(self.source) as log:
                place = find_place(log, self.loaded, self.rejected)
                if place.segment is None:
                    return self._at_the_end(place, account)
                is_present = place.segment.file is log.present
                self._tell_where(place.segment, is_present)
                account = self._load(place.segment, account, account.bytes_read + place.waiting)
                if is_present and place.segment.size < self.most_bytes:
                    return replace(account, lag=place.waiting - place.segment.size)

    def _at_the_end(self, place: Place, account: LoadedLog) -> LoadedLog:
        """The account when no line is left to be loaded."""
        if place.files:
            return replace(account, lag=place.waiting)
        tell(refuse_missing(self.source))
        return replace(account, is_missing=True)

    def _tell_where(self, segment: Segment, is_present: bool) -> None:
        path = self.source.path
        if segment.lost_at is not None:
            tell(
                f"Warning: the log {path} was truncated, or rotated and what was left of it is "
                "gone; it is taken from its beginning. Lines written just before may never have "
                f"been seen: rejected_records tells where (position {segment.lost_at}). Keep the "
                "newest rotated log beside it, and not packed, or take lines more often."
            )
        elif not is_present:
            rotated = segment.file.path
            tell(f"The log {path} was rotated: what is left in {rotated} comes first.")
        elif segment.is_restart:
            tell(f"The log {path} was rotated: it is taken from its beginning.")

    def _load(self, segment: Segment, before: LoadedLog, total: int) -> LoadedLog:
        """Read the lines at the beginning of `segment` and commit what they hold."""

        def reported(share: float | None) -> None:
            if share is None:
                report(Progress(self.kind.name, "checking"))
                return
            done = before.bytes_read + int(share * segment.size)
            report(Progress(self.kind.name, "reading", done, total, "bytes"))

        with self.lake.connect() as connection:
            crash_point("lines to be read", self.kind.name)
            reported(0)
            with query_progress(connection, reported):
                self.kind.stage(connection, segment.read(self.most_bytes))
            if segment.lost_at is not None:
                connection.execute(
                    f"INSERT INTO {REJECTED} BY NAME SELECT ? AS position, ? AS reason, '' AS raw",
                    [segment.lost_at, _LOST.format(self._held)],
                )
            (records,), (rejected,) = connection.execute(
                f"SELECT count(*) FROM {STAGED} UNION ALL SELECT count(*) FROM {REJECTED}"
            ).fetchall()
            units = {0: self.source.name}
            unknown = keep_unknown_fields(self.lake, connection, self.kind.table, units)
            crash_point("lines read", self.kind.name)
            self._commit_rejected(connection, segment.checkpoint)
            crash_point("rejects committed", self.kind.name)
            written = self._commit_records(connection, segment.checkpoint)
        crash_point("rows committed", self.kind.name)
        reported(1)
        return replace(
            before,
            records=before.records + records,
            rejected=before.rejected + rejected,
            bytes_read=before.bytes_read + segment.size,
            written=before.written + written,
            to_position=segment.checkpoint.position,
            restarts=before.restarts + segment.is_restart,
            unknown_fields=tuple(dict.fromkeys((*before.unknown_fields, *unknown))),
        )

    def _commit_rejected(self, connection: duckdb.DuckDBPyConnection, mark: Checkpoint) -> None:
        """Commit what `rejected_records` does not hold yet, up to `mark`."""
        with self.lake.lock(self.rejects.name):
            handle = self._handle(self.rejects, self.rejected)
            held = self.rejected.position if self.rejected else 0
            if mark.position <= held:
                return
            units, transactions = {0: self.source.name}, transactions_of(mark, self.kind.name)
            chosen = f"FROM {REJECTED} WHERE position >= {held}"
            commit_rejects(
                connection, self.rejects, handle, self.kind.name, units, transactions, chosen
            )
            self.rejected = mark

    def _commit_records(self, connection: duckdb.DuckDBPyConnection, mark: Checkpoint) -> Written:
        handle = self._handle(self.table, self.loaded)
        transactions = transactions_of(mark, self.kind.name)
        written = append(connection, self.table, handle, f"FROM {STAGED}", transactions)
        self.loaded = mark
        return written

    def _handle(self, table: LakeTable, mark: Checkpoint | None) -> DeltaTable:
        """A handle on the newest version of `table`, which holds the log up to `mark`."""
        # Most often one part is all there is, and opening takes longer than writing it.
        handle = self._opened.pop(table.name, None)
        if handle is None:
            handle = table.open()
        else:
            handle.update_incremental()
        if checkpoint_of(handle, self.kind.name) != mark:
            raise conflict(table.name)
        return handle
