"""Loading a table of the lake from a table of a SQL database, as it is now.

The source is read whole, unless it looks as it did when it was read last; what differs is
committed. If reading fails on the way, nothing is changed. Nothing has to be remembered but what
spares work: what the source looked like, and when something came. So a load that died is simply
done again, and a row that cannot be used is rejected once, however often it is read.
"""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa
import xxhash

from warehouse_assets.crash_points import crash_point
from warehouse_assets.errors import SourceError
from warehouse_assets.ingest.postgres import PostgresReader
from warehouse_assets.ingest.rejects import reject_once
from warehouse_assets.ingest.sql_reader import Page, SqlReader, SqlSource
from warehouse_assets.ingest.sql_staging import STAGED_ROWS, Staging
from warehouse_assets.ingest.sqlite import SqliteReader
from warehouse_assets.ingest.units import create_stage
from warehouse_assets.ingest.unknown_fields import keep_unknown_fields, known_fields, note_names
from warehouse_assets.ingest.upsert import CaughtUp, upsert
from warehouse_assets.ingest.validate import POSITION
from warehouse_assets.lake import (
    Lake,
    Transactions,
    Written,
    register,
    replace,
    replace_by_content,
)
from warehouse_assets.progress import Progress, report, tell
from warehouse_assets.tables import column_names


def load_sql(
    lake: Lake,
    source: SqlSource,
    url: sa.URL | str,
    is_given: bool,
) -> CaughtUp:
    """Bring the table of `source` up to date with the database at `url`.

    Args:
        url: as of SQLAlchemy, of SQLite or PostgreSQL; the database is only read, also while
            another program writes it.
        is_given: whether it must be there.

    Raises:
        SourceError: the database is not there though given, or not what it should be.
        BusyError: it could not be read now.
    """
    with (
        lake.lock(source.name),
        lake.scratch_folder() as scratch,
        closing(_reader(source, url, scratch)) as reader,
    ):
        if not reader.exists():
            return _missing(source, reader, is_given)
        handle, marks = lake.table(source.table).open(), {}
        for kind, number in reader.fingerprints():
            mark_id, mark = f"{source.name}/{kind}", _mark(number, _definition(source))
            if handle.transaction_version(mark_id) == mark:
                return CaughtUp(is_unchanged_source=True)
            marks[mark_id] = mark
        with lake.connect() as connection:
            staging = Staging(connection, scratch, source)
            return _load(lake, reader, staging, marks)


def glance(source: SqlSource, url: sa.URL | str) -> str | None:
    """What changes, at once or soon, when the source does; None if there is nothing to see now.

    Raises:
        SourceError: the database cannot be read, or is not what it should be.
        BusyError: it could not be read now.
    """
    with closing(_reader(source, url, Path())) as reader:
        return reader.glance()


def _reader(source: SqlSource, url: sa.URL | str, scratch: Path) -> SqlReader:
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return SqliteReader(Path(parsed.database or ""), source, scratch)
    return PostgresReader(parsed, source)


def _missing(source: SqlSource, reader: SqlReader, is_given: bool) -> CaughtUp:
    if is_given:
        raise SourceError(
            f"There is no {reader.place}, where the setting {source.setting} says that the "
            f"{source.name} are. Correct the setting, or put the database there."
        )
    tell(f"No {source.name} to read: there is no {reader.place} (setting {source.setting}).")
    return CaughtUp(is_missing=True)


def _definition(source: SqlSource) -> int:
    """Changes when the same source would make other rows."""
    validator = source.validator
    return _mark(validator.query(""), validator.is_unusable, column_names(source.table))


def _mark(*parts: object) -> int:
    """A number that changes with `parts`, which a transaction of Delta can have as its version."""
    return xxhash.xxh3_64_intdigest(repr(parts).encode()) >> 1


def _load(lake: Lake, reader: SqlReader, staging: Staging, marks: Transactions) -> CaughtUp:
    """Read all rows and write what differs; `marks` are remembered with it."""
    table, connection = staging.source.table, staging.connection
    create_stage(connection, None)
    for page in _counting(reader, staging.source.name):
        staging.add(page)
    staging.finish()
    note_names(connection, set(reader.unknown) - known_fields(table))
    unknown = keep_unknown_fields(lake, connection, table, {0: reader.unit})
    crash_point("rows read", staging.source.name)
    rejected, before = reject_once(lake, connection, staging.source.name, reader.unit)
    crash_point("rejects committed", staging.source.name)
    written = _write(lake, staging, marks)
    crash_point("rows committed", staging.source.name)
    return CaughtUp(
        staging.rows,
        rejected,
        before,
        bytes_read=staging.size,
        written=written,
        unknown_fields=unknown,
    )


def _write(lake: Lake, staging: Staging, marks: Transactions) -> Written:
    source = staging.source
    table = lake.table(source.table)
    handle, connection = table.open(), staging.connection
    definition_id = f"{source.name}/definition"
    lasting = {**marks, definition_id: _definition(source)}
    if source.is_snapshot:
        is_same = handle.transaction_version(definition_id) == lasting[definition_id]
        # Of rows that were made of the source in another way, equal hashes may tell nothing.
        write = replace_by_content if is_same or not handle.file_uris() else replace
        transactions = {**lasting, f"{source.name}/taken_at": time.time_ns() // 10**6}
        written = write(connection, lake, table, handle, staging.numbered(), transactions)
    else:
        written = upsert(lake, connection, source.table, handle, STAGED_ROWS, POSITION, lasting)
    is_known = all(handle.transaction_version(app) == mark for app, mark in lasting.items())
    if written.rows_changed or is_known or staging.rows < source.limits.worth_remembering:
        return written
    # So that the next load need not read the source.
    return register(table, handle, [], lasting)


def _counting(reader: SqlReader, table: str) -> Iterator[Page]:
    """The pages of `reader`; with each it is told how many rows there were."""
    done = 0
    for page in reader.pages():
        done += page.rows.num_rows
        report(Progress(table, "reading", done, max(reader.expected, done), "rows"))
        yield page
    report(Progress(table, "reading", done, done, "rows"))
