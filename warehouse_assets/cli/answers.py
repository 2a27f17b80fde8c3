"""The commands `answers` and `sql`: what the warehouse answers, and what a query over the lake."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any

import anyio
import click
import duckdb
import sqlalchemy as sa

from warehouse_assets import charts
from warehouse_assets.catalogue import (
    ANSWER_TABLES,
    ASKED,
    QUESTIONS,
    TABLES,
    order_of,
    question_of,
    reads_of,
    tables_of,
)
from warehouse_assets.cli import terminal
from warehouse_assets.cli.terminal import Answer, examples
from warehouse_assets.cli.trips import answer_of_area, answer_of_groups, read_box
from warehouse_assets.defs.trips.groups import HOURS, Filter, Likeness
from warehouse_assets.drawing import specified, tables_drawn
from warehouse_assets.errors import UsageError
from warehouse_assets.history.as_of import fetch, handles_of, read_moment, view
from warehouse_assets.interruption import InterruptibleCommand
from warehouse_assets.lake import Lake
from warehouse_assets.questions import Question
from warehouse_assets.settings import Settings
from warehouse_assets.times import Days
from warehouse_assets.warehouse import warehouse_at

DAY = click.DateTime(["%Y-%m-%d"])
_ROWS = 20
_ROWS_AT_ONCE = 10_000


as_of_option = click.option(
    "--as-of",
    metavar="MOMENT",
    help="As it was published then: a time, a day (its end), `yesterday`, a version, or a label.",
)


@click.command(
    "answers",
    cls=InterruptibleCommand,
    epilog=examples(
        "warehouse answers trips --region Prague --from 2018-05-01",
        "warehouse answers trips --box 14.40,50.05,14.45,50.10 --match both",
        "warehouse answers groups --zoom 12 --hours 6 --region Prague",
        "warehouse answers outlier_weeks --chart weeks.svg",
    ),
)
@click.argument("names", nargs=-1)
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    help=f"Rows to show of each answer.  [default: {_ROWS}; of a chart, all it is made for]",
)
@click.option("--region", help="Of trips and groups: this region.")
@click.option("--box", help="Of trips and groups: this box, MIN_LON,MIN_LAT,MAX_LON,MAX_LAT.")
@click.option(
    "--match",
    type=click.Choice(["origin", "destination", "both"]),
    default="origin",
    show_default=True,
    help="Which end of a trip has to be in the box.",
)
@click.option("--from", "first", type=DAY, help="First day, YYYY-MM-DD.")
@click.option("--to", "last", type=DAY, help="Last day, included.")
@as_of_option
@click.option(
    "--zoom",
    type=click.IntRange(0, 24),
    help="Of groups: zoom of the tiles.  [default: TRIP_GROUPS_ZOOM]",
)
@click.option(
    "--hours",
    type=click.Choice([str(hours) for hours in HOURS]),
    help="Of groups: hours of a part of the day.  [default: TRIP_GROUPS_HOURS]",
)
@click.option(
    "--merge",
    type=click.Choice(["neighbours"]),
    help="Of groups: those whose tiles and parts of the day touch are one.",
)
@click.option(
    "--chart",
    type=click.File("wb", lazy=True),
    metavar="FILE",
    help="Draw the chart of the one answer NAMES into FILE, .svg or .png.",
)
def answers(
    names: Sequence[str],
    limit: int | None,
    as_of: str | None,
    region: str | None,
    box: str | None,
    match: Any,
    first: datetime | None,
    last: datetime | None,
    zoom: int | None,
    hours: str | None,
    merge: str | None,
    chart: Any,
) -> None:
    """Show the answers, from the warehouse: all of them, or the tables and questions NAMES.

    `groups` are those of similar trips, which are as similar as you say, from the lake.
    """
    settings, rows = Settings.from_environment(), _ROWS if limit is None else limit
    is_of_groups = tuple(names) == ("groups",)
    if not is_of_groups and (zoom is not None or hours or merge):
        raise click.UsageError("--zoom, --hours and --merge are of `answers groups`.")
    if is_of_groups or region is not None or box is not None or first or last:
        if tuple(names) not in {(), ("trips",), ("groups",)}:
            raise click.UsageError(
                "--region, --box, --from and --to are of `answers trips` and `answers groups`."
            )
        if as_of is not None or chart is not None:
            raise click.UsageError(
                "--as-of and --chart are of tables and questions, not of groups, a region or a box."
            )
        try:
            days = Days(first and first.date(), last and last.date())
        except ValueError as error:
            raise click.UsageError(f"{error}.") from None
        if is_of_groups:
            likeness = Likeness(
                settings.trip_groups_zoom if zoom is None else zoom,
                int(hours or settings.trip_groups_hours),
                merge is not None,
            )
            wanted = Filter(region, None, days, None if box is None else read_box(box), match)
            words, answer = answer_of_groups(settings, likeness, wanted, rows)
        else:
            words, answer = answer_of_area(settings, region, box, match, days, rows)
        terminal.print_table(answer.title, answer.names, answer.rows, answer.more)
        terminal.out.print(words, markup=False)
        return
    if chart is not None:
        _draw(settings, names, limit, as_of, chart)
        return
    for answer in _answers(settings, names, rows, as_of):
        # Words instead of names: long names would be broken anywhere.
        headings = [name.replace("_", " ") for name in answer.names]
        terminal.print_table(answer.title, headings, answer.rows, answer.more)


def _draw(
    settings: Settings, names: Sequence[str], limit: int | None, as_of: str | None, file: Any
) -> None:
    """Draw the chart of an answer into a file.

    Raises:
        click.UsageError: it is not one answer, or the file is of no such kind.
        WarehouseAssetsError: the answer has no chart, or cannot be read.
    """
    kind = next((kind for kind in charts.PICTURES if file.name.lower().endswith(f".{kind}")), None)
    if kind is None or len(names) != 1:
        raise click.UsageError(
            "--chart FILE is of one answer, and FILE ends with .svg or .png: "
            "warehouse answers outlier_weeks --chart weeks.svg"
        )
    asked = asked_for(names[0])
    tables = tables_drawn(asked)
    with _reading(settings, tables, as_of) as (connection, known):
        if missing := [str(table.name) for table in tables if str(table.name) not in known]:
            raise UsageError(f"There is no chart yet: {', '.join(missing)} is not published.")
        notes = [f"As of {as_of}."] if as_of else []
        spec = specified(connection, asked, settings, limit=limit or None, notes=notes)
    file.write(anyio.run(charts.draw, spec, kind))


def _answers(
    settings: Settings, names: Sequence[str], limit: int, as_of: str | None
) -> Iterator[Answer]:
    """The answer tables of the warehouse and the questions, or those called `names`.

    Raises:
        click.UsageError: there is no table or question of that name.
        WarehouseError: there is no warehouse, or it cannot be read.
    """
    chosen = [asked_for(name) for name in names] or [*ANSWER_TABLES, *QUESTIONS]
    with _reading(settings, chosen, as_of) as (connection, known):
        for asked in chosen:
            question = question_of(asked, settings)
            title = f"{question} ({asked.name})" if question else str(asked.name)
            if not all(str(table.name) in known for table in reads_of(asked)):
                yield Answer(f"{title}: not published yet", [], [], 0)
            else:
                yield Answer(title, *_rows_of(connection, asked, limit))


@contextmanager
def _reading(
    settings: Settings, chosen: Sequence[sa.Table | Question], as_of: str | None
) -> Iterator[tuple[sa.Connection | duckdb.DuckDBPyConnection, Collection[str]]]:
    """What answers are read from, and the tables that it has: the warehouse, or once the lake."""
    warehouse = warehouse_at(settings.warehouse_url)
    if as_of is None:
        with warehouse.read() as published:
            yield published, sa.inspect(published).get_table_names()
        return
    lake, tables = Lake.of(settings), tables_of(chosen)
    handles = handles_of(lake, warehouse, read_moment(lake, as_of), tables)
    with lake.connect() as connection:
        view(lake, connection, tables, handles)
        yield connection, [name for name, handle in handles.items() if handle is not None]


def asked_for(name: str) -> sa.Table | Question:
    """The table or the question of a name.

    Raises:
        click.UsageError: there is none.
    """
    if name not in ASKED:
        raise click.UsageError(
            f"There is no table or question {name}. There are: {', '.join(ASKED)}."
        )
    return ASKED[name]


def _rows_of(
    connection: sa.Connection | duckdb.DuckDBPyConnection, asked: sa.Table | Question, limit: int
) -> tuple[list[str], list[tuple[Any, ...]], int]:
    """The columns and the first rows of an answer, and how many rows more there are."""
    if isinstance(asked, Question):
        names, rows = fetch(connection, asked.sql)
        shown = [tuple(map(_plain, row)) for row in rows[:limit]]
        return names, shown, len(rows) - len(shown)
    _, ((count,),) = fetch(connection, sa.select(sa.func.count()).select_from(asked))
    names, rows = fetch(connection, sa.select(asked).order_by(*order_of(asked)).limit(limit))
    return names, rows, count - len(rows)


def _plain(value: object) -> object:
    """The value, a sum of whole numbers as one: PostgreSQL's driver gives a `Decimal`."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value


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
@as_of_option
def sql(query: str, shape: str, limit: int, as_of: str | None) -> None:
    """Run QUERY, in DuckDB's SQL, over the tables of the lake."""
    if not query.strip():
        raise click.UsageError("There is no query.")
    settings = Settings.from_environment()
    with lake_query(settings, query, as_of=as_of) as (names, rows):
        if shape == "csv":
            terminal.write_csv(names, rows)
        elif shape == "json":
            terminal.write_json_lines(names, rows)
        else:
            shown = list(islice(rows, limit))
            terminal.print_table("", names, shown, sum(1 for _ in rows))


@contextmanager
def lake_query(
    settings: Settings,
    query: str,
    parameters: Sequence[object] = (),
    as_of: str | None = None,
) -> Iterator[tuple[list[str], Iterator[tuple[Any, ...]]]]:
    """The columns and rows of `query` over the lake's tables, each readable by its name.

    Raises:
        click.ClickException: the query is wrong; the message is DuckDB's.
    """
    lake = Lake.of(settings)
    with lake.connect() as connection:
        if as_of is None:
            for table in TABLES:
                lake.view_newest(connection, table)
        else:
            moment, warehouse = read_moment(lake, as_of), warehouse_at(settings.warehouse_url)
            view(lake, connection, TABLES, handles_of(lake, warehouse, moment, TABLES))
        try:
            connection.execute(query, parameters)
            yield [column[0] for column in connection.description or []], _rows(connection)
        except duckdb.Error as error:
            raise click.ClickException(str(error)) from None


def _rows(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while batch := connection.fetchmany(_ROWS_AT_ONCE):
        yield from batch
