"""Keeping a table of the lake small, cheap to read and quick to open.

Nothing that a reader can see changes: no row, and no version within the time that readers may
travel back, nor one with a label. The change data feed tells nothing of it either.

Rows are written into other files, so that reading them costs less: aggregated tables are folded,
partial rows of one key becoming one; tables that are clustered are sorted by where on the earth
their rows are; of all others, small files are put together; of files by week those of each week.
What is large and in order is left alone, so that the cost is that of what came since, times the
logarithm of the table's size. DuckDB does it, within its memory limit, which Delta's own compaction
does not keep.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError
from sqlalchemy import Table

from warehouse_assets.crash_points import crash_point
from warehouse_assets.lake.commit import cast_query, register, write_explained
from warehouse_assets.lake.files import WrittenFile, verify_and_adopt, write_parquet
from warehouse_assets.lake.lake import Lake
from warehouse_assets.lake.layout import relayout
from warehouse_assets.lake.table import REARRANGED, LakeTable, conflict
from warehouse_assets.lake.versions import Labelled, labelled
from warehouse_assets.lake.weeks import TableFile, files_in, is_by_week
from warehouse_assets.tables import aggregated, aggregates, identifiers, key_names
from warehouse_assets.times import utc_now

_HOURS_OF_A_DAY = 24
_LOG_RETENTION = "delta.logRetentionDuration"
_COMPACTED = "compacted"
# A file of so many bytes is as good as one that was compacted.
LARGE = 256 * 2**20
# Files in order are taken together with what is not if they are at most so many times as large.
_MOST_TIMES_LARGER = 4
# 2^24 columns and rows of a grid around the earth: 2.4 m at the equator.
_GRID = 1 << 24


@dataclass(frozen=True)
class Maintained:
    """Files of a table before and after, and files removed that no version needs."""

    files_before: int
    files_after: int
    files_removed: int


def maintain(lake: Lake, table: LakeTable, keep_days: int) -> Maintained:
    """Rearrange files where that pays, remove what no version of some days needs, trim the log.

    Before anything, every file is compared with the hash that was kept of it, since to put a
    damaged one together with others would hide the damage; of files without one it is kept.

    Files that were written but never committed, as after a crash, are removed once they are older
    than that.

    Args:
        keep_days: how far readers may travel back.

    Raises:
        ConflictError: another process committed meanwhile; nothing is lost by trying again.
        LakeError: a file is damaged; the table stays as it is.
    """
    kept = [one for one in labelled(lake) if one.table == table.name]
    with lake.lock(table.name):
        verify_and_adopt(table)
    before = len(table.open().file_uris())
    rearrange(lake, table)
    with lake.lock(table.name), write_explained(table):
        try:
            handle = table.open()
            kept = [one for one in kept if one.lake_table_id == str(handle.metadata().id)]
            _keep_log(handle, max([keep_days, *map(_days_since, kept)]))
            crash_point("files to be vacuumed", table.name)
            removed = table.open().vacuum(
                retention_hours=keep_days * _HOURS_OF_A_DAY,
                enforce_retention_duration=False,
                dry_run=False,
                full=True,
                keep_versions=[one.version for one in kept],
            )
        except CommitFailedError as error:
            raise conflict(table.name) from error
        crash_point("files vacuumed", table.name)
        handle = table.open()
        # The log before a checkpoint is needed only to travel back.
        handle.create_checkpoint()
        crash_point("log to be trimmed", table.name)
        handle.cleanup_metadata()
        crash_point("log trimmed", table.name)
        return Maintained(before, len(handle.file_uris()), len(removed))


def rearrange(lake: Lake, table: LakeTable) -> int:
    """Fold, cluster or compact the table, whichever it is, where it is worth it.

    Returns how many rows were written.

    Raises:
        ConflictError: another process committed meanwhile; nothing is lost by trying again.
    """
    with lake.lock(table.name):
        handle = table.open()
        if is_by_week(handle) != table.keeps_weeks:
            relayout(lake, table, handle)
            handle = table.open()
        kind, query = _arrangement(table.declaration)
        of_weeks: dict[date | None, list[TableFile]] = {}
        for file in files_in(handle):
            of_weeks.setdefault(file.week, []).append(file)
        parts = [part for files in of_weeks.values() if (part := _worth_rearranging(files, kind))]
        if not parts:
            return 0
        written: list[WrittenFile] = []
        with lake.connect() as connection:
            for files in parts:
                paths = table.paths(file.name for file in files)
                lake.view_files(connection, table.declaration, paths, "_part")
                crash_point("files to be rearranged", table.name)
                rows = cast_query(table, query)
                written += write_parquet(
                    connection, table, rows, kind, data_change=False, week=files[0].week
                )
        now = int(time.time() * 1000)
        replaced = [file.removal(now, data_change=False) for files in parts for file in files]
        done = register(
            table, handle, written, {}, replaced=replaced, metadata={REARRANGED: "true"}
        )
        crash_point("files rearranged", table.name)
        return done.inserted


def _days_since(labelled: Labelled) -> int:
    """Days for which the log goes back to the checkpoint that was made with a label."""
    return (utc_now() - labelled.at).days + 2


def _keep_log(handle: DeltaTable, days: int) -> None:
    wanted = f"interval {days} days"
    if handle.metadata().configuration.get(_LOG_RETENTION) != wanted:
        handle.alter.set_table_properties({_LOG_RETENTION: wanted})


def _is_in_order(file: TableFile, kind: str) -> bool:
    is_large = kind == _COMPACTED and file.size >= LARGE
    return is_large or file.name.rpartition("/")[2].startswith(kind)


def _worth_rearranging(files: Sequence[TableFile], kind: str) -> Sequence[TableFile]:
    """The files that are not in order, and those in order that are not much larger than them.

    Args:
        files: those of the table, or of one of its weeks.
    """
    chosen = [file for file in files if not _is_in_order(file, kind)]
    if not chosen:
        return []
    rows = sum(file.rows for file in chosen)
    for file in sorted((f for f in files if _is_in_order(f, kind)), key=lambda f: f.rows):
        if file.rows > _MOST_TIMES_LARGER * rows:
            break
        chosen.append(file)
        rows += file.rows
    # Of one file alone there is nothing to put together.
    return chosen if len(chosen) > 1 or kind != _COMPACTED else []


def _arrangement(declaration: Table) -> tuple[str, str]:
    """How names of files that are in order begin, and a query for the rows of `_part` in order."""
    if aggregates(declaration):
        keys = identifiers(key_names(declaration))
        return "folded", f"{aggregated(declaration, '_part')} ORDER BY {keys}"
    if "clustered_by" in declaration.info:
        return "clustered", _clustered(*declaration.info["clustered_by"])
    return _COMPACTED, "FROM _part"


def _clustered(longitude: str, latitude: str) -> str:
    """The rows of `_part` in Morton order (the Z-order curve) of their longitude and latitude.

    Places near one another have numbers near one another, whose bits are those of column and row
    in turn: G. M. Morton, A computer oriented geodetic data base, IBM, 1966. The shifts that
    spread the bits are those of H. S. Warren, Hacker's Delight, 7-2.
    """
    rows = f"""SELECT *,
        CAST(least(("{longitude}" + 180) / 360 * {_GRID}, {_GRID - 1}) AS BIGINT) AS _column,
        CAST(least(("{latitude}" + 90) / 180 * {_GRID}, {_GRID - 1}) AS BIGINT) AS _row
        FROM _part"""
    for shift, mask in (
        (16, 0x0000FFFF0000FFFF),
        (8, 0x00FF00FF00FF00FF),
        (4, 0x0F0F0F0F0F0F0F0F),
        (2, 0x3333333333333333),
        (1, 0x5555555555555555),
    ):
        rows = f"""SELECT * REPLACE (
            (_column | (_column << {shift})) & {mask} AS _column,
            (_row | (_row << {shift})) & {mask} AS _row) FROM ({rows})"""
    return f"FROM ({rows}) ORDER BY _column | (_row << 1)"
