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

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb
from deltalake import DeltaTable

from warehouse_assets.crash_points import crash_point
from warehouse_assets.ingest.file_kinds import FileKind, StagedFiles
from warehouse_assets.ingest.file_marks import arrival_of, newest_arrival, outstanding
from warehouse_assets.ingest.inbox import DeliveryFile, Inbox, delivered_name
from warehouse_assets.ingest.ingestion_watch import IngestionWatch
from warehouse_assets.ingest.rejects import commit_rejects
from warehouse_assets.ingest.units import REJECTED, STAGED, Unit
from warehouse_assets.ingest.unknown_fields import keep_unknown_fields
from warehouse_assets.lake import Lake, Written, discard, merge, register
from warehouse_assets.progress import Progress, query_progress, report
from warehouse_assets.tables import REJECTED_RECORDS

# Files are staged together up to this size; a greater one is a commit by itself.
_MOST_BYTES_TOGETHER = 256 * 10**6


@dataclass(frozen=True)
class Taken:
    """What a catch-up did: of each file taken its unit, and rows, rejected records and bytes.

    `refused` says of each unit of which nothing could be used, by its name, why.
    """

    units: Sequence[Unit] = ()
    refused: dict[str, str] = field(default_factory=dict)
    known: Sequence[DeliveryFile] = ()
    unfinished: Sequence[str] = ()
    records: int = 0
    rejected: int = 0
    bytes_read: int = 0
    written: Written = field(default_factory=Written)
    unknown_fields: tuple[str, ...] = ()


def catch_up(
    lake: Lake,
    inbox: Inbox,
    kind: FileKind,
    watch: IngestionWatch | None = None,
) -> Taken:
    """Take every complete file of `kind` that the lake does not hold yet.

    Args:
        watch: told what becomes of each file.
    """
    inbox.prepare()
    with lake.lock(kind.name):
        waiting = inbox.settled()
        unfinished = [file.name for file in waiting.unfinished]
        catching_up = _CatchUp(lake, inbox, kind, watch or IngestionWatch())
        units, known = catching_up.units([f for f in waiting.complete if kind.recognises(f)])
        taken = Taken(known=known, unfinished=unfinished)
        total = sum(unit.file.size for unit in units)
        for batch in _batches(units):
            done = taken.bytes_read

            def reported(
                share: float | None, done: int = done, size: int = sum(u.file.size for u in batch)
            ) -> None:
                if share is None:
                    report(Progress(kind.name, "checking"))
                    return
                now = done + int(share * size)
                report(Progress(kind.name, "reading", now, total, "bytes"))

            taken = catching_up.take(batch, taken, reported)
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


