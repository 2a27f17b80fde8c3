"""The chart of an answer with its rows, as the warehouse or the lake has them."""

from collections.abc import Sequence
from typing import Any

import pydantic_core
import sqlalchemy as sa

from warehouse_assets import charts
from warehouse_assets.catalogue import TABLES, order_of, question_of, tables_of
from warehouse_assets.errors import UsageError
from warehouse_assets.history.as_of import Connection, fetch
from warehouse_assets.questions import Chart, Question
from warehouse_assets.settings import Settings

Asked = sa.Table | Question

_BY_NAME = {str(table.name): table for table in TABLES}


def chart_of(asked: Asked) -> Chart:
    """The declared chart of an answer.

    Raises:
        UsageError: it has none.
    """
    chart: Chart | None = asked.chart if isinstance(asked, Question) else asked.info.get("chart")
    if chart is None:
        raise UsageError(f"No chart is declared for {asked.name}; ask for its rows.")
    return chart


def title_of(asked: Asked, settings: Settings) -> str:
    """What a chart of an answer is headed by: the question."""
    return question_of(asked, settings) or str(asked.name)


def tables_drawn(asked: Asked) -> list[sa.Table]:
    """The tables of which a chart has rows: those of the answer, and those that it names."""
    return tables_of([asked, *(_BY_NAME[name] for name in charts.tables_named(chart_of(asked)))])


def specified(
    connection: Connection,
    asked: Asked,
    settings: Settings,
    style: charts.Style = charts.PLAIN,
    *,
    rows: sa.Select[Any] | None = None,
    limit: int | None = None,
    notes: Sequence[str] = (),
) -> bytes:
    """The specification, as JSON, of the chart of an answer with the rows in it.

    Args:
        rows: the statement of those wanted of a table; else it is all, in their order.
        limit: so many of them are shown.
        notes: what is said below the title.

    Raises:
        UsageError: the answer has no chart, or too many rows for one.
    """
    chart, told = chart_of(asked), list(notes)
    if isinstance(asked, Question):
        names, found = fetch(connection, asked.sql)
        total = len(found)
    else:
        if rows is None:
            rows = sa.select(asked).order_by(*order_of(asked))
        most = limit or charts.first_rows(chart)
        names, found, total = _first(connection, rows, most)
    if len(found) < total:
        told.append(f"The first {len(found):,} of {total:,} rows.")
    elif not found:
        told.append("There are no rows.")

    def data(name: str | None) -> dict[str, Any]:
        if name is not None:
            return charts.values_of(*_first(connection, sa.select(_BY_NAME[name]))[:2])
        return charts.values_of(names, found)

    words = " ".join(told)
    spec = charts.specification(chart, title_of(asked, settings), data, style, words)
    return pydantic_core.to_json(spec)


def _first(
    connection: Connection, rows: sa.Select[Any], most: int | None = None
) -> tuple[list[str], list[tuple[Any, ...]], int]:
    """The columns and the first rows of a statement, and how many there are.

    Raises:
        UsageError: all are wanted, and that is too many for a chart.
    """
    wanted = most or charts.MOST_ROWS
    names, found = fetch(connection, rows.limit(wanted + 1))
    total = len(found)
    if total > wanted:
        counted = sa.select(sa.func.count()).select_from(rows.order_by(None).subquery())
        ((total,),) = fetch(connection, counted)[1]
        if most is None:
            raise UsageError(
                f"A chart shows at most {wanted:,} rows, and these are {total:,}: ask for fewer, "
                "by conditions on the columns."
            )
    return names, found[:wanted], total
