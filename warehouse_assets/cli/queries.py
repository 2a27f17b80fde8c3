"""Reading the warehouse and the lake for the command line; rebuilding one from the other."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import duckdb
import sqlalchemy as sa

from warehouse_assets.catalogue import ANSWER_TABLES, TABLES
from warehouse_assets.lake import Lake
from warehouse_assets.progress import Listener
from warehouse_assets.schema import column_names
from warehouse_assets.settings import Settings
from warehouse_assets.warehouse import Warehouse, publish

_ROWS_AT_ONCE = 10_000


@dataclass(frozen=True)
class Answer:
    """The first rows of a table that answers a question; `more` rows are left out.

    One that has not been published has no columns.
    """

    title: str
    names: Sequence[str]
    rows: Sequence[Sequence[object]]
    more: int


@dataclass(frozen=True)
class Rebuilt:
    """The rows of each table that was written, and where an unreadable database went."""

    rows: dict[str, int]
    moved_aside: Path | None


def answers(settings: Settings, names: Sequence[str], limit: int) -> Iterator[Answer]:
    """The answer tables of the warehouse, or the tables called `names`.

    Raises:
        click.UsageError: there is no table of that name.
        WarehouseError: there is no warehouse, or it cannot be read.
    """
    by_name = {str(table.name): table for table in TABLES}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise click.UsageError(
            f"There is no table {unknown[0]}. The tables are: {', '.join(by_name)}."
        )
    with Warehouse(settings.warehouse_url).read() as connection:
        for table in [by_name[name] for name in names] or ANSWER_TABLES:
            question = table.info.get("answers")
            title = f"{question} ({table.name})" if question else str(table.name)
            if not sa.inspect(connection).has_table(str(table.name)):
                yield Answer(f"{title}: not published yet", [], [], 0)
                continue
            count = connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            order = table.info.get("order") or [c.name for c in table.primary_key.columns]
            query = sa.select(table).order_by(*(table.c[name] for name in order)).limit(limit)
            rows = [tuple(row) for row in connection.execute(query)]
            yield Answer(title, column_names(table), rows, count - len(rows))


@contextmanager
def lake_query(
    settings: Settings, query: str, parameters: Sequence[object] = ()
) -> Iterator[tuple[list[str], Iterator[tuple[Any, ...]]]]:
    """The columns and rows of `query` over the lake's tables, each readable by its name.

    Raises:
        click.ClickException: the query is wrong; the message is DuckDB's.
    """
    lake = Lake(settings.lake, settings.scratch, settings.memory_limit)
    with lake.connect() as connection:
        for table in TABLES:
            lake.view_newest(connection, table)
        try:
            connection.execute(query, parameters)
            yield [column[0] for column in connection.description or []], _rows(connection)
        except duckdb.Error as error:
            raise click.ClickException(str(error)) from None


def _rows(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while batch := connection.fetchmany(_ROWS_AT_ONCE):
        yield from batch


def rebuild(settings: Settings, progress: Listener) -> Rebuilt:
    """Publish every table of the lake whole."""
    lake = Lake(settings.lake, settings.scratch, settings.memory_limit)
    warehouse = Warehouse(settings.warehouse_url)
    aside = warehouse.move_aside_if_unreadable()
    rows = {}
    for table in TABLES:
        stored = lake.table(table)
        if stored.exists() and settings.publishes(table):
            rows[stored.name] = publish(lake, warehouse, stored, progress, whole=True).rows_written
    return Rebuilt(rows, aside)