class _CatchUp:
    """The tables of one kind of files, and what they hold of them, while their lock is held."""

    def __init__(
        self,
        lake: Lake,
        inbox: Inbox,
        kind: FileKind,
        watch: IngestionWatch,
    ) -> None:
        self.lake = lake
        self.inbox = inbox
        self.kind = kind
        self.watch = watch
        self.rejected = lake.table(REJECTED_RECORDS)
        self.table = None if kind.table is None else lake.table(kind.table)

    def _handles(self) -> list[DeltaTable]:
        tables = [self.rejected, self.table] if self.table else [self.rejected]
        return [table.open() for table in tables]

    def units(self, files: Sequence[DeliveryFile]) -> tuple[list[Unit], list[DeliveryFile]]:
        """What has not been taken, in order of arrival, and files that need not be.

        Files taken before are moved out of the inbox.
        """
        handles = self._handles()
        newest = [newest_arrival(handle, self.kind.name) for handle in handles]
        archived = self.inbox.archived(self.kind.name)
        units = {}
        for arrival, path in archived.items():
            if arrival > min(newest):
                # Who keeps the archive may have links there.
                file = DeliveryFile.look_at(path.resolve(), delivered_name(path))
                unit = Unit(file, arrival, file.digest(), self.inbox.unpacked_limit)
                units[unit.digest] = unit
        known = []
        following = max([*newest, *archived]) + 1
        for file in files:
            digest = file.digest()
            numbers = [arrival_of(handle, self.kind.name, digest) for handle in handles]
            if digest in units or all(number is not None for number in numbers):
                number = numbers[0] or 0
                if digest in units or number in archived:
                    crash_point("duplicate to be removed", self.kind.name)
                    self.inbox.remove_duplicate(file)
                else:
                    self.inbox.archive_file(self.kind.name, number, file)
                    archived[number] = file.path
                self.watch.known(file)
                known.append(file)
                continue
            arrival = next((number for number in numbers if number is not None), following)
            following = max(following, arrival + 1)
            units[digest] = Unit(file, arrival, digest, self.inbox.unpacked_limit)
        return sorted(units.values(), key=lambda unit: unit.arrival), known

    def take(
        self, batch: Sequence[Unit], before: Taken, listen: Callable[[float | None], None]
    ) -> Taken:
        """Read the units of `batch`, commit what they hold and archive their files."""
        held = self._held(batch)
        if held and len(held) < len(batch):
            # What is added as whole files is not taken apart again.
            rest = [unit for unit in batch if unit not in held]
            return self.take(rest, self.take(held, before, listen), listen)
        self.watch.started(batch)

        is_read = False

        def reported(share: float | None) -> None:
            nonlocal is_read
            is_read = share is None
            listen(share)
            self.watch.progress(share)

        with self.lake.connect() as connection, self.lake.scratch_folder() as spool:
            try:
                crash_point("files to be read", self.kind.name)
                with query_progress(connection, reported):
                    staged = self._stage(connection, batch, spool)
            except (duckdb.IOException, OSError):
                for unit in batch:
                    unit.file.check_unchanged()
                raise
            for unit in batch:
                unit.file.check_unchanged()
            if not is_read:
                reported(1)
            report(Progress(self.kind.name, "storing"))
            self.watch.storing()
            rejected = _by_arrival(connection, REJECTED)
            refused = _rejected_whole(connection)
            records = self._records(connection, batch, staged)
            unused = _first_reasons(connection, [a for a in rejected if not records.get(a)])
            unknown = self._keep_unknown_fields(connection, batch)
            crash_point("files read", self.kind.name)
            self._commit_rejected(connection, batch)
            crash_point("rejects committed", self.kind.name)
            written = self._commit_records(connection, batch, staged)
        crash_point("rows committed", self.kind.name)
        self.watch.stored(records, rejected, refused)
        for unit in batch:
            if unit.file.path.parent == self.inbox.folder:
                self.inbox.archive_file(self.kind.name, unit.arrival, unit.file)
                crash_point("file archived", self.kind.name)
        return replace(
            before,
            units=[*before.units, *batch],
            refused=before.refused
            | {u.name: unused[u.arrival] for u in batch if u.arrival in unused},
            records=before.records + sum(records.values()),
            rejected=before.rejected + sum(rejected.values()),
            bytes_read=before.bytes_read + sum(unit.file.size for unit in batch),
            written=before.written + written,
            unknown_fields=tuple(dict.fromkeys((*before.unknown_fields, *unknown))),
        )

    def _held(self, batch: Sequence[Unit]) -> list[Unit]:
        """Units whose rows the table holds though `rejected_records` does not know of them."""
        if self.kind.write is None or self.table is None:
            return []
        handle = self.table.open()
        return [u for u in batch if arrival_of(handle, self.kind.name, u.digest) is not None]

    def _stage(
        self, connection: duckdb.DuckDBPyConnection, batch: Sequence[Unit], spool: Path
    ) -> StagedFiles:
        if self.kind.stage is not None:
            self.kind.stage(connection, batch, spool)
            return StagedFiles()
        if self.kind.write is None or self.table is None:
            raise TypeError(f"files of the kind {self.kind.name} cannot be read")
        self.table.open()  # makes the folder
        return self.kind.write(connection, self.table, batch, spool)

    def _records(
        self, connection: duckdb.DuckDBPyConnection, batch: Sequence[Unit], staged: StagedFiles
    ) -> dict[int, int]:
        """How many good records each unit has, by its arrival number."""
        if self.table is None:
            return {}
        if self.kind.stage is not None:
            return _by_arrival(connection, STAGED)
        if len(batch) == 1:
            return {batch[0].arrival: sum(file.rows for file in staged.files)}
        paths = self.table.paths([file.action.path for file in staged.files])
        self.lake.view_files(connection, self.table.declaration, paths, "_written")
        return _by_arrival(connection, "_written")

    def _keep_unknown_fields(
        self, connection: duckdb.DuckDBPyConnection, batch: Sequence[Unit]
    ) -> tuple[str, ...]:
        if self.kind.table is None:
            return ()
        units = {unit.arrival: unit.name for unit in batch}
        return keep_unknown_fields(self.lake, connection, self.kind.table, units)

    def _commit_rejected(
        self, connection: duckdb.DuckDBPyConnection, batch: Sequence[Unit]
    ) -> None:
        with self.lake.lock(self.rejected.name):
            handle = self.rejected.open()
            arrivals, transactions = outstanding(handle, self.kind.name, batch)
            if not arrivals:
                return
            units = {unit.arrival: unit.name for unit in batch if unit.arrival in set(arrivals)}
            name = self.kind.name
            commit_rejects(connection, self.rejected, handle, name, units, transactions)

    def _commit_records(
        self, connection: duckdb.DuckDBPyConnection, batch: Sequence[Unit], staged: StagedFiles
    ) -> Written:
        if self.table is None:
            return Written()
        handle = self.table.open()
        arrivals, transactions = outstanding(handle, self.kind.name, batch)
        if not arrivals:
            discard(self.table, staged.files)
            return Written()
        if self.kind.write is not None:
            return register(self.table, handle, staged.files, transactions)
        if len(arrivals) < len(batch):
            connection.execute(
                f"DELETE FROM {STAGED} WHERE NOT list_contains(CAST(? AS BIGINT[]), arrival)",
                [arrivals],
            )
        return merge(
            connection, self.lake, self.table, handle, STAGED, transactions, newest_by="arrival"
        )


def _by_arrival(connection: duckdb.DuckDBPyConnection, relation: str) -> dict[int, int]:
    """How many rows each unit has in `relation`, by its arrival number."""
    return dict(
        connection.execute(f"SELECT arrival, count(*) FROM {relation} GROUP BY arrival").fetchall()
    )


def _rejected_whole(connection: duckdb.DuckDBPyConnection) -> dict[int, str]:
    """Why units were rejected as a whole, by their arrival number."""
    query = f"SELECT arrival, reason FROM {REJECTED} WHERE position = 0"
    return dict(connection.execute(query).fetchall())


def _first_reasons(
    connection: duckdb.DuckDBPyConnection, arrivals: Sequence[int]
) -> dict[int, str]:
    """Why the first record of each of the units `arrivals` was rejected."""
    query = f"""SELECT arrival, arg_min(concat_ws(': ', reason, value), position) FROM {REJECTED}
        WHERE list_contains(CAST(? AS BIGINT[]), arrival) GROUP BY arrival"""
    return dict(connection.execute(query, [arrivals]).fetchall())
