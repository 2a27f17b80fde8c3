"""How answers of tables and questions are described: what they answer, their columns, examples."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from pydantic import BaseModel, Field

from warehouse_assets.catalogue import Question

# What a person calls the types of columns.
_KINDS: Sequence[tuple[type[Any], str]] = (
    (sa.Integer, "whole number"),
    (sa.Boolean, "boolean"),
    (sa.Double, "number"),
    (sa.DateTime, "time"),
    (sa.Date, "day"),
    (sa.Text, "text"),
)


class ColumnDescription(BaseModel):
    """A column of an answer."""

    name: str
    type: str | None = Field(description="text, day, time, number …; null where SQL decides.")
    description: str | None


class AnswerDescription(BaseModel):
    """An answer that can be asked for."""

    name: str = Field(examples=["batch_completions"])
    question: str = Field(description="What it answers.")
    description: str | None = Field(description="What its rows are.")
    address: str = Field(description="Where it is.")
    columns: list[ColumnDescription] = Field(
        description="Its columns; none where they follow from the SQL of a question."
    )


class Answers(BaseModel):
    """The answers that can be asked for."""

    answers: list[AnswerDescription]


class Rows(BaseModel):
    """Rows of an answer."""

    name: str
    question: str
    columns: list[ColumnDescription]
    rows: list[dict[str, Any]]
    next: str | None = Field(description="`after` of the next page; null on the last one.")


ROWS_EXAMPLE = {
    "name": "outlier_weeks",
    "question": "Which weeks had unusually many or few votes?",
    "columns": [{"name": "year", "type": "whole number", "description": "Year of the week."}],
    "rows": [{"year": 2022, "week_number": 0, "votes": 1}],
    "next": None,
}
ROWS_AS_CSV = "year,week_number,votes\r\n2022,0,1\r\n"
LIST_AS_CSV = "name,question,address\r\noutlier_weeks,Which weeks …?,/answers/outlier_weeks\r\n"


def description_of(asked: sa.Table | Question) -> AnswerDescription:
    """What there is to know about an answer before it is asked for."""
    if isinstance(asked, Question):
        return AnswerDescription(
            name=asked.name,
            question=asked.text,
            description=None,
            address=f"/answers/{quote(asked.name)}",
            columns=[],
        )
    name = str(asked.name)
    return AnswerDescription(
        name=name,
        question=asked.info["answers"],
        description=asked.comment,
        address=f"/answers/{quote(name)}",
        columns=columns_of(asked),
    )


def columns_of(table: sa.Table) -> list[ColumnDescription]:
    """The columns of a table, described."""
    return [
        ColumnDescription(
            name=column.name,
            type=next((word for kind, word in _KINDS if isinstance(column.type, kind)), None),
            description=column.comment,
        )
        for column in table.columns
    ]
