"""Writing the rows of a table into other files, so that reading them costs less.

Nothing that a reader can see changes, and the change data feed tells nothing of it: aggregated
tables are folded, partial rows of one key becoming one; tables that are clustered are sorted by
where on the earth their rows are; of all others, small files are put together. What is large and
in order is left alone, so that the cost is that of what came since, times the logarithm of the
table's size. DuckDB does it, within its memory limit, which Delta's own compaction does not keep.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
from deltalake import DeltaTable
from deltalake.transaction import RemoveAction
from sqlalchemy import Table

from warehouse_assets.crash_points import crash_point
from warehouse_assets.lake.commit import cast_query, register
from warehouse_assets.lake.lake import REARRANGED, Lake, LakeTable
from warehouse_assets.lake.parquet import write_parquet
from warehouse_assets.tables import aggregated, aggregates, identifiers, key_names

# Names of files that are in order begin so.
_FOLDED = "folded"
_CLUSTERED = "clustered"
_COMPACTED = "compacted"
# A file of so many bytes is as good as one that was compacted.
LARGE = 256 * 2**20
# Files in order are taken together with what is not if they are at most so many times as large.
_MOST_TIMES_LARGER = 4
# 2^24 columns and rows of a grid around the earth: 2.4 m at the equator.
_GRID = 1 << 24


@dataclass(frozen=True)
class _File:
    """A file of the table's newest version."""

    name: str
    size: int
    rows: int

    def is_in_order(self, kind: str) -> bool:
        return self.name.startswith(kind) or (kind == _COMPACTED and self.size >= LARGE)


def rearrange(lake: Lake, table: LakeTable) -> int:
    """Fold, cluster or compact the table, whichever it is, where it is worth it.

    Returns how many rows were written.

    Raises:
        ConflictError: another process committed meanwhile; nothing is lost by trying again.
    """
    with lake.lock(table.name):
        handle = table.open()
        kind = _kind(table)
        files = _worth_rearranging(handle, kind)
        if not files:
            return 0
        with lake.connect() as connection:
            paths = table.paths([file.name for file in files])
            lake.view_files(connection, table.declaration, paths, "_part")
            query = _QUERIES[kind](table.declaration)
            return _commit(connection, table, handle, query, files, kind)


def _kind(table: LakeTable) -> str:
    if aggregates(table.declaration):
        return _FOLDED
    return _CLUSTERED if "clustered_by" in table.declaration.info else _COMPACTED


def _worth_rearranging(handle: DeltaTable, kind: str) -> Sequence[_File]:
    """The files that are not in order, and those in order that are not much larger than them."""
    actions = handle.get_add_actions()
    figures = (actions[name].to_pylist() for name in ("path", "size_bytes", "num_records"))
    files = [_File(*values) for values in zip(*figures, strict=True)]
    chosen = [file for file in files if not file.is_in_order(kind)]
    if not chosen:
        return []
    rows = sum(file.rows for file in chosen)
    for file in sorted((f for f in files if f.is_in_order(kind)), key=lambda f: f.rows):
        if file.rows > _MOST_TIMES_LARGER * rows:
            break
        chosen.append(file)
        rows += file.rows
    # Of one file alone there is nothing to put together.
    return chosen if len(chosen) > 1 or kind != _COMPACTED else []


def _commit(
    connection: duckdb.DuckDBPyConnection,
    table: LakeTable,
    handle: DeltaTable,
    query: str,
    files: Sequence[_File],
    kind: str,
) -> int:
    """Let the rows of `query` take the place of `files`."""
    crash_point("files to be rearranged", table.name)
    written = write_parquet(connection, table, cast_query(table, query), kind, data_change=False)
    now = int(time.time() * 1000)
    replaced = [
        RemoveAction(
            file.name,
            data_change=False,
            deletion_timestamp=now,
            size=file.size,
            partition_values={},
        )
        for file in files
    ]
    done = register(table, handle, written, {}, replaced=replaced, metadata={REARRANGED: "true"})
    crash_point("files rearranged", table.name)
    return done.inserted


def _compacted(declaration: Table) -> str:
    return "FROM _part"


def _folded(declaration: Table) -> str:
    return f"{aggregated(declaration, '_part')} ORDER BY {identifiers(key_names(declaration))}"


def _clustered(declaration: Table) -> str:
    """The rows in Morton order (the Z-order curve) of their longitude and latitude.

    Places near one another have numbers near one another, whose bits are those of column and row
    in turn: G. M. Morton, A computer oriented geodetic data base, IBM, 1966. The shifts that
    spread the bits are those of H. S. Warren, Hacker's Delight, 7-2.
    """
    longitude, latitude = declaration.info["clustered_by"]
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


_QUERIES = {_FOLDED: _folded, _CLUSTERED: _clustered, _COMPACTED: _compacted}
