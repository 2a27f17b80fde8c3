"""Rows of the lake on their way into the SQL database."""

from collections.abc import Iterator, Sequence

import duckdb
import sqlalchemy as sa

from warehouse_assets.schema import column_names

_ROWS_AT_ONCE = 50_000


def batches(engine: duckdb.DuckDBPyConnection, query: str) -> Iterator[list[tuple[object, ...]]]:
    """The rows of `query`, tens of thousands at a time."""
    result = engine.execute(query)
    while batch := result.fetchmany(_ROWS_AT_ONCE):
        yield batch


def stored_columns(declaration: sa.Table, names: Sequence[str] | None = None) -> str:
    """Columns as SQLite stores them: dates and times as text that sorts in their order."""
    expressions = []
    for column in (declaration.c[name] for name in names or column_names(declaration)):
        name = f'"{column.name}"'
        if isinstance(column.type, sa.DateTime):
            name = f"strftime({name}, '%Y-%m-%d %H:%M:%S.%f')"
        elif isinstance(column.type, sa.Date):
            name = f"strftime({name}, '%Y-%m-%d')"
        expressions.append(name)
    return ", ".join(expressions)
