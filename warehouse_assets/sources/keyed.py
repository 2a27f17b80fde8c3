"""Catching a table up with a source whose records have keys, as rows of a database have.

Merging by key is idempotent: a record read twice changes nothing, so that nothing has to be
remembered of what has been taken, and a catch-up that died is simply done again. What is
remembered spares work or tells when something came: what a source looked like when all of it was
read, and when rows were last written.

A record that cannot be used is rejected once, however often it is read.
"""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import duckdb
import xxhash
from deltalake import DeltaTable
from sqlalchemy import Table

from warehouse_assets.crash_points import crash_point
from warehouse_assets.lake import Lake, Transactions, Written, merge
from warehouse_assets.progress import Listener, Progress, nobody
from warehouse_assets.schema import column_names, duckdb_type, identifiers, key_names
from warehouse_assets.sources.json_fields import field_columns
from warehouse_assets.sources.json_judge import judge
from warehouse_assets.sources.record_spool import Record, load_raw, spool_records
from warehouse_assets.sources.rejections import reject_once
from warehouse_assets.sources.units import STAGED, create_stage
from warehouse_assets.sources.unknown_fields import (
    keep_unknown_fields,
    known_fields,
    note_names,
)

# Records are read, judged and staged this many at a time.
_RECORDS_AT_ONCE = 100_000
_RECORDS_BETWEEN_REPORTS = 10_000
# Reading as many again takes longer than a commit that spares it.
_WORTH_REMEMBERING = 100_000


class KeyedSource(ABC):
    """Something that records with keys can be read from."""

    unit: str
    """What `rejected_records` calls it; there each reading also has its number."""

    expected: int = 0
    """About how many records there are, once the first of them is read, if that can be told."""

    records_together: int = 1_000_000
    """How many records are written at a time."""

    seconds_together: float = math.inf
    """After how many seconds what has been read is written."""

    unknown: Sequence[str] = ()
    """Columns of the source that are not read, once the first record is."""

    def fingerprint(self) -> int | None:
        """A number that changes whenever the records may have changed; None if there is no such.

        It is asked for before the records are.
        """
        return None

    @abstractmethod
    def records(self) -> Iterator[Record]:
        """The records, in order of arrival, each with a position of its own."""

    def is_enough(self, done: "CaughtUp") -> bool:
        """Whether the rest is left to the next catch-up, after what was done in this one."""
        del done
        return False


@dataclass(frozen=True)
class CaughtUp:
    """What a catch-up did.

    `records` were read, of which `rejected` are newly in `rejected_records` and
    `rejected_before` were there already. `is_missing` says that there is nothing to read from,
    `is_unchanged_source` that the source has not changed since all of it was read,
    `unknown_fields` which fields it has that no column is for.
    """

    records: int = 0
    rejected: int = 0
    rejected_before: int = 0
    pages_read: int = 0
    bytes_read: int = 0
    written: Written = field(default_factory=Written)
    is_missing: bool = False
    is_unchanged_source: bool = False
    unknown_fields: tuple[str, ...] = ()


def catch_up_keyed(
    lake: Lake,
    table: Table,
    source: KeyedSource,
    tell: Callable[[str], object],
    progress: Listener = nobody,
) -> CaughtUp:
    """Merge all records of `source` into `table` by its primary key.

    Of several records with one key the last one counts. If the source fails on the way, what was
    read of it until then is written before the error is raised again.

    Args:
        table: its columns name their fields in `info["field"]`; it has no column `arrival`.
        tell: told in words what is worth knowing meanwhile.
        progress: told how many records have been read.
    """
    name = str(table.name)
    with lake.lock(name, on_wait=tell):
        mark = _mark(table, source.fingerprint())
        known = lake.table(table).open().transaction_version(_mark_id(name))
        if mark is not None and mark == known:
            return CaughtUp(is_unchanged_source=True)
        with lake.connect() as connection, lake.scratch_folder() as spool:
            return _CatchUp(lake, table, source, connection).take(spool, mark, progress)


def _mark_id(table: str) -> str:
    """Remembers what the source was like when all of it had been read."""
    return f"{table}/fingerprint"


def _mark(table: Table, fingerprint: int | None) -> int | None:
    """The fingerprint of the source and of what is wanted of it, as a version of Delta."""
    if fingerprint is None:
        return None
    wanted = [(c.name, c.info["field"], duckdb_type(c), c.nullable) for c in field_columns(table)]
    return xxhash.xxh3_64_intdigest(repr((fingerprint, wanted)).encode()) >> 1


@dataclass(frozen=True)
class _Reading:
    arrival: int = 0


