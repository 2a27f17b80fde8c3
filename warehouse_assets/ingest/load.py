"""The one way from a source into the lake: exactly once, whatever dies in between.

A source is loaded part by part. Each part is committed twice, in this order:

1. its records that cannot be used, to `rejected_records`;
2. its good records, to their table.

With each commit the table remembers, as transactions of Delta, what it holds of the source: its
checkpoint. Where a load died between the two, the next one finds the first checkpoint ahead of the
second, and commits only what is missing. Sources that are read again as a whole need no checkpoint:
what they give is merged by key or compared, and a record that was rejected is known by its text.

What is new since the checkpoint only the source knows: it yields it as `Part`s. All else is here.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
from deltalake import DeltaTable
from sqlalchemy import Table

from warehouse_assets.crash_points import crash_point
from warehouse_assets.ingest.inbox import unit_name
from warehouse_assets.ingest.loaded import Loaded
from warehouse_assets.ingest.loads import Load, note_loads, telling
from warehouse_assets.ingest.staging import REJECTED, STAGED, keep_unknown_fields
from warehouse_assets.ingest.validate import POSITION
from warehouse_assets.lake import Lake, LakeTable, Transactions, Written, append, merge
from warehouse_assets.progress import Progress, heard_by, query_progress, report
from warehouse_assets.tables import REJECTED_RECORDS, column_names, identifiers, key_names


@dataclass(frozen=True)
class Rejects:
    """Records of a part that `rejected_records` does not hold.

    Args:
        units: the names of what they are from, by the number `arrival` that they have in the table
            `REJECTED`; 0 is the number of those without one.
        transactions: what `rejected_records` remembers from then on.
        chosen: SQL for them, with the columns of `REJECTED`.
        rejected_before: how many others of the part it holds.
    """

    units: Mapping[int, str]
    transactions: Transactions
    chosen: str = f"FROM {REJECTED}"
    rejected_before: int = 0


class Part(ABC):
    """What is read and committed together.

    Args:
        units: the names of what it is read from, by the number `arrival` of its records; 0 where
            they have none.
        size: bytes of the source, of which progress is told; 0 if `stage` tells it.

    Attributes:
        records: how many records can be used, once it is staged.
    """

    def __init__(self, units: Mapping[int, str], size: int = 0) -> None:
        self.units = units
        self.size = size
        self.records = 0

    def loads(self, rejected: int) -> list[Load]:
        """What was staged, by unit; `rejected` is how many records cannot be used."""
        return [Load(unit, self.records, rejected) for unit in self.units.values()]

    @abstractmethod
    def stage(self, connection: duckdb.DuckDBPyConnection, scratch: Path) -> None:
        """Read it: put what cannot be used into the table `REJECTED`, and good records anywhere.

        Args:
            scratch: an empty folder for temporary files.
        """

    @abstractmethod
    def write(
        self, connection: duckdb.DuckDBPyConnection, table: LakeTable, handle: DeltaTable
    ) -> Written:
        """Commit the good records that the table does not hold, and its new checkpoint.

        Args:
            handle: a fresh one of `table`, whose lock is held.
        """


class CheckpointedPart(Part):
    """A part of a source of which the tables remember up to where they hold it.

    Of any other source all is read again, and a record that was rejected is known by its text.
    """

    @abstractmethod
    def new_rejects(self, handle: DeltaTable) -> Rejects | None:
        """What of `REJECTED` is to be committed; None: nothing, nor is there anything to remember.

        Args:
            handle: a fresh one of `rejected_records`, whose lock is held.
        """


class Source(ABC):
    """A source during one load of it. Its `way` is how its records come, as `loads` says it.

    Args:
        name: what it is called in `rejected_records` and in the checkpoints.
        table: where its records go; None if all of them are rejected.

    Attributes:
        loaded: what has been done so far.
        waiting: bytes of the source that are to be loaded, as far as that is known.
    """

    way = "server"

    def __init__(self, lake: Lake, name: str, table: Table | None) -> None:
        self.lake = lake
        self.name = name
        self.table = table
        self.loaded = Loaded()
        self.waiting = 0

    @abstractmethod
    def parts(self) -> Generator[Part, None, None]:
        """What the table does not hold, in order. A part that was yielded has been committed."""

    def load(self) -> Loaded:
        """Bring the table up to date with the source.

        Raises:
            ConflictError: another machine loaded some of it at the same time.
            BusyError: another process has been changing the table for an hour.
        """
        with self.lake.lock(self.name), closing(self.parts()) as parts:
            self._note_loads()  # of a process that was killed
            for part in parts:
                self._load(part)
        return self.loaded

    def _load(self, part: Part) -> None:
        """Read `part`, commit what it holds, and add it to the account."""
        crash_point("source to be read", self.name)
        with self.lake.connect() as connection, self.lake.scratch_folder() as scratch:
            self._stage(part, connection, scratch)
            crash_point("source read", self.name)
            unknown = self._keep_unknown_fields(part, connection)
            rejected, rejected_before = self._commit_rejects(part, connection)
            crash_point("rejects committed", self.name)
            with self._telling(part.loads(rejected if isinstance(part, CheckpointedPart) else 0)):
                written = self._commit_records(part, connection)
        crash_point("rows committed", self.name)
        self._note_loads()
        before = self.loaded
        self.loaded = replace(
            before,
            records=before.records + part.records,
            rejected=before.rejected + rejected,
            rejected_before=before.rejected_before + rejected_before,
            bytes_read=before.bytes_read + part.size,
            written=before.written + written,
            unknown_fields=tuple(dict.fromkeys((*before.unknown_fields, *unknown))),
        )

    def _telling(self, loads: Iterable[Load]) -> AbstractContextManager[None]:
        """Have the commit of the block tell that it is these loads."""
        family = None if self.table is None else self.table.info.get("family")
        return telling(self.name, self.way, family, loads)

    def _note_loads(self) -> None:
        tables = [REJECTED_RECORDS] if self.table is None else [self.table, REJECTED_RECORDS]
        note_loads(self.lake, tables)

    def _stage(self, part: Part, connection: duckdb.DuckDBPyConnection, scratch: Path) -> None:
        is_checked, is_of_bytes = False, part.size > 0

        def note(told: Progress) -> None:
            nonlocal is_checked
            is_checked = is_checked or told.activity == "checking"

        def read(share: float) -> None:
            # What is checked has been read.
            if is_of_bytes and not is_checked:
                done = self.loaded.bytes_read + int(share * part.size)
                report(Progress(self.name, "reading", done, self.waiting, "bytes"))

        read(0)
        with heard_by(report=note), query_progress(connection, read):
            part.stage(connection, scratch)
        read(1)
        report(Progress(self.name, "storing"))

    def _keep_unknown_fields(
        self, part: Part, connection: duckdb.DuckDBPyConnection
    ) -> tuple[str, ...]:
        if self.table is None:
            return ()
        return keep_unknown_fields(self.lake, connection, self.table, part.units)

    def _commit_rejects(self, part: Part, connection: duckdb.DuckDBPyConnection) -> tuple[int, int]:
        """Returns how many records were rejected, and how many had been before."""
        ((rejected,),) = connection.execute(f"SELECT count(*) FROM {REJECTED}").fetchall()
        if not rejected and not isinstance(part, CheckpointedPart):
            return 0, 0
        table = self.lake.table(REJECTED_RECORDS)
        with self.lake.lock(table.name):
            handle = table.open()
            if isinstance(part, CheckpointedPart):
                rejects = part.new_rejects(handle)
            else:
                rejects = self._not_rejected_before(part, connection, handle)
            if rejects is None:
                return rejected, 0
            # What is written as files cannot have parameters.
            connection.execute(
                """CREATE OR REPLACE TEMP TABLE _units AS
                SELECT unnest(CAST($arrivals AS BIGINT[])) AS number,
                    unnest(CAST($units AS VARCHAR[])) AS unit,
                    CAST($source AS VARCHAR) AS source""",
                {
                    "arrivals": list(rejects.units),
                    "units": list(rejects.units.values()),
                    "source": self.name,
                },
            )
            query = f"""SELECT *, now() AT TIME ZONE 'UTC' AS rejected_at
                FROM ({rejects.chosen}) JOIN _units ON number = coalesce(arrival, 0)"""
            loads = part.loads(rejected)
            if not isinstance(part, CheckpointedPart):  # there may be no commit of its records
                loads = [Load(unit, 0, rejected) for unit in rejects.units.values()]
            is_told = self.table is not None and isinstance(part, CheckpointedPart)
            with nullcontext() if is_told else self._telling(loads):
                append(connection, table, handle, query, rejects.transactions)
            return rejected - rejects.rejected_before, rejects.rejected_before

    def _commit_records(self, part: Part, connection: duckdb.DuckDBPyConnection) -> Written:
        if self.table is None:
            return Written()
        table = self.lake.table(self.table)
        return part.write(connection, table, table.open())

    def _not_rejected_before(
        self, part: Part, connection: duckdb.DuckDBPyConnection, handle: DeltaTable
    ) -> Rejects:
        """What of `REJECTED` has another raw text than all that was rejected of the source before.

        Another reading may have other records at the same positions; so the unit gets the number
        of the reading, too.
        """
        self.lake.view(connection, REJECTED_RECORDS, handle)
        connection.execute(
            f"""CREATE OR REPLACE TEMP TABLE _new_rejected AS
            SELECT * FROM {REJECTED}
            ANTI JOIN (SELECT raw FROM {REJECTED_RECORDS.name} WHERE source = ?) USING (raw)
            QUALIFY row_number() OVER (PARTITION BY raw ORDER BY position) = 1""",
            [self.name],
        )
        ((rejected, new),) = connection.execute(
            f"SELECT (SELECT count(*) FROM {REJECTED}), (SELECT count(*) FROM _new_rejected)"
        ).fetchall()
        if not new:
            return Rejects({}, {}, "FROM _new_rejected", rejected)
        readings = f"{self.name}/readings"
        number = (handle.transaction_version(readings) or 0) + 1
        units = {arrival: unit_name(number, unit) for arrival, unit in part.units.items()}
        return Rejects(units, {readings: number}, "FROM _new_rejected", rejected - new)


def upsert(
    lake: Lake,
    connection: duckdb.DuckDBPyConnection,
    table: LakeTable,
    handle: DeltaTable,
    transactions: Transactions,
) -> Written:
    """Merge the rows of `STAGED` into `table` by its key; of several with one the last counts.

    If none differs from what the table holds, nothing is committed nor remembered. With a commit
    the table also remembers when it was made.
    """
    declared = table.declaration
    lake.view(connection, declared, handle)
    names, keys = identifiers(column_names(declared)), identifiers(key_names(declared))
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE _different AS
        SELECT {names} FROM (
            SELECT {names} FROM {STAGED} QUALIFY
            row_number() OVER (PARTITION BY {keys} ORDER BY {POSITION} DESC) = 1
        ) EXCEPT SELECT {names} FROM "{table.name}" """
    )
    ((rows,),) = connection.execute("SELECT count(*) FROM _different").fetchall()
    if rows == 0:
        return Written()
    remembered = {**transactions, **loaded_now(table.name)}
    return merge(connection, lake, table, handle, "_different", remembered)


def loaded_now(source: str) -> Transactions:
    """What a table remembers of the moment at which something of `source` was loaded."""
    return {f"{source}/taken_at": time.time_ns() // 10**6}


def loaded_at(handle: DeltaTable, source: str) -> float | None:
    """When something of `source` was last loaded, in seconds since 1970; None if never."""
    milliseconds = handle.transaction_version(f"{source}/taken_at")
    return None if milliseconds is None else milliseconds / 1000
