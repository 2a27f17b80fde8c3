"""Catching a table up with a growing log, exactly once, whatever dies in between.

New lines are taken in parts, and each part in two commits: its lines that cannot be used are
committed to `rejected_records`, then its good ones to the table. With each commit the table
remembers, as transactions, the mark up to which it holds the log. The records say where reading
goes on; what of it `rejected_records` holds already is not added to it again.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

import duckdb
from deltalake import DeltaTable
from sqlalchemy import Table

from warehouse_assets.crash_points import crash_point
from warehouse_assets.errors import SourceError
from warehouse_assets.lake import Lake, LakeTable, Written, append
from warehouse_assets.lake.lake import conflict
from warehouse_assets.progress import Listener, Progress, nobody, query_progress
from warehouse_assets.schema import REJECTED_RECORDS
from warehouse_assets.sources.growing_log import LogSource, open_log
from warehouse_assets.sources.log_marks import Mark, digest_of, mark_of, transactions_of
from warehouse_assets.sources.log_place import Marks, Piece, Place, find_place
from warehouse_assets.sources.log_spool import SpooledLines, spool_lines
from warehouse_assets.sources.units import REJECTED, STAGED
from warehouse_assets.sources.unknown_fields import keep_unknown_fields

# Parts of this size are committed one by one: about a million lines. A greater one takes memory
# that it costs time to get.
_MOST_BYTES_TOGETHER = 64 * 10**6

_LOST = (
    "the log was truncated, or it was rotated and the file it became is gone: lines written from "
    "position {} on, if there were any, were never seen"
)


class Stage(Protocol):
    """Reads lines into the tables `STAGED` and `REJECTED` of the connection."""

    def __call__(self, connection: duckdb.DuckDBPyConnection, spooled: SpooledLines) -> None:
        """Read `spooled`; in both tables a line has the position at which it begins."""


@dataclass(frozen=True)
class LogKind:
    """A log that is taken in one way.

    Args:
        name: its source in `rejected_records`.
        table: where its records go.
        stage: reads its lines.
    """

    name: str
    table: Table
    stage: Stage


@dataclass(frozen=True)
class TakenFromLog:
    """What a catch-up did.

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


def catch_up_log(
    lake: Lake,
    source: LogSource,
    kind: LogKind,
    tell: Callable[[str], None],
    progress: Listener = nobody,
) -> TakenFromLog:
    """Take every complete line that the lake does not hold yet.

    Args:
        tell: told in words what is worth knowing meanwhile.
        progress: told how much of the bytes waiting has been taken.

    Raises:
        SourceError: the log cannot be read, or it is missing where someone said it is.
        LogChangedError: it was truncated while it was read.
        ConflictError: another machine took some of it at the same time.
    """
    with lake.lock(kind.name, on_wait=tell):
        return _CatchUp(lake, source, kind, tell, progress).run()


