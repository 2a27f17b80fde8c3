"""Catching a table up with a table of a SQL database, as it is now: a snapshot.

Rows have no key of their own. What tells them apart is a hash of their content, and of those with
the same hash their number; so that of two snapshots only hashes are compared, and texts are read
only of what differs. Taking a snapshot again changes nothing: nothing has to be remembered but
what spares work, which is what the source looked like, and when something came.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import duckdb
import sqlalchemy as sa
import xxhash
from sqlalchemy import Table

from warehouse_assets.crash_points import crash_point
from warehouse_assets.errors import SourceError
from warehouse_assets.lake import (
    Lake,
    Transactions,
    Written,
    register,
    replace,
    replace_by_content,
)
from warehouse_assets.progress import Listener, Progress, nobody
from warehouse_assets.schema import column_names, identifiers
from warehouse_assets.sources.json_fields import field_columns
from warehouse_assets.sources.keyed import CaughtUp
from warehouse_assets.sources.rejections import reject_once
from warehouse_assets.sources.sql_columns import Wanted
from warehouse_assets.sources.sql_spool import SPOOLED, Spool
from warehouse_assets.sources.sql_table import POSITION, Page, SqlTable, sql_table
from warehouse_assets.sources.units import create_stage
from warehouse_assets.sources.unknown_fields import (
    keep_unknown_fields,
    known_fields,
    note_names,
)

# Reading as many again takes longer than a commit that spares it.
_WORTH_REMEMBERING = 100_000


@dataclass(frozen=True)
class Snapshot:
    """A table that is a snapshot of a source.

    Args:
        table: its columns name those of the source in `info["field"]`.
        judged: see `Spool`; it gives all columns of `table` but `number_column`.
        hash_column: column of `table` with the hash of all that is read.
        number_column: column of `table` with the number of the row among those of its hash.
    """

    table: Table
    wanted: Wanted
    judged: str
    hash_column: str
    number_column: str


def catch_up_snapshot(
    lake: Lake,
    snapshot: Snapshot,
    url: str,
    setting: str,
    is_given: bool,
    tell: Callable[[str], object],
    progress: Listener = nobody,
) -> CaughtUp:
    """Make the table hold what the source holds now; commit only the differences.

    If reading fails on the way, nothing is changed.

    Args:
        url: the database, as an SQLAlchemy URL.
        setting: the setting that says so.
        is_given: whether it must be there.
        tell: told in words what is worth knowing meanwhile.
        progress: told how many rows have been read.

    Raises:
        SourceError: the database is not there though given, or not what it should be.
        BusyError: it could not be read now.
    """
    name = str(snapshot.table.name)
    with lake.lock(name, on_wait=tell), lake.scratch_folder() as scratch:
        source = sql_table(url, setting, snapshot.wanted, scratch, tell)
        with closing(source):
            if not source.exists():
                return _missing(name, url, setting, is_given, tell)
            handle, marks = lake.table(snapshot.table).open(), {}
            for kind, number in source.fingerprints():
                mark_id, mark = f"{name}/{kind}", _mark(snapshot, number)
                if handle.transaction_version(mark_id) == mark:
                    return CaughtUp(is_unchanged_source=True)
                marks[mark_id] = mark
            with lake.connect() as connection:
                return _CatchUp(lake, snapshot, source, connection).take(scratch, marks, progress)


def _missing(
    name: str, url: str, setting: str, is_given: bool, tell: Callable[[str], object]
) -> CaughtUp:
    place = sa.make_url(url).render_as_string(hide_password=True)
    if is_given:
        raise SourceError(
            f"There is no database at {place}, where the setting {setting} says that the {name} "
            "are. Correct the setting, or put the database there."
        )
    tell(f"No {name} to read: there is no database at {place} (setting {setting}).")
    return CaughtUp(is_missing=True)


def _definition(snapshot: Snapshot) -> int:
    """Changes when the same source would make other rows."""
    text = repr((snapshot.judged, column_names(snapshot.table)))
    return xxhash.xxh3_64_intdigest(text.encode()) >> 1


def _mark(snapshot: Snapshot, fingerprint: int) -> int:
    """The fingerprint of the source and of what is wanted of it, as a version of Delta."""
    return xxhash.xxh3_64_intdigest(repr((fingerprint, _definition(snapshot))).encode()) >> 1


class _CatchUp:
    """One snapshot and its source, while the table's lock is held."""

    def __init__(
        self,
        lake: Lake,
        snapshot: Snapshot,
        source: SqlTable,
        connection: duckdb.DuckDBPyConnection,
    ) -> None:
        self.lake = lake
        self.snapshot = snapshot
        self.table = lake.table(snapshot.table)
        self.source = source
        self.connection = connection

    def take(self, folder: Path, marks: Transactions, progress: Listener) -> CaughtUp:
        """Read all rows and write what differs; `marks` are remembered with it."""
        create_stage(self.connection, None)
        fields = [str(column.info["field"]) for column in field_columns(self.snapshot.table)]
        number = self.snapshot.number_column
        kept = [name for name in column_names(self.snapshot.table) if name != number]
        spool = Spool(self.connection, folder, fields, self.snapshot.judged, kept)
        read, size = 0, 0
        for page in _counting(self.source, self.table.name, progress):
            spool.add(page)
            read, size = read + page.rows.num_rows, size + page.rows.nbytes
        spool.finish(self.snapshot.table)
        unit, table = self.source.unit, self.snapshot.table
        note_names(self.connection, set(self.source.unknown) - known_fields(table))
        unknown = keep_unknown_fields(self.lake, self.connection, table, {0: unit})
        crash_point("rows read", self.table.name)
        rejected, before = reject_once(self.lake, self.connection, self.table.name, unit)
        crash_point("rejects committed", self.table.name)
        written = self._write(fields, marks, read)
        crash_point("rows committed", self.table.name)
        return CaughtUp(
            read, rejected, before, bytes_read=size, written=written, unknown_fields=unknown
        )

    def _write(self, fields: list[str], marks: Transactions, read: int) -> Written:
        staged = self._numbered(fields)
        handle = self.table.open()
        definition_id = f"{self.table.name}/definition"
        definition = _definition(self.snapshot)
        is_comparable = handle.transaction_version(definition_id) == definition
        # Of rows that were made of the source in another way, equal hashes may tell nothing.
        write = replace_by_content if is_comparable or not handle.file_uris() else replace
        lasting = {**marks, definition_id: definition}
        now = {f"{self.table.name}/taken_at": time.time_ns() // 10**6}
        written = write(self.connection, self.lake, self.table, handle, staged, {**lasting, **now})
        is_known = all(handle.transaction_version(app) == mark for app, mark in lasting.items())
        if written.rows_changed or is_known or read < _WORTH_REMEMBERING:
            return written
        # So that the next catch-up need not read the source.
        return register(self.table, handle, [], lasting)

    def _numbered(self, fields: list[str]) -> str:
        """A SELECT of the rows of `SPOOLED`, numbered among those with the same hash."""
        hashed, number = self.snapshot.hash_column, self.snapshot.number_column
        self.connection.execute(
            f"""CREATE OR REPLACE TEMP TABLE _numbers AS
            SELECT {POSITION}, row_number() OVER (
                PARTITION BY "{hashed}" ORDER BY {identifiers(fields)}) AS "{number}"
            FROM {SPOOLED} SEMI JOIN (
                SELECT "{hashed}" FROM {SPOOLED} GROUP BY "{hashed}" HAVING count(*) > 1
            ) USING ("{hashed}")"""
        )
        ((count,),) = self.connection.execute("SELECT count(*) FROM _numbers").fetchall()
        if count == 0:
            return f'SELECT *, 1::BIGINT AS "{number}" FROM {SPOOLED}'
        return f"""SELECT {SPOOLED}.*, coalesce(_numbers."{number}", 1) AS "{number}"
            FROM {SPOOLED} LEFT JOIN _numbers USING ({POSITION})"""


def _counting(source: SqlTable, table: str, progress: Listener) -> Iterator[Page]:
    """The pages of `source`; with each it is told how many rows there were."""
    done = 0
    for page in source.pages():
        done += page.rows.num_rows
        progress(Progress(table, "reading", done, max(source.expected, done), "rows"))
        yield page
    progress(Progress(table, "reading", done, done, "rows"))
