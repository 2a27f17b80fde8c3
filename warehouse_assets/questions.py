"""What is declared beside a table: questions and views over it, its chart, and its causes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Table

Chart = Mapping[str, Any]
"""How an answer is drawn: a specification of Vega-Lite without data, see `charts.py`."""


@dataclass(frozen=True, eq=False)
class View:
    """A SELECT over the warehouse, in SQL of SQLite and PostgreSQL, that people find as a view.

    Its tables know it, so that it is there when they are published.

    Args:
        text: what it tells.
        path: the file of the SELECT; its stem is the view's name.
        reads: the tables that it names.
    """

    text: str
    path: Path
    reads: Sequence[Table]

    def __post_init__(self) -> None:
        for table in self.reads:
            table.info.setdefault("views", []).append(self)

    @property
    def name(self) -> str:
        """The name by which people ask for it."""
        return self.path.stem

    @property
    def sql(self) -> str:
        """The SELECT."""
        return self.path.read_text(encoding="utf-8")


@dataclass(frozen=True, eq=False)
class Question(View):
    """A question, which is the view's `text`; the view is the answer.

    Args:
        chart: how it is drawn, if it is; a table says so in its `info["chart"]`.
    """

    chart: Chart | None = None


@dataclass(frozen=True)
class Cause:
    """Which rows of a table that a SELECT reads a row of its result follows from.

    What follows from a `GROUP BY` alone need not be said; else the table names its causes in its
    `info["causes"]`, or each row is taken to follow from all rows that are read.

    Args:
        read: the name of the table that is read.
        condition: SQL over `row`, one of it, and `wanted`, the row of the result; the tables that
            the SELECT reads can be named in it.
        decides: the columns of the result that follow from these rows alone, beside whether it is
            there at all; empty: any column may.
        context: what of the result depends on these rows only together with all others, in words;
            they are told apart from those that the row is made of.
    """

    read: str
    condition: str
    decides: Sequence[str] = ()
    context: str = ""