class _CatchUp:
    """The two tables of a log and up to where they hold it, while the lock is held."""

    def __init__(
        self,
        lake: Lake,
        source: LogSource,
        kind: LogKind,
        tell: Callable[[str], None],
        progress: Listener,
    ) -> None:
        self.lake = lake
        self.source = source
        self.kind = kind
        self.tell = tell
        self.progress = progress
        self.table = lake.table(kind.table)
        self.rejected = lake.table(REJECTED_RECORDS)
        tables = (self.table, self.rejected)
        self._opened = {table.name: table.open() for table in tables}
        self.marks = Marks(*(mark_of(self._opened[table.name], kind.name) for table in tables))

    @property
    def _held(self) -> int:
        """The position up to which the table holds the log."""
        return self.marks.taken.position if self.marks.taken else 0

    def run(self) -> TakenFromLog:
        """Take part by part what is there; what is written meanwhile is left for next time."""
        account = TakenFromLog(from_position=self._held, to_position=self._held)
        while True:
            with open_log(self.source) as log:
                place = find_place(log, self.marks)
                if place.piece is None:
                    return self._at_the_end(place, account)
                self._tell_where(place.piece, is_present=place.piece.file is log.present)
                before = account.bytes_read
                account = self._take(place.piece, account, before + place.waiting)
                size = account.bytes_read - before
                if place.piece.file is log.present and size < _MOST_BYTES_TOGETHER:
                    return replace(account, lag=place.waiting - size)

    def _at_the_end(self, place: Place, account: TakenFromLog) -> TakenFromLog:
        """The account when no line is left to be taken."""
        if place.files:
            return replace(account, lag=place.waiting)
        path, setting = self.source.path, self.source.setting
        if self.source.is_given:
            raise SourceError(
                f"There is no log at {path}, and no rotated one beside it goes on from where it "
                f"was left. See why it is gone, or set {setting} to the file that grows."
            )
        self.tell(f"There is no log at {path}, the default of {setting}: nothing to take.")
        return replace(account, is_missing=True)

    def _tell_where(self, piece: Piece, *, is_present: bool) -> None:
        path = self.source.path
        if piece.lost_at is not None:
            self.tell(
                f"Warning: the log {path} was truncated, or rotated and what was left of it is "
                "gone; it is taken from its beginning. Lines written just before may never have "
                f"been seen: rejected_records tells where (position {piece.lost_at}). Keep the "
                "newest rotated log beside it, and not packed, or take lines more often."
            )
        elif not is_present:
            self.tell(f"The log {path} was rotated: what is left in {piece.file.path} comes first.")
        elif piece.is_restart:
            self.tell(f"The log {path} was rotated: it is taken from its beginning.")

    def _take(self, piece: Piece, before: TakenFromLog, total: int) -> TakenFromLog:
        """Read the lines at the beginning of `piece` and commit what they hold."""

        def report(share: float | None) -> None:
            if share is None:
                self.progress(Progress(self.kind.name, "checking"))
                return
            done = before.bytes_read + int(share * spooled.size)
            self.progress(Progress(self.kind.name, "reading", done, total, "bytes"))

        with self.lake.connect() as connection, self.lake.scratch_folder() as folder:
            crash_point("lines to be read", self.kind.name)
            spooled = spool_lines(piece, folder, _MOST_BYTES_TOGETHER)
            report(0)
            with query_progress(connection, report):
                self.kind.stage(connection, spooled)
            if piece.lost_at is not None:
                connection.execute(
                    f"INSERT INTO {REJECTED} BY NAME SELECT ? AS position, ? AS reason, '' AS raw",
                    [piece.lost_at, _LOST.format(self._held)],
                )
            (records,), (rejected,) = connection.execute(
                f"SELECT count(*) FROM {STAGED} UNION ALL SELECT count(*) FROM {REJECTED}"
            ).fetchall()
            position = spooled.position + spooled.size
            mark = Mark(piece.base, position, digest_of(spooled.window), piece.file.number)
            units = {0: self.source.name}
            unknown = keep_unknown_fields(self.lake, connection, self.kind.table, units)
            crash_point("lines read", self.kind.name)
            self._commit_rejected(connection, mark)
            crash_point("rejects committed", self.kind.name)
            written = self._commit_records(connection, mark)
        crash_point("rows committed", self.kind.name)
        report(1)
        return replace(
            before,
            records=before.records + records,
            rejected=before.rejected + rejected,
            bytes_read=before.bytes_read + spooled.size,
            written=before.written + written,
            to_position=position,
            restarts=before.restarts + piece.is_restart,
            unknown_fields=tuple(dict.fromkeys((*before.unknown_fields, *unknown))),
        )

    def _commit_rejected(self, connection: duckdb.DuckDBPyConnection, mark: Mark) -> None:
        """Commit what `rejected_records` does not hold yet, up to `mark`."""
        with self.lake.lock(self.rejected.name):
            handle = self._handle(self.rejected, self.marks.rejected)
            held = self.marks.rejected.position if self.marks.rejected else 0
            if mark.position <= held:
                return
            connection.execute(
                """CREATE OR REPLACE TEMP TABLE _unit AS
                SELECT CAST(? AS VARCHAR) AS source, CAST(? AS VARCHAR) AS unit,
                    CAST(? AS BIGINT) AS held""",
                [self.kind.name, self.source.name, held],
            )
            query = f"""SELECT *, now() AT TIME ZONE 'UTC' AS rejected_at
                FROM {REJECTED}, _unit WHERE position >= held"""
            transactions = transactions_of(mark, self.kind.name)
            append(connection, self.rejected, handle, query, transactions)
            self.marks = replace(self.marks, rejected=mark)

    def _commit_records(self, connection: duckdb.DuckDBPyConnection, mark: Mark) -> Written:
        handle = self._handle(self.table, self.marks.taken)
        transactions = transactions_of(mark, self.kind.name)
        written = append(connection, self.table, handle, f"FROM {STAGED}", transactions)
        self.marks = replace(self.marks, taken=mark)
        return written

    def _handle(self, table: LakeTable, mark: Mark | None) -> DeltaTable:
        """A handle on the newest version of `table`, which holds the log up to `mark`."""
        # Most often one part is all there is, and opening takes longer than writing it.
        handle = self._opened.pop(table.name, None)
        if handle is None:
            handle = table.open()
        else:
            handle.update_incremental()
        if mark_of(handle, self.kind.name) != mark:
            raise conflict(table.name)
        return handle
