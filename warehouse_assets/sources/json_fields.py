"""How the text of a JSON field becomes a value of a column, in DuckDB's SQL.

A column names its field in `info={"field": …}`; one declared with `nullable=False` must be
there. A field that is absent, null or (unless it is text) empty is missing. Text that is not a
value of the column's type makes the record unusable: nothing is rounded or guessed. Blanks around
a value are ignored, but for text that need not be there, which is kept as it came.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Column, DateTime, Integer, Table, Text

from warehouse_assets.schema import duckdb_type
from warehouse_assets.times import BLANK, is_blank, time_expression, trimmed

# Text longer than this is cut in the reasons that people read.
_MOST_CHARACTERS_SHOWN = 60
_UNSEEN = ((0, "a NUL byte"), (0xFEFF, "a byte-order mark"))


def field_columns(table: Table) -> list[Column[Any]]:
    """The columns of `table` that are read from a field, in their order."""
    return [column for column in table.columns if "field" in column.info]


def text_name(index: int) -> str:
    """The name of the text of the `index`-th field column in the SQL of this module."""
    return f"_text_{index}"


def value_columns(columns: Sequence[Column[Any]]) -> str:
    """SQL for the value of each column, under its name, from its text; null where it has none."""
    return ", ".join(
        f'CAST({_value(column, text_name(index))} AS {duckdb_type(column)}) AS "{column.name}"'
        for index, column in enumerate(columns)
    )


def unusable_expression(columns: Sequence[Column[Any]]) -> str:
    """SQL that is true for a record that cannot be used, from texts and values."""
    return " OR ".join(
        f"{column.name} IS NULL"
        if not column.nullable
        else f"CASE WHEN {column.name} IS NULL THEN NOT {is_blank(text_name(index))} ELSE false END"
        for index, column in enumerate(columns)
        if not column.nullable or not isinstance(column.type, Text)
    )


def reason_expression(columns: Sequence[Column[Any]]) -> str:
    """SQL for why a record cannot be used, from texts and values; '' if it can.

    Each reason names a kind of fault; what was seen is told by `seen_expression`.
    """
    cases = (f"CASE WHEN {when} THEN '{reason}' END" for when, reason, _ in _faults(columns))
    return f"concat_ws('; ', {', '.join(cases)})"


def seen_expression(columns: Sequence[Column[Any]]) -> str:
    """SQL for the values that are not what they should be, in the order of the reasons; or null."""
    cases = [f"CASE WHEN {when} THEN {seen} END" for when, _, seen in _faults(columns) if seen]
    return f"nullif(concat_ws('; ', {', '.join(cases)}), '')" if cases else "NULL"


def shown_expression(text: str) -> str:
    """SQL for a text as people are shown it: of a long one the beginning."""
    return (
        f"CASE WHEN length({text}) > {_MOST_CHARACTERS_SHOWN} "
        f"THEN left({text}, {_MOST_CHARACTERS_SHOWN}) || '…' ELSE {text} END"
    )


def _faults(columns: Sequence[Column[Any]]) -> Iterator[tuple[str, str, str | None]]:
    """What may be wrong: SQL that tells whether it is, the reason, and SQL for what was seen."""
    for index, column in enumerate(columns):
        text, field = text_name(index), column.info["field"]
        if not column.nullable:
            yield is_blank(text), f"{field} is missing", None
        if not isinstance(column.type, Text):
            yield (
                f"NOT {is_blank(text)} AND {column.name} IS NULL",
                f"{field} is not {_expected(column)}",
                shown_expression(text),
            )


def not_json_expression(text: str) -> str:
    """SQL for why a text that is not JSON is none: what cannot be seen in it is named."""
    cases = " ".join(
        f"WHEN contains({text}, chr({code})) THEN 'not valid JSON: it has {name}'"
        for code, name in _UNSEEN
    )
    return f"CASE {cases} ELSE 'not valid JSON' END"


def unseen_expression(text: str) -> str:
    """SQL for where in a text that is not JSON is what cannot be seen; null if nothing is."""
    cases = " ".join(
        f"WHEN contains({text}, chr({code})) "
        f"THEN 'byte ' || (strlen(split_part({text}, chr({code}), 1)) + 1)"
        for code, _ in _UNSEEN
    )
    return f"CASE {cases} END"


def _expected(column: Column[Any]) -> str:
    return "a whole number" if isinstance(column.type, Integer) else "a date and time"


def _value(column: Column[Any], text: str) -> str:
    if isinstance(column.type, Text):
        return text if column.nullable else f"nullif({trimmed(text)}, '')"
    if isinstance(column.type, Integer):
        # DuckDB rounds '1.5' and reads '0x10': only digits are taken, and a fraction of zeros,
        # which programs write that keep whole numbers with gaps as floating point. Beyond 15
        # digits floating point has been rounded.
        return (
            f"CASE WHEN CAST(TRY_CAST({text} AS BIGINT) AS VARCHAR) = {text} "
            f"THEN TRY_CAST({text} AS BIGINT) "
            f"WHEN regexp_full_match({text}, '{BLANK}*[+-]?([0-9]+|[0-9]{{1,15}}\\.0+){BLANK}*') "
            f"THEN TRY_CAST({text} AS BIGINT) END"
        )
    if isinstance(column.type, DateTime):
        return time_expression(text)
    raise TypeError(f"{column.name}: JSON fields of type {column.type!r} are not read yet")
