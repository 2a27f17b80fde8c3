"""Tables of the lake into a SQL database: whole, and what has changed in them.

The baseline of publishing whole has DuckDB read the rows from the lake's Parquet files, in batches
as large as the project's, and writes them by `executemany`, in one transaction, into a table of the
same DDL in a SQLite file of the same settings. The project locks, reads the version published,
sorts by key, replaces the old table, notes the version and describes columns.
"""

import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateTable

from benchmarks.context import Context
from benchmarks.subjects.homes import lake_of, settings_of
from warehouse_assets.defs.forum.tables import VOTES
from warehouse_assets.lake import Lake, append, merge
from warehouse_assets.settings import Settings
from warehouse_assets.warehouse import publish, warehouse_at

_ROWS_AT_ONCE = 50_000
_AS_STORED = """SELECT id, post_id, vote_type_id, user_id, bounty_amount,
    strftime(creation_date, '%Y-%m-%d %H:%M:%S.%f'), arrival FROM read_parquet(?)"""
Rows = list[tuple[Any, ...]]


def executemany_batches(context: Context) -> None:
    """Measure `executemany` of what DuckDB reads, batch by batch."""
    files = _files(context)
    with context.measuring():
        _write(context.folder / "warehouse.db", _batches(files))


def publish_whole(context: Context) -> None:
    """Measure `publish` into a database that is not there yet."""
    lake, _ = _template(context)
    warehouse = warehouse_at(f"sqlite:///{context.folder / 'warehouse.db'}")
    with context.measuring():
        published = publish(lake, warehouse, lake.table(VOTES))
    assert published.is_whole
    assert published.rows_written == context.data.votes


def change_template(context: Context, percent: int) -> None:
    """Publish a table of that share of all votes, then change it in the lake.

    The change is as a delivery's: half of the rows are new, half known, from everywhere.
    """
    settings = settings_of(context.templates / f"change-{percent}")
    lake = lake_of(settings)
    table = lake.table(VOTES)
    rows, changes = _rows(context, percent), context.data.changes
    columns = """i AS id, 1 + i * 7919 % 250000 AS post_id, 2 AS vote_type_id, NULL AS user_id,
        NULL AS bounty_amount, TIMESTAMP '2022-01-03' + to_seconds(i) AS creation_date"""
    with lake.connect() as connection:
        query = f"SELECT {columns}, 1 AS arrival FROM range(1, {rows + 1}) AS r(i)"
        append(connection, table, table.open(), query, {"file/1": 1})
        publish(lake, warehouse_at(settings.warehouse_url), table)
        half = changes // 2
        step = max(rows // half, 1)
        connection.execute(
            f"""CREATE TEMP TABLE delivered AS
            SELECT {columns.replace("2 AS vote", "3 AS vote")}, 2 AS arrival FROM (
                SELECT 1 + j * {step} AS i FROM range({half}) AS r(j)
                UNION ALL SELECT {rows} + 1 + j FROM range({half}) AS r(j))"""
        )
        merge(connection, lake, table, table.open(), "delivered", {"file/2": 2}, "arrival")


def publish_change(context: Context, percent: int) -> None:
    """Measure publishing that change, and what is read for it."""
    template = settings_of(context.templates / f"change-{percent}")
    source, target = warehouse_at(template.warehouse_url).path, context.folder / "warehouse.db"
    for path in source.parent.glob(f"{source.name}*"):
        shutil.copy(path, target.with_name(path.name.replace(source.name, target.name)))
    lake = lake_of(template)
    warehouse = warehouse_at(f"sqlite:///{target}")
    with context.measuring():
        published = publish(lake, warehouse, lake.table(VOTES))
    assert not published.is_whole
    assert published.rows_written == context.data.changes // 2 * 2
    context.details["MB read"] = context.bytes_read / 1e6


def _rows(context: Context, percent: int) -> int:
    return context.data.votes * percent // 100


def _template(context: Context) -> tuple[Lake, Settings]:
    settings = settings_of(context.templates / "home")
    return lake_of(settings), settings


def _files(context: Context) -> Sequence[str]:
    lake, _ = _template(context)
    table = lake.table(VOTES)
    return table.files(table.open())


def _batches(files: Sequence[str]) -> Iterator[Rows]:
    with duckdb.connect() as connection:
        result = connection.execute(_AS_STORED, [list(files)])
        while batch := result.fetchmany(_ROWS_AT_ONCE):
            yield batch


def _write(path: Path, batches: Iterable[Rows]) -> None:
    places = ", ".join("?" for _ in VOTES.columns)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(str(CreateTable(VOTES).compile(dialect=sqlite.dialect())))
        for batch in batches:
            connection.executemany(f"INSERT INTO votes VALUES ({places})", batch)
        connection.execute("COMMIT")
