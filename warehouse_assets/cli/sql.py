"""The command `sql`: a query over the lake."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import click
import duckdb

from warehouse_assets.catalogue import TABLES
from warehouse_assets.cli import terminal
from warehouse_assets.cli.terminal import examples
from warehouse_assets.defs.trips.answers import create_functions
from warehouse_assets.interruption import InterruptibleCommand
from warehouse_assets.lake import Lake
from warehouse_assets.settings import Settings

_ROWS_AT_ONCE = 10_000


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
def command(query: str, shape: str, limit: int) -> None:
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
