"""Parquet files of a table, written by DuckDB with the statistics that Delta keeps of them."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

import duckdb
from deltalake import WriterProperties
from deltalake.transaction import AddAction
from sqlalchemy import Integer

from warehouse_assets.crash_points import crash_point
from warehouse_assets.lake.lake import LakeTable
from warehouse_assets.tables import LongText

# DuckDB holds whole row groups in memory, several of them, before it writes them. Its own number
# is 122,880, which a quarter serves as well; with 4 KB in each row only the smaller number stays
# within 400 MB, at twice the time to read.
_ROWS_OF_A_GROUP = 30_720
_ROWS_OF_A_GROUP_WITH_LONG_TEXT = 10_240

# Of rows of short values: a seventh smaller and a quarter faster to write than the usual way, for
# numbers are split by bytes or kept as differences. A column of more distinct values than this
# has no dictionary; DuckDB would go on trying to make one.
_OF_SHORT_VALUES = (
    "COMPRESSION zstd, COMPRESSION_LEVEL 1, PARQUET_VERSION V2, "
    "DICTIONARY_SIZE_LIMIT 5000, ROW_GROUP_SIZE 122880"
)

BY_DELTA = WriterProperties(compression="ZSTD", max_row_group_size=122_880)
"""How Delta itself writes: a quarter of its usual size, and in parts that are read in parallel."""


@dataclass(frozen=True)
class WrittenFile:
    """A file that is written but not yet part of the table's log."""

    action: AddAction
    rows: int


def write_parquet(
    connection: duckdb.DuckDBPyConnection,
    table: LakeTable,
    query: str,
    kind: str = "part",
    data_change: bool = True,
    has_short_values: bool = False,
) -> list[WrittenFile]:
    """Write the rows of `query` beside the table's files; no rows make no file.

    Until the files are committed they are not part of the table, and no reader sees them.

    Args:
        kind: with what the file's name begins.
        data_change: whether the rows are new to the table, or take the place of the same rows.
        has_short_values: whether rows are some 100 bytes and many, so that it pays to write them
            in greater parts and in the newer encodings of Parquet.
    """
    name = f"{kind}-{uuid4()}.parquet"
    path = table.path / name
    is_long = any(isinstance(column.type, LongText) for column in table.declaration.columns)
    size_of_group = _ROWS_OF_A_GROUP_WITH_LONG_TEXT if is_long else _ROWS_OF_A_GROUP
    usual = f"COMPRESSION zstd, ROW_GROUP_SIZE {size_of_group}"
    options = _OF_SHORT_VALUES if has_short_values else usual
    crash_point("Parquet to be written", table.name)
    try:
        rows = connection.execute(
            f"COPY ({query}) TO ? (FORMAT parquet, {options}, RETURN_STATS)", [str(path)]
        ).fetchall()
    except duckdb.Error:
        path.unlink(missing_ok=True)
        raise
    ((_, records, size, _, columns, *_),) = rows  # one for each file
    if records == 0:
        path.unlink()
        return []
    crash_point("Parquet written", table.name)
    action = AddAction(
        path=name,
        size=size,
        partition_values={},
        modification_time=int(time.time() * 1000),
        data_change=data_change,
        stats=json.dumps(_delta_statistics(table, records, columns)),
    )
    return [WrittenFile(action, records)]


def remove_files(table: LakeTable, files: Sequence[WrittenFile]) -> None:
    """Remove files that were written but could not be committed."""
    for file in files:
        (table.path / file.action.path).unlink(missing_ok=True)


def _delta_statistics(
    table: LakeTable, records: int, columns: dict[str, dict[str, str]]
) -> dict[str, object]:
    """Delta's statistics of one file from DuckDB's, whose column names are quoted.

    Smallest and greatest values are given of whole numbers only: that is what merges by key
    use to leave files out, and the only type whose text is the same in both.
    """
    by_name = {name.strip('"'): figures for name, figures in columns.items()}
    nulls = {name: int(figures["null_count"]) for name, figures in by_name.items()}
    whole = [
        (column.name, by_name[column.name])
        for column in table.declaration.columns
        if isinstance(column.type, Integer) and "min" in by_name.get(column.name, {})
    ]
    return {
        "numRecords": records,
        "nullCount": nulls,
        "minValues": {name: int(figures["min"]) for name, figures in whole},
        "maxValues": {name: int(figures["max"]) for name, figures in whole},
    }
