"""Reading the warehouse and the lake for the command line; rebuilding one from the other."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import duckdb
import sqlalchemy as sa

from warehouse_assets.catalogue import ANSWER_TABLES, QUESTIONS, TABLES, Question
from warehouse_assets.deliveries.state_database import StateDatabase
from warehouse_assets.lake import Lake
from warehouse_assets.progress import Listener
from warehouse_assets.schema import column_names
from warehouse_assets.settings import Settings
from warehouse_assets.trips.areas import create_functions
from warehouse_assets.warehouse import Warehouse, adopt, publish

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
    """The answer tables of the warehouse and the questions, or those called `names`.

    Raises:
        click.UsageError: there is no table or question of that name.
        WarehouseError: there is no warehouse, or it cannot be read.
    """
    by_name: dict[str, sa.Table | Question] = {str(table.name): table for table in TABLES}
    by_name |= {question.name: question for question in QUESTIONS}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise click.UsageError(
            f"There is no table or question {unknown[0]}. There are: {', '.join(by_name)}."
        )
    with Warehouse(settings.warehouse_url).read() as connection:
        for asked in [by_name[name] for name in names] or [*ANSWER_TABLES, *QUESTIONS]:
            reads = asked.reads if isinstance(asked, Question) else [asked]
            inspector = sa.inspect(connection)
            if not all(inspector.has_table(str(table.name)) for table in reads):
                yield Answer(f"{_title(asked)}: not published yet", [], [], 0)
            elif isinstance(asked, Question):
                yield _answer_of_question(connection, asked, limit)
            else:
                yield _answer_of_table(connection, asked, limit)


def _title(asked: sa.Table | Question) -> str:
    if isinstance(asked, Question):
        return f"{asked.text} ({asked.name})"
    question = asked.info.get("answers")
    return f"{question} ({asked.name})" if question else str(asked.name)


def _answer_of_question(connection: sa.Connection, question: Question, limit: int) -> Answer:
    query = question.path.read_text(encoding="utf-8")
    # There are no parameters, for which a driver would look after each %.
    result = connection.execution_options(no_parameters=True).exec_driver_sql(query)
    names, rows = list(result.keys()), [tuple(map(_plain, row)) for row in result]
    return Answer(_title(question), names, rows[:limit], max(len(rows) - limit, 0))


def _plain(value: object) -> object:
    """The value, a sum of whole numbers as one: PostgreSQL's driver gives a `Decimal`."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value


def _answer_of_table(connection: sa.Connection, table: sa.Table, limit: int) -> Answer:
    count = connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
    order = table.info.get("order") or [column.name for column in table.primary_key.columns]
    query = sa.select(table).order_by(*(table.c[name] for name in order)).limit(limit)
    rows = [tuple(row) for row in connection.execute(query)]
    return Answer(_title(table), column_names(table), rows, count - len(rows))


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
        create_functions(connection)
        try:
            connection.execute(query, parameters)
            yield [column[0] for column in connection.description or []], _rows(connection)
        except duckdb.Error as error:
            raise click.ClickException(str(error)) from None


def _rows(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while batch := connection.fetchmany(_ROWS_AT_ONCE):
        yield from batch


def rebuild(settings: Settings, progress: Listener) -> Rebuilt:
    """Publish every table of the lake whole, also where tables of another lake are."""
    lake = Lake(settings.lake, settings.scratch, settings.memory_limit)
    warehouse = Warehouse(settings.warehouse_url)
    aside = warehouse.move_aside_if_unreadable()
    tables = [lake.table(table) for table in TABLES if settings.publishes(table)]
    present = [table for table in tables if table.exists()]
    if present:  # with nothing to put in its place, what another lake published stays
        adopt(lake, warehouse)
        StateDatabase(settings.state_url, lake.folder).adopt()
    rows = {
        table.name: publish(lake, warehouse, table, progress, whole=True).rows_written
        for table in present
    }
    return Rebuilt(rows, aside)
