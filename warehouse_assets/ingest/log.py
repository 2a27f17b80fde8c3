"""Loading what is new in a growing log, whatever becomes of its files meanwhile.

Two tables remember up to where they hold a log, `rejected_records` always as far as or further than
the table of the records. Reading goes on where the records end. Where the rejected ones are
further, a load died between two commits: they are not added again, and positions given then are not
given to other lines.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
from deltalake import DeltaTable
from sqlalchemy import Table

from warehouse_assets.ingest.json_records import stage_json
from warehouse_assets.ingest.lines import Lines, arrow_table
from warehouse_assets.ingest.load import CheckpointedPart, Part, Rejects, Source, loaded_now
from warehouse_assets.ingest.loaded import Loaded, note_missing
from warehouse_assets.ingest.loads import Load
from warehouse_assets.ingest.log_files import (
    Checkpoint,
    LogFile,
    LogSource,
    OpenLog,
    Segment,
    files_since,
    open_log,
)
from warehouse_assets.ingest.staging import REJECTED, STAGED, create_stage
from warehouse_assets.ingest.validate import Validator
from warehouse_assets.lake import Lake, LakeTable, Transactions, Written, append
from warehouse_assets.lake.table import conflict
from warehouse_assets.progress import tell
from warehouse_assets.tables import REJECTED_RECORDS

_MOST_BYTES_TOGETHER = 64 * 10**6  # about a million lines, which are held in memory

_LOST = (
    "the log was truncated, or it was rotated and the file it became is gone: lines written from "
    "position {} on, if there were any, were never seen"
)

Stage = Callable[[duckdb.DuckDBPyConnection, Iterator[Lines]], None]
"""Reads all lines into the tables `STAGED` and `REJECTED`, each at the position of its line."""


def checkpoint_of(handle: DeltaTable, source: str) -> Checkpoint | None:
    """Up to where a table holds the log of `source`; None if it holds nothing of it."""
    base, position, digest, number = map(handle.transaction_version, _app_ids(source))
    if base is None or position is None or digest is None or number is None:
        return None
    return Checkpoint(base, position, digest, number)


def transactions_of(checkpoint: Checkpoint, source: str) -> Transactions:
    """What a commit carries after which its table holds the log up to `checkpoint`."""
    parts = (checkpoint.base, checkpoint.position, checkpoint.digest, checkpoint.file_number)
    return {**dict(zip(_app_ids(source), parts, strict=True)), **loaded_now(source)}


def _app_ids(source: str) -> list[str]:
    return [f"{source}/log/{part}" for part in ("base", "position", "digest", "file")]


@dataclass(frozen=True)
class Place:
    """Where reading goes on.

    Args:
        files: the files in which the rest of the log is; none if it is nowhere.
        segment: what is to be read first; None if no line is complete.
        waiting: the bytes that have not been loaded.
    """

    files: Sequence[LogFile]
    segment: Segment | None
    waiting: int


def find_place(log: OpenLog, loaded: Checkpoint | None, rejected: Checkpoint | None) -> Place:
    """Where a log is to be read on.

    Args:
        loaded: up to where the table of the records holds it; None if it holds nothing of it.
        rejected: up to where `rejected_records` does.

    Raises:
        SourceError: that may be in a file which cannot be read.
    """
    files, base, offset, lost_at = _beginning(log, loaded, rejected)
    waiting = sum(file.size for file in files) - offset
    for index, file in enumerate(files):
        # Whoever writes to a newer file has finished with this one.
        is_final = any(later.size > 0 for later in files[index + 1 :])
        if file.has_line(offset) or (is_final and offset < file.size):
            return Place(files, Segment(file, offset, base, is_final, lost_at), waiting)
        if not is_final:
            break
        base, lost_at = _next_base(base + file.size, files[index + 1], rejected)
        offset = 0
    return Place(files, None, waiting)


def _beginning(
    log: OpenLog, loaded: Checkpoint | None, rejected: Checkpoint | None
) -> tuple[Sequence[LogFile], int, int, int | None]:
    """The files to read, and base, offset and `lost_at` of the first."""
    if loaded is None and rejected is None:
        log.check_readable()
        return log.files, 0, 0, None
    if loaded is not None and (files := files_since(log, loaded)):
        return files, loaded.base, loaded.offset, None
    is_ahead = rejected is not None and (loaded is None or rejected.base > loaded.base)
    if is_ahead and rejected is not None and (files := files_since(log, rejected)):
        # The file was begun, and where it begins was settled.
        return files, rejected.base, 0, None
    reached = max(held.position for held in (loaded, rejected) if held is not None)
    return [log.present] if log.present else [], reached + 1, 0, reached


def _next_base(end: int, file: LogFile, rejected: Checkpoint | None) -> tuple[int, int | None]:
    """The position at which `file` begins, after one that ended at `end`, and `lost_at`."""
    if rejected is None or rejected.position <= end:
        return end, None
    if rejected.base >= end and rejected.is_in(file):
        return rejected.base, None
    return rejected.position + 1, rejected.position


@dataclass(frozen=True)
class LogKind:
    """A log that is loaded in one way.

    Args:
        name: its source in `rejected_records`.
        table: where its records go.
    """

    name: str
    table: Table
    stage: Stage


def json_log(validator: Validator, repairs: Sequence[str] = ()) -> LogKind:
    """A log of which each line is a JSON object.

    Args:
        validator: tells what of a record can be used, and as what.
        repairs: SQL for what a `line` may be meant to be, tried in turn before the line itself.
    """

    def stage(connection: duckdb.DuckDBPyConnection, lines: Iterator[Lines]) -> None:
        create_stage(connection, validator.table)
        stage_json(connection, validator, arrow_table(part.to_arrow() for part in lines), repairs)

    return LogKind(str(validator.table.name), validator.table, stage)


def load_log(
    lake: Lake, source: LogSource, kind: LogKind, most_bytes: int = _MOST_BYTES_TOGETHER
) -> Loaded:
    """Load every complete line that the lake does not hold yet.

    Args:
        most_bytes: about so many are committed together.

    Raises:
        SourceError: the log cannot be read, or it is missing where someone said it is.
        LogChangedError: it was truncated while it was read.
        ConflictError: another machine loaded some of it at the same time.
    """
    return _Log(lake, source, kind, most_bytes).load()


class _Log(Source):
    """A log, and the checkpoints up to which the tables hold it."""

    way = "log"

    def __init__(self, lake: Lake, source: LogSource, kind: LogKind, most_bytes: int) -> None:
        super().__init__(lake, kind.name, kind.table)
        self.source = source
        self.kind = kind
        self.most_bytes = most_bytes

    def parts(self) -> Generator[Part, None, None]:
        """The lines that are there; what is written meanwhile is left for next time."""
        tables = self.lake.table(self.kind.table), self.lake.table(REJECTED_RECORDS)
        held, rejected = (checkpoint_of(table.open(), self.name) for table in tables)
        self.loaded = Loaded(position=held.position if held else 0)
        while True:
            with open_log(self.source) as log:
                place = find_place(log, held, rejected)
                segment = place.segment
                if segment is None:
                    if place.files:
                        self.loaded = replace(self.loaded, lag=place.waiting)
                    else:
                        missing = f"log at {self.source.path}"
                        note_missing(missing, self.source.setting, self.source.is_given)
                        self.loaded = replace(self.loaded, is_missing=True)
                    return
                is_present = segment.file is log.present
                self._tell_where(segment, is_present)
                self.waiting = self.loaded.bytes_read + place.waiting
                yield _SegmentPart(
                    self.source, self.kind, segment, (held, rejected), self.most_bytes
                )
                held = segment.checkpoint
                if rejected is None or rejected.position < held.position:
                    rejected = held
                self.loaded = replace(
                    self.loaded,
                    position=held.position,
                    restarts=self.loaded.restarts + segment.is_restart,
                    lag=place.waiting - segment.size,
                )
                if is_present and segment.size < self.most_bytes:
                    return

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


class _SegmentPart(CheckpointedPart):
    """The lines at the beginning of a segment of the log.

    Args:
        held: up to where the table of the records holds the log, and `rejected_records`.
    """

    def __init__(
        self,
        source: LogSource,
        kind: LogKind,
        segment: Segment,
        held: tuple[Checkpoint | None, Checkpoint | None],
        most_bytes: int,
    ) -> None:
        size = min(segment.file.size - segment.offset, most_bytes)
        super().__init__({0: source.name}, size)
        self.kind = kind
        self.segment = segment
        self.held, self.rejected = held
        self.most_bytes = most_bytes

    def stage(self, connection: duckdb.DuckDBPyConnection, scratch: Path) -> None:
        """Read the lines, and note where others were lost."""
        del scratch
        self.kind.stage(connection, self.segment.read(self.most_bytes))
        self.size = self.segment.size
        if self.segment.lost_at is not None:
            connection.execute(
                f"INSERT INTO {REJECTED} BY NAME SELECT ? AS position, ? AS reason, '' AS raw",
                [self.segment.lost_at, _LOST.format(self.held.position if self.held else 0)],
            )
        ((self.records,),) = connection.execute(f"SELECT count(*) FROM {STAGED}").fetchall()

    def loads(self, rejected: int) -> list[Load]:
        """The lines, and up to where they are."""
        position = self.segment.checkpoint.position
        return [replace(load, position=position) for load in super().loads(rejected)]

    def new_rejects(self, handle: DeltaTable) -> Rejects | None:
        """Those behind the checkpoint of `rejected_records`."""
        self._check(handle, self.rejected, REJECTED_RECORDS.name)
        held = self.rejected.position if self.rejected else 0
        if self.segment.checkpoint.position <= held:
            return None
        transactions = transactions_of(self.segment.checkpoint, self.kind.name)
        return Rejects(self.units, transactions, f"FROM {REJECTED} WHERE position >= {held}")

    def write(
        self, connection: duckdb.DuckDBPyConnection, table: LakeTable, handle: DeltaTable
    ) -> Written:
        """Add all records."""
        self._check(handle, self.held, table.name)
        transactions = transactions_of(self.segment.checkpoint, self.kind.name)
        return append(connection, table, handle, f"FROM {STAGED}", transactions)

    def _check(self, handle: DeltaTable, held: Checkpoint | None, table: str) -> None:
        if checkpoint_of(handle, self.kind.name) != held:
            raise conflict(table)
