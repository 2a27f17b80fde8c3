"""Parquet files of a table: DuckDB writes them with Delta's statistics, hashes tell of damage.

Hashes are kept when a file is written, so that damage is noticed: in the table's folder, a line a
file; vacuuming leaves names that begin with `_`. A file whose hash is lost, for a process died or
an older release wrote it, is one without a hash, until maintenance keeps one. Object storage keeps
checksums of its own: there a file is compared with the size that the log says.
"""

import glob
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from uuid import uuid4

import duckdb
import xxhash
from deltalake.transaction import AddAction
from sqlalchemy import Integer

from warehouse_assets.crash_points import crash_point
from warehouse_assets.errors import LakeError
from warehouse_assets.lake.storage import Place, read_whole, write_whole
from warehouse_assets.lake.table import LakeTable, names_of
from warehouse_assets.lake.weeks import partition
from warehouse_assets.tables import WEEK, LongText, week_of

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

HASHES = "_hashes"
"""The file of a table's folder that keeps the hashes of its files."""
_BYTES_AT_ONCE = 2**20
_PARTS = 2


@dataclass(frozen=True)
class WrittenFile:
    """A file that is written but not yet part of the table's log."""

    action: AddAction
    rows: int


@dataclass(frozen=True)
class WrittenRows:
    """Rows that another engine has written beside the table's files.

    Args:
        query: a SELECT that reads them, with the table's columns.
    """

    files: Sequence[WrittenFile]
    query: str


Rows = str | WrittenRows
"""What a write mode takes: a SELECT with (at least) the table's columns, or written rows."""


def write_parquet(
    connection: duckdb.DuckDBPyConnection,
    table: LakeTable,
    query: str,
    kind: str = "part",
    data_change: bool = True,
    has_short_values: bool = False,
    is_by_week: bool = False,
    week: date | None = None,
) -> list[WrittenFile]:
    """Write the rows of `query` beside the table's files; no rows make no file.

    Until the files are committed they are not part of the table, and no reader sees them.

    Args:
        kind: with what the file's name begins.
        data_change: whether the rows are new to the table, or take the place of the same rows.
        has_short_values: whether rows are some 100 bytes and many, so that it pays to write them
            in greater parts and in the newer encodings of Parquet.
        is_by_week: whether the table's files are by week: then a file is made for each.
        week: the week that all rows are of, where files are by week and their order is to be kept.
    """
    begin = f"{kind}-{uuid4()}"
    folder = table.path if week is None else table.path / f"{WEEK}={week.isoformat()}"
    folder.mkdir(exist_ok=True)
    is_long = any(isinstance(column.type, LongText) for column in table.declaration.columns)
    size_of_group = _ROWS_OF_A_GROUP_WITH_LONG_TEXT if is_long else _ROWS_OF_A_GROUP
    usual = f"COMPRESSION zstd, ROW_GROUP_SIZE {size_of_group}"
    options = _OF_SHORT_VALUES if has_short_values else usual
    target = folder if is_by_week else folder / f"{begin}.parquet"
    if is_by_week:
        query = f"SELECT *, {week_of(table.declaration)} AS {WEEK} FROM ({query})"
        options += f", PARTITION_BY ({WEEK}), FILENAME_PATTERN '{begin}-{{uuid}}', APPEND"
    crash_point("Parquet to be written", table.name)
    try:
        rows = connection.execute(
            f"COPY ({query}) TO ? (FORMAT parquet, {options}, RETURN_STATS)", [str(target)]
        ).fetchall()
    except duckdb.Error:
        if isinstance(folder, Path):  # object storage has files whole or not at all
            for path in folder.glob(f"{WEEK}=*/{begin}-*" if is_by_week else f"{begin}.parquet"):
                path.unlink(missing_ok=True)
        raise
    files = []
    for uri, records, size, _, columns, partition_keys, *_ in rows:  # one for each file
        name = uri.removeprefix(f"{table.path}/")
        if records == 0:
            (table.path / name).unlink()
            continue
        by_name = {name.strip('"'): figures for name, figures in columns.items()}
        partitions = partition(week) or partition_keys or {}
        files.append(_written(table, name, records, size, by_name, partitions, data_change))
    if files:
        crash_point("Parquet written", table.name)
    return files


def adopt_parquet(
    connection: duckdb.DuckDBPyConnection, table: LakeTable, folder: Place
) -> list[WrittenFile]:
    """Move files that another engine wrote into `folder` beside those of the table.

    Their columns are those of the table, and files by week are in folders of their weeks. As of
    `write_parquet`, they are not yet part of it.
    """
    files: list[WrittenFile] = []
    for path in folder.rglob("*.parquet"):
        # A footer has figures of each part of the file; what it does not say is not counted.
        of_columns = connection.execute(
            """SELECT path_in_schema, sum(num_values), sum(stats_null_count),
                min(TRY_CAST(stats_min_value AS BIGINT)), max(TRY_CAST(stats_max_value AS BIGINT))
            FROM parquet_metadata(?) GROUP BY path_in_schema""",
            [glob.escape(str(path))],
        ).fetchall()
        records = int(of_columns[0][1]) if of_columns else 0
        if not records:
            continue
        named = {
            name: {"null_count": nulls, **({} if least is None else {"min": least, "max": most})}
            for name, _, nulls, least, most in of_columns
            if nulls is not None
        }
        size, name, partitions = path.stat().st_size, f"part-{uuid4()}.parquet", {}
        if path.parent != folder:
            partitions = {WEEK: path.parent.name.removeprefix(f"{WEEK}=")}
            name = f"{path.parent.name}/{name}"
            (table.path / name).parent.mkdir(exist_ok=True)
        path.rename(str(table.path / name))
        files.append(_written(table, name, records, size, named, partitions))
    return files


