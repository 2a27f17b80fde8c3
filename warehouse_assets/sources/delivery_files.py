"""Catching a table up with its delivery files, exactly once, whatever dies in between.

Each file is a unit with an arrival number. The order of steps makes every crash harmless:

1. The records that cannot be used are committed to `rejected_records`, the good ones to the
   table. Both commits carry the file's hash and number as a transaction, so that neither is
   made twice; a file that was given a number keeps it.
2. The file moves to the archive. If that did not come about, the next run finds the file's
   transactions in both tables and only moves it.

Files of the archive that a table does not hold, as after the lake was lost, are taken again,
under the numbers they have.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import duckdb
from deltalake import DeltaTable
from sqlalchemy import Table

from warehouse_assets.lake import Lake, Transactions, Written, append, merge
from warehouse_assets.progress import Listener, Progress, nobody, query_progress
from warehouse_assets.schema import REJECTED_RECORDS
from warehouse_assets.sources.inbox import DeliveryFile, Inbox, delivered_name
from warehouse_assets.sources.units import REJECTED, STAGED, Unit

# Files are staged together up to this size; a greater one is a commit by itself.
_MOST_BYTES_TOGETHER = 256 * 10**6


class Stage(Protocol):
    """Reads units into the tables `STAGED` and `REJECTED` of the connection."""

    def __call__(
        self, connection: duckdb.DuckDBPyConnection, units: Sequence[Unit], spool: Path
    ) -> None:
        """Read `units`, in their order; `spool` is an empty folder for temporary files."""


@dataclass(frozen=True)
class FileKind:
    """Files that are taken in one way.

    Args:
        name: names their folder in the archive, and their source in `rejected_records`.
        table: where their records go; None if all of them are rejected.
        recognises: whether a file in the inbox is of this kind.
        stage: reads them.
    """

    name: str
    table: Table | None
    recognises: Callable[[DeliveryFile], bool]
    stage: Stage


@dataclass(frozen=True)
class Taken:
    """What a catch-up did: of each file taken its unit, and rows, rejected records and bytes."""

    units: Sequence[Unit] = ()
    known: Sequence[DeliveryFile] = ()
    unfinished: Sequence[str] = ()
    records: int = 0
    rejected: int = 0
    bytes_read: int = 0
    written: Written = field(default_factory=Written)


def catch_up(
    lake: Lake,
    inbox: Inbox,
    kind: FileKind,
    tell: Callable[[str], None],
    progress: Listener = nobody,
) -> Taken:
    """Take every complete file of `kind` that the lake does not hold yet.

    Args:
        tell: told in words what is worth knowing meanwhile.
        progress: told how much of the bytes waiting has been taken.
    """
    inbox.prepare()
    with lake.lock(kind.name, on_wait=tell):
        waiting = inbox.settled()
        unfinished = [file.name for file in waiting.unfinished]
        catching_up = _CatchUp(lake, inbox, kind)
        units, known = catching_up.units([f for f in waiting.complete if kind.recognises(f)])
        taken = Taken(known=known, unfinished=unfinished)
        total = sum(unit.file.size for unit in units)
        for batch in _batches(units):
            done = taken.bytes_read

            def report(
                share: float, done: int = done, size: int = sum(u.file.size for u in batch)
            ) -> None:
                now = done + int(share * size)
                progress(Progress(kind.name, "reading", now, total, "bytes"))

            taken = catching_up.take(batch, taken, report)
            report(0, done=taken.bytes_read)
        return taken


def _batches(units: Iterable[Unit]) -> Iterator[list[Unit]]:
    """Consecutive units that are committed together."""
    batch: list[Unit] = []
    size = 0
    for unit in units:
        if batch and size + unit.file.size > _MOST_BYTES_TOGETHER:
            yield batch
            batch, size = [], 0
        batch.append(unit)
        size += unit.file.size
    if batch:
        yield batch


def _app_id(kind: str, digest: str) -> str:
    """Remembers a file by its content."""
    return f"{kind}/{digest}"


def _newest_app_id(kind: str) -> str:
    """Remembers up to which arrival number every file has been taken."""
    return f"{kind}/newest"


def _taken_at_app_id(kind: str) -> str:
    """Remembers when files were last taken, in milliseconds since 1970."""
    return f"{kind}/taken_at"


def is_taken(lake: Lake, kind: FileKind, file: DeliveryFile) -> bool:
    """Whether the lake holds all that the content of `file` has to give, under whatever name."""
    tables = [lake.table(table) for table in (kind.table, REJECTED_RECORDS) if table is not None]
    app_id = _app_id(kind.name, file.digest())
    return all(
        table.exists() and table.open().transaction_version(app_id) is not None for table in tables
    )


def taken_at(handle: DeltaTable, kind: str) -> float | None:
    """When files of `kind` were last taken into a table, in seconds since 1970; None if never."""
    milliseconds = handle.transaction_version(_taken_at_app_id(kind))
    return None if milliseconds is None else milliseconds / 1000


class _CatchUp:
    """The tables of one kind of files, and what they hold of them, while their lock is held."""

    def __init__(self, lake: Lake, inbox: Inbox, kind: FileKind) -> None:
        self.lake = lake
        self.inbox = inbox
        self.kind = kind
        self.rejected = lake.table(REJECTED_RECORDS)
        self.table = None if kind.table is None else lake.table(kind.table)

    def _app_id(self, digest: str) -> str:
        return _app_id(self.kind.name, digest)

    def _handles(self) -> list[DeltaTable]:
        tables = [self.rejected, self.table] if self.table else [self.rejected]
        return [table.open() for table in tables]

    def units(self, files: Sequence[DeliveryFile]) -> tuple[list[Unit], list[DeliveryFile]]:
        """What has not been taken, in order of arrival, and files that need not be.

        Files taken before are moved out of the inbox.
        """
        handles = self._handles()
        newest_app_id = _newest_app_id(self.kind.name)
        newest = [handle.transaction_version(newest_app_id) or 0 for handle in handles]
        archived = self.inbox.archived(self.kind.name)
        units = {}
        for arrival, path in archived.items():
            if arrival > min(newest):
                file = DeliveryFile.look_at(path, delivered_name(path))
                unit = Unit(file, arrival, file.digest())
                units[unit.digest] = unit
        known = []
        following = max([*newest, *archived]) + 1
        for file in files:
            digest = file.digest()
            numbers = [handle.transaction_version(self._app_id(digest)) for handle in handles]
            if digest in units or all(number is not None for number in numbers):
                number = numbers[0] or 0
                if digest in units or number in archived:
                    self.inbox.remove_duplicate(file)
                else:
                    self.inbox.archive_file(self.kind.name, number, file)
                    archived[number] = file.path
                known.append(file)
                continue
            arrival = next((number for number in numbers if number is not None), following)
            following = max(following, arrival + 1)
            units[digest] = Unit(file, arrival, digest)
        return sorted(units.values(), key=lambda unit: unit.arrival), known

    def take(self, batch: Sequence[Unit], before: Taken, report: Callable[[float], None]) -> Taken:
        """Read the units of `batch`, commit what they hold and archive their files."""
        with self.lake.connect() as connection, self.lake.scratch_folder() as spool:
            try:
                with query_progress(connection, report):
                    self.kind.stage(connection, batch, spool)
            except (duckdb.IOException, OSError):
                for unit in batch:
                    unit.file.check_unchanged()
                raise
            for unit in batch:
                unit.file.check_unchanged()
            (records,), (rejected,) = connection.execute(
                f"SELECT count(*) FROM {STAGED} UNION ALL SELECT count(*) FROM {REJECTED}"
            ).fetchall()
            self._commit_rejected(connection, batch)
            written = self._commit_records(connection, batch)
        for unit in batch:
            if unit.file.path.parent == self.inbox.folder:
                self.inbox.archive_file(self.kind.name, unit.arrival, unit.file)
        return replace(
            before,
            units=[*before.units, *batch],
            records=before.records + records,
            rejected=before.rejected + rejected,
            bytes_read=before.bytes_read + sum(unit.file.size for unit in batch),
            written=before.written + written,
        )

    def _outstanding(
        self, handle: DeltaTable, batch: Sequence[Unit]
    ) -> tuple[list[int], Transactions]:
        """The arrival numbers that the table does not hold, and their transactions."""
        units = [
            unit for unit in batch if handle.transaction_version(self._app_id(unit.digest)) is None
        ]
        if not units:
            return [], {}
        newest_app_id = _newest_app_id(self.kind.name)
        arrivals = [unit.arrival for unit in units]
        transactions = {self._app_id(unit.digest): unit.arrival for unit in units}
        transactions[newest_app_id] = max(handle.transaction_version(newest_app_id) or 0, *arrivals)
        transactions[_taken_at_app_id(self.kind.name)] = time.time_ns() // 10**6
        return arrivals, transactions

    def _commit_rejected(
        self, connection: duckdb.DuckDBPyConnection, batch: Sequence[Unit]
    ) -> None:
        with self.lake.lock(self.rejected.name):
            handle = self.rejected.open()
            arrivals, transactions = self._outstanding(handle, batch)
            if not arrivals:
                return
            connection.execute(
                """CREATE OR REPLACE TEMP TABLE _units AS
                SELECT unnest(CAST($arrivals AS BIGINT[])) AS arrival,
                    unnest(CAST($units AS VARCHAR[])) AS unit,
                    CAST($source AS VARCHAR) AS source""",
                {
                    "arrivals": arrivals,
                    "units": [unit.name for unit in batch if unit.arrival in set(arrivals)],
                    "source": self.kind.name,
                },
            )
            query = f"""SELECT *, now() AT TIME ZONE 'UTC' AS rejected_at
                FROM {REJECTED} JOIN _units USING (arrival)"""
            append(connection, self.rejected, handle, query, transactions)

    def _commit_records(
        self, connection: duckdb.DuckDBPyConnection, batch: Sequence[Unit]
    ) -> Written:
        if self.table is None:
            return Written()
        handle = self.table.open()
        arrivals, transactions = self._outstanding(handle, batch)
        if not arrivals:
            return Written()
        if len(arrivals) < len(batch):
            connection.execute(
                f"DELETE FROM {STAGED} WHERE NOT list_contains(CAST(? AS BIGINT[]), arrival)",
                [arrivals],
            )
        return merge(
            connection, self.lake, self.table, handle, STAGED, transactions, newest_by="arrival"
        )
