"""How the texts of a CSV record become the values of a table's row, in DuckDB's SQL.

A column of the table names its CSV column in `info={"field": …}`. Text is taken as it is, a time
as a time; two columns of type Double that name the same CSV column are the longitude and the
latitude of a point in WKT, `POINT (lon lat)`. All of them are required. Blanks around a value are
ignored.

The usual form of each is recognised first, by what costs little more than the cast alone; only
what has another form is looked at with regular expressions. What can be seen of a value itself,
such as whether a point is on Earth or a text has blanks around it, is not looked at in each row:
Parquet answers that from the statistics and dictionaries of the file written, at next to no cost.
"""

from typing import Any

from sqlalchemy import Column, DateTime, Double, Table, Text

from warehouse_assets.times import BLANK, TIMES, is_blank, time_expression, trimmed

_MOST_DEGREES = (180, 90)  # of a longitude and of a latitude, either way
_NUMBER = r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
_POINT = rf"{BLANK}*(?i:point){BLANK}*\({BLANK}*{_NUMBER}{BLANK}+{_NUMBER}{BLANK}*\){BLANK}*"
_MOST_CHARACTERS_SHOWN = 60


def csv_fields(table: Table) -> dict[str, list[Column[Any]]]:
    """The CSV columns that `table` wants, in its order, with the columns that each gives."""
    fields: dict[str, list[Column[Any]]] = {}
    for column in table.columns:
        if "field" in column.info:
            fields.setdefault(column.info["field"], []).append(column)
    for name, columns in fields.items():
        if not _is_point(columns) and (
            len(columns) > 1 or not isinstance(columns[0].type, Text | DateTime)
        ):
            raise TypeError(f"{table.name}: CSV columns like {name} are not read yet")
    return fields


def text_name(index: int) -> str:
    """The name of the text of the `index`-th field in the SQL of this module."""
    return f"_text_{index}"


def value_query(table: Table, source: str) -> str:
    """The rows of `source`, which has the texts, with the values too; null for what is no value.

    Not all values can be used, of which `unusable_expressions` tells, and texts may have blanks
    around them, of which `untidy_expressions` does.
    """
    casts, checks, values = [], [], []
    for index, columns in enumerate(csv_fields(table).values()):
        text = text_name(index)
        if _is_point(columns):
            numbers, is_usual = f"_numbers_{index}", f"_is_usual_{index}"
            casts.append(
                # Between 'POINT (' and ')'; strlen counts bytes, but only ASCII is cast. By
                # graphemes, of which DuckDB has a faster way for ASCII than by characters.
                f"TRY_CAST(string_split(substring_grapheme({text}, 8, strlen({text}) - 8), ' ') "
                f"AS DOUBLE[]) AS {numbers}"
            )
            checks.append(
                f"len({numbers}) = 2 AND {text} LIKE 'POINT (%)' "
                # DuckDB takes 1_000 for a number.
                f"AND NOT contains({text}, '_') AS {is_usual}"
            )
            values += [
                f"CASE WHEN {is_usual} THEN {numbers}[{place}] "
                f'ELSE {_number(text, place)} END AS "{column.name}"'
                for place, column in enumerate(columns, 1)
            ]
        elif isinstance(columns[0].type, DateTime):
            casts.append(f"TRY_CAST({text} AS TIMESTAMP) AS _time_{index}")
            values.append(
                # A text that DuckDB would write the same way is one it has not guessed at.
                f"CASE WHEN CAST(_time_{index} AS VARCHAR) = {text} "
                f'THEN _time_{index} ELSE {time_expression(text)} END AS "{columns[0].name}"'
            )
        else:
            values.append(f'{text} AS "{columns[0].name}"')
    return (
        f"SELECT *, {', '.join(values)} "
        f"FROM (SELECT *, {', '.join(checks) or 'NULL'} "
        f"FROM (SELECT *, {', '.join(casts) or 'NULL'} FROM ({source})))"
    )


def unusable_expressions(table: Table) -> list[str]:
    """SQL for each column that is true where its value is missing or cannot be used."""
    return [
        _unusable(column, place)
        for columns in csv_fields(table).values()
        for place, column in enumerate(columns)
    ]


def untidy_expressions(table: Table) -> dict[str, str]:
    """Of each column of text, SQL that is true where it has blanks around it."""
    return {
        column.name: f'"{column.name}" <> {tidy_expression(column.name)}'
        for columns in csv_fields(table).values()
        for column in columns
        if isinstance(column.type, Text)
    }


def tidy_expression(name: str) -> str:
    """SQL for the text of a column without the blanks around it."""
    return trimmed(f'"{name}"')


def reason_expression(table: Table) -> str:
    """SQL for why a record cannot be used, in words, from texts and values; '' if it can."""
    reasons = []
    most_lon, most_lat = _MOST_DEGREES
    for index, (field, columns) in enumerate(csv_fields(table).items()):
        text = text_name(index)
        shown = (
            f"CASE WHEN length({text}) > {_MOST_CHARACTERS_SHOWN} "
            f"THEN left({text}, {_MOST_CHARACTERS_SHOWN}) || '…' ELSE {text} END"
        )
        reasons.append(f"CASE WHEN {is_blank(text)} THEN '{field} is missing' END")
        unusable = " OR ".join(_unusable(column, place) for place, column in enumerate(columns))
        is_unusable = f"NOT {is_blank(text)} AND ({unusable})"
        if _is_point(columns):
            reasons.append(
                f"CASE WHEN {is_unusable} AND regexp_full_match({text}, '{_POINT}') "
                f"THEN '{field} is not a longitude (-{most_lon} to {most_lon}) and a latitude "
                f"(-{most_lat} to {most_lat}): ' || {shown} "
                f"WHEN {is_unusable} THEN '{field} is not POINT (longitude latitude): ' || {shown} "
                "END"
            )
        elif isinstance(columns[0].type, DateTime):
            reasons.append(
                f"CASE WHEN {is_unusable} THEN '{field} is not a date and time: ' || {shown} END"
            )
    return f"concat_ws('; ', {', '.join(reasons)})"


def _is_point(columns: list[Column[Any]]) -> bool:
    return [isinstance(column.type, Double) for column in columns] == [True, True]


def _unusable(column: Column[Any], place: int) -> str:
    """As of `unusable_expressions`; `place` is that of the number in its point, from 0.

    Of comparisons with constants, and of what is asked of one column alone, DuckDB leaves out
    what the statistics or the dictionary of a part of a Parquet file have answered.
    """
    name = f'"{column.name}"'
    if isinstance(column.type, Double):
        most = _MOST_DEGREES[place]
        problem = f"{name} NOT BETWEEN -{most} AND {most}"
    elif isinstance(column.type, DateTime):
        problem = f"{name} NOT BETWEEN {TIMES}"
    else:
        # The beginning of a line may have stray bytes, with which it must not be taken.
        problem = (
            f"contains({name}, chr(0)) OR starts_with(ltrim({name}), chr(65279)) "
            f"OR {is_blank(name)}"
        )
    return f"({name} IS NULL OR {problem})"


def _number(text: str, group: int) -> str:
    return f"TRY_CAST(regexp_extract({text}, '^{_POINT}$', {group}) AS DOUBLE)"
