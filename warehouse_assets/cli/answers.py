"""The commands `answers` and `sql`: what the warehouse answers, and what a query over the lake."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any, NamedTuple

import click
import duckdb
import sqlalchemy as sa

from warehouse_assets.catalogue import ANSWER_TABLES, QUESTIONS, TABLES, Question
from warehouse_assets.cli import terminal
from warehouse_assets.cli.terminal import examples
from warehouse_assets.defs.trips.answers import (
    Box,
    Match,
    WeeklyTrips,
    regions,
    weekly_trips_of_box,
    weekly_trips_of_region,
)
from warehouse_assets.defs.trips.tables import DAILY_TRIPS
from warehouse_assets.errors import WarehouseError
from warehouse_assets.interruption import InterruptibleCommand
from warehouse_assets.lake import Lake
from warehouse_assets.settings import Settings
from warehouse_assets.tables import column_names
from warehouse_assets.times import Days
from warehouse_assets.warehouse import warehouse_at

_DAY = click.DateTime(["%Y-%m-%d"])
_SIDES_OF_A_BOX = 4
_ROWS_AT_ONCE = 10_000


class Answer(NamedTuple):
    """The first rows of a table that answers a question; `more` rows are left out.

    One that has not been published has no columns.
    """

    title: str
    names: Sequence[str]
    rows: Sequence[Sequence[object]]
    more: int


@click.command(
    "answers",
    cls=InterruptibleCommand,
    epilog=examples(
        "warehouse answers trips --region Prague --from 2018-05-01",
        "warehouse answers trips --box 14.40,50.05,14.45,50.10 --match both",
    ),
)
@click.argument("names", nargs=-1)
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="Rows to show of each answer.",
)
@click.option("--region", help="Of trips: the weekly average of this region.")
@click.option("--box", help="Of trips: that of this box, MIN_LON,MIN_LAT,MAX_LON,MAX_LAT.")
@click.option(
    "--match",
    type=click.Choice(["origin", "destination", "both"]),
    default="origin",
    show_default=True,
    help="Which end of a trip has to be in the box.",
)
@click.option("--from", "first", type=_DAY, help="First day, YYYY-MM-DD.")
@click.option("--to", "last", type=_DAY, help="Last day, included.")
def answers(
    names: Sequence[str],
    limit: int,
    region: str | None,
    box: str | None,
    match: Any,
    first: datetime | None,
    last: datetime | None,
) -> None:
    """Show the answers, from the warehouse: all of them, or the tables and questions NAMES."""
    settings = Settings.from_environment()
    if region is not None or box is not None or first or last:
        if tuple(names) not in {(), ("trips",)}:
            raise click.UsageError("--region, --box, --from and --to are of `answers trips`.")
        try:
            days = Days(first and first.date(), last and last.date())
        except ValueError as error:
            raise click.UsageError(f"{error}.") from None
        average, answer = _answer_of_area(settings, region, box, match, days, limit)
        terminal.print_table(answer.title, answer.names, answer.rows, answer.more)
        terminal.out.print(average, markup=False)
        return
    for answer in _answers(settings, names, limit):
        # Words instead of names: long names would be broken anywhere.
        headings = [name.replace("_", " ") for name in answer.names]
        terminal.print_table(answer.title, headings, answer.rows, answer.more)


def _answers(settings: Settings, names: Sequence[str], limit: int) -> Iterator[Answer]:
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
    with warehouse_at(settings.warehouse_url).read() as connection:
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


def _answer_of_area(
    settings: Settings, region: str | None, box: str | None, match: Match, days: Days, limit: int
) -> tuple[str, Answer]:
    """The weekly average of a region or a box in words, and the trips by week.

    Raises:
        click.UsageError: there is no such region, or the box is none, or there are both.
    """
    if (region is None) == (box is None):
        raise click.UsageError("Say either --region NAME or --box MIN_LON,MIN_LAT,MAX_LON,MAX_LAT.")
    if box is not None:
        lake = Lake.of(settings)
        weekly = weekly_trips_of_box(lake, _box(box), match, days)
        where = f"the box {box} ({match})"
    else:
        weekly, where = _of_region(settings, str(region), days), f"the region {region}"
    words = "No trips."
    if weekly.average is not None:
        words = (
            f"{weekly.average:,.4f} trips per week: {weekly.trips:,} trips in "
            f"{len(weekly.weeks):,} weeks from {weekly.weeks[0][0]} to {weekly.weeks[-1][0]}."
        )
    title = f"How many trips did {where} have per week?"
    more = max(len(weekly.weeks) - limit, 0)
    return words, Answer(title, ["week start", "trips"], weekly.weeks[:limit], more)


def _of_region(settings: Settings, region: str, days: Days) -> WeeklyTrips:
    with warehouse_at(settings.warehouse_url).read() as connection:
        if not sa.inspect(connection).has_table(str(DAILY_TRIPS.name)):
            raise WarehouseError(
                "The trips have not been published yet. Take files of trips (`warehouse ingest "
                "FILE`), or materialise the assets of the group trips."
            )
        weekly = weekly_trips_of_region(connection, region, days)
        if weekly is None:
            known = ", ".join(regions(connection)) or "none yet"
            raise click.UsageError(f"There is no region {region!r}. The regions are: {known}.")
    return weekly


def _box(text: str) -> Box:
    sides = text.split(",")
    if len(sides) != _SIDES_OF_A_BOX:
        raise click.UsageError(f"The box {text!r} is not four numbers with commas between them.")
    try:
        return Box(*map(float, sides))
    except ValueError as error:
        raise click.UsageError(f"The box {text!r} cannot be used: {error}.") from None


@click.command(
    "sql",
    cls=InterruptibleCommand,
    epilog=examples(
        'warehouse sql "SELECT * FROM rejected_records"',
        'warehouse sql "SHOW TABLES"',
        'warehouse sql "DESCRIBE votes"',
    ),
)
@click.argument("query")
@click.option(
    "--format",
    "shape",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
    help="How to print the rows; json is an object per line.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    help="Rows to show in a table.",
)
def sql(query: str, shape: str, limit: int) -> None:
    """Run QUERY, in DuckDB's SQL, over the tables of the lake."""
    if not query.strip():
        raise click.UsageError("There is no query.")
    settings = Settings.from_environment()
    with lake_query(settings, query) as (names, rows):
        if shape == "csv":
            terminal.write_csv(names, rows)
        elif shape == "json":
            terminal.write_json_lines(names, rows)
        else:
            shown = list(islice(rows, limit))
            terminal.print_table("", names, shown, sum(1 for _ in rows))


@contextmanager
def lake_query(
    settings: Settings, query: str, parameters: Sequence[object] = ()
) -> Iterator[tuple[list[str], Iterator[tuple[Any, ...]]]]:
    """The columns and rows of `query` over the lake's tables, each readable by its name.

    Raises:
        click.ClickException: the query is wrong; the message is DuckDB's.
    """
    lake = Lake.of(settings)
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
