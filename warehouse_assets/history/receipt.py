"""What became of each line of a file: taken, replaced, known before or rejected; who counts it.

The file of the archive is read again as it was when it was loaded, without anything being stored.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
from sqlalchemy import Table

from warehouse_assets.catalogue import TABLES
from warehouse_assets.errors import UsageError
from warehouse_assets.history.as_of import Handles, view
from warehouse_assets.history.select import select_of
from warehouse_assets.history.why import following
from warehouse_assets.ingest.csv import stage_csv_files
from warehouse_assets.ingest.file_kinds import Unit
from warehouse_assets.ingest.inbox import Inbox, InboxFile, delivered_name
from warehouse_assets.ingest.json_files import stage_json_files
from warehouse_assets.ingest.staging import REJECTED, STAGED
from warehouse_assets.ingest.validate import POSITION
from warehouse_assets.lake import Lake
from warehouse_assets.settings import Settings
from warehouse_assets.tables import REJECTED_RECORDS, column_names, identifiers, key_names

_CSV = (".csv", ".csv.gz")
_MOST_ROWS_COUNTED_IN = 10_000
_MOST_NAMES = 5


@dataclass(frozen=True)
class Archived:
    """A file of the archive: the kind of files that it is of, and its number."""

    kind: str
    arrival: int
    path: Path


@dataclass(frozen=True)
class Line:
    """What became of a record.

    Args:
        position: its line, or its number in an array, from 1; 0 is the file as a whole.
        fate: `taken`, `replaced`, `known`, `rejected` or `missing`.
        words: by what, from what, or why.
        row: what it says, where it can be used.
    """

    position: int
    fate: str
    words: str
    row: Mapping[str, Any] | None


@dataclass(frozen=True)
class Receipt:
    """What became of a file.

    Args:
        table: the table that it is for; None if it is for none.
        fates: how many records had which fate.
        lines: those that are asked for.
        counted_in: how many rows of which tables follow from what was taken; None if that was not
            looked for, of a large file.
    """

    file: Archived
    table: Table | None
    fates: Mapping[str, int]
    lines: Sequence[Line]
    counted_in: Mapping[str, int] | None


def find(inbox: Inbox, name: str, content: Path | None = None) -> Archived:
    """The archived file of a name, as it was delivered or as the archive has it.

    Of several the one that came last.

    Args:
        content: a file, if it is there, whose content counts for more than its name.

    Raises:
        UsageError: there is none.
    """
    kinds = [path.name for path in inbox.archive.iterdir()] if inbox.archive.exists() else []
    known = [
        Archived(kind, arrival, path)
        for kind in sorted(kinds)
        for arrival, path in inbox.archived(kind).items()
    ]
    wanted = Path(name).name
    found = [one for one in known if wanted in {one.path.name, delivered_name(one.path)}]
    if content is not None and content.is_file():
        mine = InboxFile.look_at(content.resolve())
        alike = [one for one in known if one.path.stat().st_size == mine.size]
        digest = mine.digest()
        found = [one for one in alike if _look_at(one).digest() == digest] or found
    if found:
        return found[-1]
    if (inbox.folder / wanted).exists():
        raise UsageError(f"{wanted} is in the inbox: the next run takes it.")
    last = ", ".join(one.path.name for one in known[-_MOST_NAMES:]) or "nothing"
    raise UsageError(f"The archive {inbox.archive} has no file {wanted}; it has {last}.")


def _look_at(file: Archived) -> InboxFile:
    # Who keeps the archive may have links there.
    return InboxFile.look_at(file.path.resolve(), delivered_name(file.path))


@contextmanager
def read_again(
    lake: Lake, connection: duckdb.DuckDBPyConnection, file: Archived, table: Table
) -> Iterator[None]:
    """Have the records of a file, with their positions, in `STAGED` and `REJECTED` meanwhile."""
    looked = _look_at(file)
    unit = Unit(looked, file.arrival, "")
    is_csv = looked.name.lower().endswith(_CSV)
    stage = stage_csv_files if is_csv else stage_json_files
    with lake.scratch_folder() as spool:
        stage(connection, lake.table(table), [unit], spool, is_numbered=True)
        yield


def receipt(
    lake: Lake,
    connection: duckdb.DuckDBPyConnection,
    file: Archived,
    handles: Handles,
    settings: Settings,
    line: int | None,
    limit: int,
) -> Receipt:
    """What became of a file.

    Args:
        handles: versions of all tables.
        line: the one that is asked for; None: of all that were not taken the first.
    """
    table = next((table for table in TABLES if table.name == file.kind), None)
    if table is None:
        return _of_no_table(lake, connection, file, handles, line, limit)
    with read_again(lake, connection, file, table):
        view(lake, connection, [table], handles)
        _judge(connection, table, file)
    fates = dict(connection.execute("SELECT fate, count(*) FROM _fates GROUP BY 1").fetchall())
    chosen = "fate <> 'taken'" if line is None else f"position = {int(line)}"
    names = [name for name in column_names(table) if name != "arrival"]
    lines = [
        Line(position, fate, words, None if row is None else dict(zip(names, row, strict=True)))
        for position, fate, words, row in connection.execute(
            f"""SELECT position, fate, words,
                CASE WHEN fate <> 'rejected' THEN row({identifiers(names)}) END
            FROM _fates WHERE {chosen} ORDER BY position LIMIT ?""",
            [limit],
        ).fetchall()
    ]
    taken = "fate = 'taken'" + ("" if line is None else f" AND {chosen}")
    counted = None
    if line is not None or fates.get("taken", 0) <= _MOST_ROWS_COUNTED_IN:
        counted = _counted_in(lake, connection, table, handles, settings, taken)
    return Receipt(file, table, fates, lines, counted)


def _of_no_table(
    lake: Lake,
    connection: duckdb.DuckDBPyConnection,
    file: Archived,
    handles: Handles,
    line: int | None,
    limit: int,
) -> Receipt:
    """Of a file that is for no table all is rejected."""
    view(lake, connection, [REJECTED_RECORDS], handles)
    rows = connection.execute(
        """SELECT position, reason FROM rejected_records WHERE source = ? AND unit = ?
        AND (? IS NULL OR position = ?) ORDER BY position""",
        [file.kind, file.path.name, line, line],
    ).fetchall()
    lines = [Line(position, "rejected", reason, None) for position, reason in rows]
    return Receipt(file, None, {"rejected": len(lines)} if lines else {}, lines[:limit], {})


def _judge(connection: duckdb.DuckDBPyConnection, table: Table, file: Archived) -> None:
    """Make `_fates` of what was read again: position, fate, words, and the columns of `table`."""
    keys = key_names(table)
    number = int(file.arrival)
    columns = identifiers([name for name in column_names(table) if name != "arrival"], "staged.")
    if keys:
        same = " AND ".join(f'staged."{key}" = stored."{key}"' for key in keys)
        there = f"""SELECT staged.*, stored.arrival AS _stored_arrival,
                max({POSITION}) OVER (PARTITION BY {identifiers(keys, "staged.")}) AS _last
            FROM {STAGED} AS staged LEFT JOIN "{table.name}" AS stored ON {same}"""
        fate = f"""CASE WHEN {POSITION} < _last THEN 'replaced' WHEN _stored_arrival IS NULL
            THEN 'missing' WHEN _stored_arrival = {number} THEN 'taken'
            WHEN _stored_arrival > {number} THEN 'replaced' ELSE 'known' END"""
        words = f"""CASE WHEN {POSITION} < _last THEN 'by ' || _last || ' of the same file'
            WHEN _stored_arrival > {number} THEN 'by a record of file ' || _stored_arrival
            WHEN _stored_arrival < {number} THEN 'the same as in file ' || _stored_arrival
            ELSE '' END"""
    else:
        there = f"SELECT * FROM {STAGED}"
        fate = f"""CASE WHEN EXISTS (SELECT 1 FROM "{table.name}" WHERE arrival = {number})
            THEN 'taken' ELSE 'missing' END"""
        words = "''"
    connection.execute(
        f"""CREATE OR REPLACE TEMP TABLE _fates AS
        SELECT {POSITION} AS position, {fate} AS fate, {words} AS words, {columns},
            {number} AS arrival
        FROM ({there}) AS staged
        UNION ALL BY NAME
        SELECT position, 'rejected' AS fate, concat_ws(': ', reason, value) AS words
        FROM {REJECTED}"""
    )


def _counted_in(
    lake: Lake,
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    handles: Handles,
    settings: Settings,
    chosen: str,
) -> dict[str, int]:
    """How many rows of each table follow from the chosen rows of `_fates`."""
    found = {table: f"(FROM _fates WHERE {chosen})"}
    counted: dict[str, int] = {}
    for follower in TABLES:  # what is computed is declared behind what it is computed from
        select = select_of(connection, follower)
        if select is None or not any(read in found for read in select.reads):
            continue
        view(lake, connection, [follower, *select.reads], handles)
        parts = [
            following(f'"{follower.name}"', follower, cause, found[read], settings, "wanted")
            for cause in select.causes
            for read in select.reads
            if read in found and cause.read == read.name and not cause.context
        ]
        relation = f'"_follows_{follower.name}"'
        rows_that_follow = " UNION ".join(parts)
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {relation} AS {rows_that_follow}")
        ((rows,),) = connection.execute(f"SELECT count(*) FROM {relation}").fetchall()
        found[follower] = relation
        if rows:
            counted[str(follower.name)] = rows
    return counted