def discard(table: LakeTable, files: Sequence[WrittenFile]) -> None:
    """Remove files that were written but could not be committed."""
    for file in files:
        (table.path / file.action.path).unlink(missing_ok=True)


@dataclass(frozen=True)
class Verified:
    """What became of comparing the files of a table's newest version with their hashes.

    Args:
        files: how many there are.
        without_hash: names of those of which no hash is kept.
        damaged: what is wrong with others, in words.
    """

    files: int = 0
    without_hash: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()


def keep_hashes(table: LakeTable, names: Iterable[str]) -> None:
    """Keep the hashes of files of the table as they are now. The caller holds the table's lock."""
    if not isinstance(folder := table.path, Path):
        return
    # Begins with a new line, for a dying process may have left one that does not end.
    lines = [f"\n{_hash_of(folder / name)} {name}" for name in names]
    if lines:
        with (folder / HASHES).open("a", encoding="utf-8") as stream:
            stream.write("".join(lines))


def verify(table: LakeTable) -> Verified:
    """Compare every file of the table's newest version with the hash that was kept of it.

    One without a hash is compared with the size that the table's log has.

    Raises:
        LakeError: the table cannot be opened.
    """
    handle = table.open_existing()
    if handle is None:
        return Verified()
    kept, names = _kept(table.path), names_of(handle)
    sizes = dict(zip(names, handle.get_add_actions()["size_bytes"].to_pylist(), strict=True))
    wrong: dict[str, str] = {}
    for name, size in sizes.items():
        path = table.path / name
        try:
            if isinstance(path, Path) and name in kept:
                is_same = _hash_of(path) == kept[name]
            else:
                is_same = path.stat().st_size == size
            if not is_same:
                wrong[name] = "is not what was committed: bytes of it have changed"
        except OSError as error:
            wrong[name] = f"cannot be read: {error.strerror or 'it is not there'}"
    if wrong:  # what another process has replaced and removed meanwhile is not of the table
        present = set(names_of(table.open()))
        wrong = {name: how for name, how in wrong.items() if name in present}
    return Verified(
        len(names),
        tuple(name for name in names if name not in kept and name not in wrong),
        tuple(f"The file {table.path / name} {how}." for name, how in wrong.items()),
    )


def verify_and_adopt(table: LakeTable) -> None:
    """As `verify`; then keep hashes of files that have none, and forget those of files gone.

    The caller holds the table's lock.

    Raises:
        LakeError: a file is damaged, or the table cannot be opened.
    """
    found = verify(table)
    if found.damaged:
        raise LakeError(" ".join([*found.damaged, table.remedy]))
    if not isinstance(folder := table.path, Path):
        return
    if not found.files:
        (folder / HASHES).unlink(missing_ok=True)
        return
    keep_hashes(table, found.without_hash)
    kept = {name: digest for name, digest in _kept(folder).items() if (folder / name).exists()}
    lines = "".join(f"{digest} {name}\n" for name, digest in kept.items())
    write_whole(folder / HASHES, lines.encode())


def _written(
    table: LakeTable,
    name: str,
    records: int,
    size: int,
    columns: Mapping[str, Mapping[str, str | int]],
    partitions: Mapping[str, str | None],
    data_change: bool = True,
) -> WrittenFile:
    """A file of the table with Delta's statistics of it.

    Smallest and greatest values are given of whole numbers only: that is what merges by key
    use to leave files out, and the only type whose text is the same in all engines.

    Args:
        columns: by name: `null_count`, and `min` and `max` where there are any.
        partitions: the week that it is of, in Delta's words, if files are by week.
    """
    whole = [
        (column.name, columns[column.name])
        for column in table.declaration.columns
        if isinstance(column.type, Integer) and "min" in columns.get(column.name, {})
    ]
    statistics = {
        "numRecords": records,
        "nullCount": {name: int(figures["null_count"]) for name, figures in columns.items()},
        "minValues": {name: int(figures["min"]) for name, figures in whole},
        "maxValues": {name: int(figures["max"]) for name, figures in whole},
    }
    action = AddAction(
        path=name,
        size=size,
        partition_values=partitions,
        modification_time=int(time.time() * 1000),
        data_change=data_change,
        stats=json.dumps(statistics),
    )
    return WrittenFile(action, records)


def _kept(folder: Place) -> dict[str, str]:
    """Hash by name; a line that a dying process left half written counts for nothing."""
    content = read_whole(folder / HASHES) if isinstance(folder, Path) else None
    lines = (content or b"").decode("utf-8", errors="replace").splitlines()
    parts = [line.split(" ") for line in lines]
    return {part[1]: part[0] for part in parts if len(part) == _PARTS}


def _hash_of(path: Path) -> str:
    """The xxh3-128 hash of a file."""
    state, buffer = xxhash.xxh3_128(), bytearray(_BYTES_AT_ONCE)
    view = memoryview(buffer)
    with path.open("rb", buffering=0) as stream:
        while size := stream.readinto(buffer):
            state.update(view[:size])
    return state.hexdigest()