class _CatchUp:
    """One table and its source, while the table's lock is held."""

    def __init__(
        self,
        lake: Lake,
        table: Table,
        source: KeyedSource,
        connection: duckdb.DuckDBPyConnection,
    ) -> None:
        self.lake = lake
        self.declaration = table
        self.table = lake.table(table)
        self.source = source
        self.connection = connection

    def take(self, spool: Path, mark: int | None, progress: Listener) -> CaughtUp:
        """Read all records and write them; `mark` is remembered once that is done."""
        with closing(_counting(self.source, self.table.name, progress)) as records:
            return self._take(records, spool / "records.json", mark)

    def _take(self, records: Iterator[Record], spool: Path, mark: int | None) -> CaughtUp:
        done = CaughtUp()
        staged = 0
        at_once = min(_RECORDS_AT_ONCE, self.source.records_together)
        create_stage(self.connection, self.declaration)
        due = time.monotonic() + self.source.seconds_together
        while True:
            read, failure = self._stage(_until(islice(records, at_once), due), spool)
            done = replace(done, records=done.records + read)
            staged += read
            is_last = failure is not None or read == 0
            if is_last or staged >= self.source.records_together or time.monotonic() >= due:
                done = self._write(done, mark if is_last and failure is None else None)
                create_stage(self.connection, self.declaration)
                due = time.monotonic() + self.source.seconds_together
                staged = 0
            if failure is not None:
                raise failure
            if is_last or self.source.is_enough(done):
                return done

    def _stage(self, records: Iterator[Record], path: Path) -> tuple[int, Exception | None]:
        """Stage what comes of `records`: how many came, and what went wrong then."""
        texts = [c for c in field_columns(self.declaration) if duckdb_type(c) == "VARCHAR"]
        count, failure = spool_records(records, [c.info["field"] for c in texts], path)
        if count:
            load_raw(self.connection, path)
            judge(self.connection, self.declaration, _Reading())
        return count, failure

    def _write(self, done: CaughtUp, mark: int | None) -> CaughtUp:
        unit = self.source.unit
        note_names(self.connection, set(self.source.unknown) - known_fields(self.declaration))
        unknown = keep_unknown_fields(self.lake, self.connection, self.declaration, {0: unit})
        rejected, before = reject_once(self.lake, self.connection, self.table.name, unit)
        crash_point("rejects committed", self.table.name)
        written = self._write_staged(mark, done.records)
        crash_point("rows committed", self.table.name)
        return replace(
            done,
            rejected=done.rejected + rejected,
            rejected_before=done.rejected_before + before,
            written=done.written + written,
            unknown_fields=tuple(dict.fromkeys((*done.unknown_fields, *unknown))),
        )

    def _write_staged(self, mark: int | None, records: int) -> Written:
        """Merge what differs from the table; commit nothing if nothing does."""
        handle = self.table.open()
        self.lake.view(self.connection, self.declaration, handle)
        names, keys = column_names(self.declaration), key_names(self.declaration)
        self.connection.execute(
            f"""CREATE OR REPLACE TEMP TABLE _different AS
            SELECT {identifiers(names)} FROM (
                SELECT {identifiers(names)} FROM {STAGED} QUALIFY
                row_number() OVER (PARTITION BY {identifiers(keys)} ORDER BY rowid DESC) = 1
            ) EXCEPT SELECT {identifiers(names)} FROM "{self.table.name}" """
        )
        (rows,) = self.connection.execute("SELECT count(*) FROM _different").fetchall()
        is_different = rows[0] > 0
        transactions = self._transactions(handle, mark, is_different, records)
        if not is_different and not transactions:
            return Written()
        return merge(self.connection, self.lake, self.table, handle, "_different", transactions)

    def _transactions(
        self, handle: DeltaTable, mark: int | None, is_different: bool, records: int
    ) -> Transactions:
        """What to remember; of itself only a mark is worth a commit, and that of many records."""
        mark_id = _mark_id(self.table.name)
        is_marked = handle.transaction_version(mark_id) == mark
        if not is_different and (mark is None or is_marked or records < _WORTH_REMEMBERING):
            return {}
        transactions = {} if mark is None else {mark_id: mark}
        if is_different:
            transactions[f"{self.table.name}/taken_at"] = time.time_ns() // 10**6
        return transactions


def _until(records: Iterator[Record], due: float) -> Iterator[Record]:
    """The records that come until the monotonic clock says `due`, and the one after that."""
    for record in records:
        yield record
        if time.monotonic() >= due:
            return


def _counting(source: KeyedSource, table: str, progress: Listener) -> Generator[Record, None, None]:
    """The records of `source`; every now and then it is told how many there were."""
    done = 0
    for done, record in enumerate(source.records(), start=1):
        if done % _RECORDS_BETWEEN_REPORTS == 0:
            progress(Progress(table, "reading", done, max(source.expected, done), "records"))
        yield record
    progress(Progress(table, "reading", done, done, "records"))
