"""Loading what is new in a growing log.

The tables remember up to where they hold the log. The one of the records says where reading goes
on; what of it `rejected_records` holds already is not added to it again.
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import duckdb
from deltalake import DeltaTable
from sqlalchemy import Table

from warehouse_assets.ingest.json_records import LINES, stage_json
from warehouse_assets.ingest.lines import Lines, arrow_table
from warehouse_assets.ingest.load import CheckpointedPart, Loaded, Part, Rejects, Source
from warehouse_assets.ingest.log import (
    Checkpoint,
    Segment,
    checkpoint_of,
    find_place,
    refuse_missing,
    transactions_of,
)
from warehouse_assets.ingest.log_files import LogSource, open_log
from warehouse_assets.ingest.staging import REJECTED, STAGED, create_stage
from warehouse_assets.ingest.validate import Validator
from warehouse_assets.lake import Lake, LakeTable, Written, append
from warehouse_assets.lake.table import conflict
from warehouse_assets.progress import tell
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


def json_log(validator: Validator, repairs: Sequence[str] = ()) -> LogKind:
    """A log of which each line is a JSON object.

    Args:
        validator: tells what of a record can be used, and as what.
        repairs: SQL for what a `line` may be meant to be, tried in turn before the line itself.
    """

    def stage(connection: duckdb.DuckDBPyConnection, lines: Iterator[Lines]) -> None:
        create_stage(connection, validator.table)
        connection.register(LINES, arrow_table(part.to_arrow() for part in lines))
        stage_json(connection, validator, repairs=repairs)
        connection.unregister(LINES)

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
                    if not place.files:
                        tell(refuse_missing(self.source))
                    lag = place.waiting if place.files else 0
                    self.loaded = replace(self.loaded, is_missing=not place.files, lag=lag)
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
