"""Loading files from the inbox.

Each file has a load number, its arrival, which it keeps once it was given one. The tables remember
the content of each file and its number. When its records are committed the file moves to the
archive; if that did not come about, the next load finds the file known, and only moves it.

Files of the archive that a table does not hold, as after the lake was lost, are loaded again,
under the numbers they have.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Protocol

import duckdb
from deltalake import DeltaTable

from warehouse_assets.crash_points import crash_point
from warehouse_assets.ingest.file_kinds import FileKind, Unit
from warehouse_assets.ingest.inbox import Inbox, InboxFile, delivered_name, unit_name
from warehouse_assets.ingest.load import CheckpointedPart, Part, Rejects, Source, loaded_now
from warehouse_assets.ingest.loaded import Loaded
from warehouse_assets.ingest.loads import Load
from warehouse_assets.ingest.staging import REJECTED, STAGED
from warehouse_assets.lake import (
    Lake,
    LakeTable,
    Transactions,
    Written,
    WrittenFile,
    discard,
    merge,
    register,
)
from warehouse_assets.tables import REJECTED_RECORDS

_MOST_BYTES_TOGETHER = 256 * 10**6

FileEvent = Literal["known", "started", "stored", "rejected"]


class Told(Protocol):
    """Whoever is told what a load does with each file."""

    def __call__(self, event: FileEvent, file: InboxFile, /, **data: Any) -> None:
        """Hear that the content of a file was known before, that reading it begins, that it is in
        the lake (`rows`, `rejected`), or that it was rejected as a whole (`reason`).
        """


def _tell_nobody(event: FileEvent, file: InboxFile, /, **data: Any) -> None:
    pass


def load_files(
    lake: Lake,
    inbox: Inbox,
    kind: FileKind,
    told: Told = _tell_nobody,
    most_bytes: int = _MOST_BYTES_TOGETHER,
) -> Loaded:
    """Load every complete file of `kind` that the lake does not hold yet.

    Args:
        told: hears what becomes of each file.
        most_bytes: files are committed together up to this size; a greater one is by itself.
    """
    inbox.prepare()
    return _Files(lake, inbox, kind, told, most_bytes).load()


class _Files(Source):
    """The files of one kind that the tables do not hold."""

    way = "file"

    def __init__(
        self, lake: Lake, inbox: Inbox, kind: FileKind, told: Told, most_bytes: int
    ) -> None:
        super().__init__(lake, kind.name, kind.table)
        self.inbox = inbox
        self.kind = kind
        self.told = told
        self.most_bytes = most_bytes

    def parts(self) -> Generator[Part, None, None]:
        """The files, in order of arrival, so many together as are committed together."""
        waiting = self.inbox.settled()
        units, known = self._units([f for f in waiting.complete if self.kind.recognises(f)])
        self.loaded = Loaded(known=known, unfinished=tuple(f.name for f in waiting.unfinished))
        self.waiting = sum(unit.file.size for unit in units)
        for batch in _batches(units, self.most_bytes):
            held = self._held(batch)
            # What is added as whole files is not taken apart again.
            for together in (held, [unit for unit in batch if unit not in held]):
                if together:
                    for unit in together:
                        self.told("started", unit.file)
                    part = _Batch(self.lake, self.kind, together)
                    yield part
                    self._archive(part)

    def _archive(self, part: "_Batch") -> None:
        """Tell that the files of `part` are in the lake, and move them."""
        for unit in part.files:
            if unit.arrival in part.rejected_whole:
                self.told("rejected", unit.file, reason=part.rejected_whole[unit.arrival])
            else:
                rows, rejected = (found.get(unit.arrival, 0) for found in (part.good, part.bad))
                self.told("stored", unit.file, rows=rows, rejected=rejected)
            if unit.file.path.parent == self.inbox.folder:
                self.inbox.archive_file(self.name, unit.arrival, unit.file)
                crash_point("file archived", self.name)
        self.loaded = replace(
            self.loaded,
            files=(*self.loaded.files, *part.files),
            refused={**self.loaded.refused, **part.unused},
        )

    def _units(self, files: Sequence[InboxFile]) -> tuple[list[Unit], tuple[str, ...]]:
        """What has not been loaded, in order of arrival, and the names of files that need not be.

        Files loaded before are moved out of the inbox.
        """
        declared = [REJECTED_RECORDS] if self.table is None else [REJECTED_RECORDS, self.table]
        handles = [self.lake.table(table).open() for table in declared]
        newest = [_newest_arrival(handle, self.name) for handle in handles]
        archived = self.inbox.archived(self.name)
        units = {}
        for arrival, path in archived.items():
            if arrival > min(newest):
                # Who keeps the archive may have links there.
                file = InboxFile.look_at(path.resolve(), delivered_name(path))
                unit = Unit(file, arrival, file.digest(), self.inbox.unpacked_limit)
                units[unit.digest] = unit
        known = []
        following = max([*newest, *archived]) + 1
        for file in files:
            digest = file.digest()
            numbers = [_arrival_of(handle, self.name, digest) for handle in handles]
            if digest in units or all(number is not None for number in numbers):
                number = numbers[0] or 0
                if digest in units or number in archived:
                    crash_point("duplicate to be removed", self.name)
                    self.inbox.remove_duplicate(file)
                else:
                    self.inbox.archive_file(self.name, number, file)
                    archived[number] = file.path
                self.told("known", file)
                known.append(file.name)
                continue
            arrival = next((number for number in numbers if number is not None), following)
            following = max(following, arrival + 1)
            units[digest] = Unit(file, arrival, digest, self.inbox.unpacked_limit)
        return sorted(units.values(), key=lambda unit: unit.arrival), tuple(known)

    def _held(self, batch: Sequence[Unit]) -> list[Unit]:
        """Units whose rows the table holds though `rejected_records` does not know of them."""
        if self.kind.is_merged or self.table is None:
            return []
        handle = self.lake.table(self.table).open()
        return [u for u in batch if _arrival_of(handle, self.name, u.digest) is not None]


def _batches(units: Iterable[Unit], most_bytes: int) -> Iterator[list[Unit]]:
    """Consecutive units that are committed together."""
    batch: list[Unit] = []
    size = 0
    for unit in units:
        if batch and size + unit.file.size > most_bytes:
            yield batch
            batch, size = [], 0
        batch.append(unit)
        size += unit.file.size
    if batch:
        yield batch


class _Batch(CheckpointedPart):
    """Some files.

    Attributes:
        good: how many good records each has, by its arrival number, once they are staged.
        bad: how many rejected ones.
        rejected_whole: why files were rejected as a whole, by their arrival number.
        unused: why the first record of each file without good records was rejected, by its name.
    """

    def __init__(self, lake: Lake, kind: FileKind, files: Sequence[Unit]) -> None:
        units = {unit.arrival: unit.name for unit in files}
        super().__init__(units, sum(unit.file.size for unit in files))
        self.lake = lake
        self.kind = kind
        self.files = files
        self.table = None if kind.table is None else lake.table(kind.table)
        self.written: Sequence[WrittenFile] = ()

    def stage(self, connection: duckdb.DuckDBPyConnection, scratch: Path) -> None:
        """Read the files, which must not change meanwhile."""
        try:
            self.written = self.kind.stage(connection, self.table, self.files, scratch)
        except (duckdb.IOException, OSError):
            self._check_unchanged()
            raise
        self._check_unchanged()
        self.good = self._count_records(connection)
        self.records = sum(self.good.values())
        self.bad = _by_arrival(connection, REJECTED)
        whole = f"SELECT arrival, reason FROM {REJECTED} WHERE position = 0"
        self.rejected_whole: dict[int, str] = dict(connection.execute(whole).fetchall())
        unused = [arrival for arrival in self.bad if not self.good.get(arrival)]
        reasons = _first_reasons(connection, unused)
        self.unused = {self.units[arrival]: reason for arrival, reason in reasons.items()}

    def loads(self, rejected: int) -> list[Load]:
        """What was staged of each file."""
        del rejected
        return [
            Load(unit.name, self.good.get(number, 0), self.bad.get(number, 0), arrival=number)
            for unit in self.files
            for number in [unit.arrival]
        ]

    def _check_unchanged(self) -> None:
        for unit in self.files:
            unit.file.check_unchanged()

    def _count_records(self, connection: duckdb.DuckDBPyConnection) -> dict[int, int]:
        """How many good records each file has, by its arrival number."""
        if self.table is None:
            return {}
        if self.kind.is_merged:
            return _by_arrival(connection, STAGED)
        if len(self.files) == 1:
            return {self.files[0].arrival: sum(file.rows for file in self.written)}
        paths = self.table.paths([file.action.path for file in self.written])
        self.lake.view_files(connection, self.table.declaration, paths, "_written")
        return _by_arrival(connection, "_written")

    def new_rejects(self, handle: DeltaTable) -> Rejects | None:
        """Those of files that `rejected_records` does not know."""
        arrivals, transactions = _outstanding(handle, self.kind.name, self.files)
        if not arrivals:
            return None
        return Rejects({arrival: self.units[arrival] for arrival in arrivals}, transactions)

    def write(
        self, connection: duckdb.DuckDBPyConnection, table: LakeTable, handle: DeltaTable
    ) -> Written:
        """Merge or add the records of files that the table does not know."""
        arrivals, transactions = _outstanding(handle, self.kind.name, self.files)
        if not arrivals:
            discard(table, self.written)
            return Written()
        if not self.kind.is_merged:
            return register(table, handle, self.written, transactions)
        if len(arrivals) < len(self.files):
            connection.execute(
                f"DELETE FROM {STAGED} WHERE NOT list_contains(CAST(? AS BIGINT[]), arrival)",
                [arrivals],
            )
        return merge(
            connection, self.lake, table, handle, STAGED, transactions, newest_by="arrival"
        )


def _by_arrival(connection: duckdb.DuckDBPyConnection, relation: str) -> dict[int, int]:
    """How many rows each file has in `relation`, by its arrival number."""
    return dict(
        connection.execute(f"SELECT arrival, count(*) FROM {relation} GROUP BY arrival").fetchall()
    )


def _first_reasons(
    connection: duckdb.DuckDBPyConnection, arrivals: Sequence[int]
) -> dict[int, str]:
    """Why the first record of each of the files `arrivals` was rejected."""
    query = f"""SELECT arrival, arg_min(concat_ws(': ', reason, value), position) FROM {REJECTED}
        WHERE list_contains(CAST(? AS BIGINT[]), arrival) GROUP BY arrival"""
    return dict(connection.execute(query, [arrivals]).fetchall())


def is_taken(lake: Lake, kind: FileKind, file: InboxFile) -> bool:
    """Whether the lake holds all that the content of `file` has to give, under whatever name."""
    tables = [table for table in (kind.table, REJECTED_RECORDS) if table is not None]
    handles = (lake.table(table).open_existing() for table in tables)
    digest = file.digest()
    return all(
        handle is not None and _arrival_of(handle, kind.name, digest) is not None
        for handle in handles
    )


def rejected_whole(lake: Lake, kind: FileKind, file: InboxFile) -> str:
    """Why the content of `file`, which was taken, was rejected as a whole; empty if it was not."""
    arrival = _arrival_of(lake.table(REJECTED_RECORDS).open(), kind.name, file.digest())
    with lake.connect() as connection:
        lake.view_newest(connection, REJECTED_RECORDS)
        found = connection.execute(
            f"""SELECT reason FROM {REJECTED_RECORDS.name}
            WHERE source = ? AND position = 0 AND starts_with(unit, ?)""",
            [kind.name, unit_name(arrival or 0, "")],
        ).fetchall()
    return str(found[0][0]) if found else ""


def _arrival_of(handle: DeltaTable, kind: str, digest: str) -> int | None:
    """The arrival number under which a table holds the content `digest`; None if it does not."""
    number: int | None = handle.transaction_version(_app_id(kind, digest))
    return number


def _newest_arrival(handle: DeltaTable, kind: str) -> int:
    """Up to which arrival number every file of `kind` is in the table; 0 if there is none."""
    return handle.transaction_version(_newest_app_id(kind)) or 0


def _outstanding(
    handle: DeltaTable, kind: str, batch: Sequence[Unit]
) -> tuple[list[int], Transactions]:
    """The arrival numbers of units that the table does not hold, and their transactions."""
    units = [unit for unit in batch if _arrival_of(handle, kind, unit.digest) is None]
    if not units:
        return [], {}
    arrivals = [unit.arrival for unit in units]
    transactions = {_app_id(kind, unit.digest): unit.arrival for unit in units}
    transactions[_newest_app_id(kind)] = max(_newest_arrival(handle, kind), *arrivals)
    return arrivals, {**transactions, **loaded_now(kind)}


def _app_id(kind: str, digest: str) -> str:
    """Remembers a file by its content."""
    return f"{kind}/{digest}"


def _newest_app_id(kind: str) -> str:
    """Remembers up to which arrival number every file has been taken."""
    return f"{kind}/newest"
