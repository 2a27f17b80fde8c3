"""Rows as CSV or NDJSON, written by DuckDB: byte for byte what `formats.text_of` makes of them."""

from collections.abc import Sequence
from datetime import date, datetime
from functools import reduce
from pathlib import Path
from typing import Any

import duckdb
import pydantic_core
import sqlalchemy as sa

# In DuckDB's JSON the code of these has letters in upper case, as in \u001F.
_CODED_WITH_LETTERS = "[\x0b\x0e\x0f\x1a-\x1f]"
_ESCAPED_IN_JSON = ["\\", '"', *map(chr, range(0x20))]


def write_text(
    rows: duckdb.DuckDBPyRelation,
    columns: Sequence[sa.Column[Any]],
    is_csv: bool,
    path: Path,
    is_nul_shown: bool,
) -> None:
    """Write rows into a file while they are read.

    Args:
        columns: those of the rows, in their order.
        is_csv: else it is NDJSON.
        is_nul_shown: whether U+FFFD stands for NUL, as in what is published to PostgreSQL.
    """
    names = [str(column.name) for column in columns]
    values = [_value(column, is_csv, is_nul_shown) for column in columns]
    if is_csv:
        line = "concat({}, chr(13))".format(", ',', ".join(values))
        if len(columns) == 1:  # a line that is empty would be no row
            line = f"coalesce(nullif({line}, chr(13)), '\"\"' || chr(13))"
    else:
        keys = [pydantic_core.to_json(name).decode().replace("'", "''") for name in names]
        fields = [
            f"'{key}:', coalesce({value}, 'null')" for key, value in zip(keys, values, strict=True)
        ]
        line = "concat('{{', {}, '}}')".format(", ',', ".join(fields))
    # A line is whole: DuckDB has nothing to quote in it, and one column has no delimiters.
    heading = ",".join(names)
    rows.select(f'{line} AS "{heading}\r"').write_csv(
        str(path), sep="\x01", quotechar="", escapechar="", header=is_csv
    )


def _value(column: sa.Column[Any], is_csv: bool, is_nul_shown: bool) -> str:
    """SQL for a value of a column as text; null where it is null, or no number that JSON has."""
    name, kind = f'"{column.name}"', column.type.python_type
    text = f"CAST({name} AS VARCHAR)"
    if kind is str:
        shown = f"replace({name}, chr(0), '\ufffd')" if is_nul_shown else name
        return _in_csv(shown) if is_csv else _in_json(shown)
    if kind is float:
        if not is_csv:  # 0.00001, 1e-6 and 1e+16 in the JSON that Python writes
            text = (
                f"CASE WHEN abs({name}) >= 1e-5 AND abs({name}) < 1e-4 "
                f"THEN CAST(to_json({name}) AS VARCHAR) ELSE replace({text}, 'e-0', 'e-') END"
            )
        return f"CASE WHEN isfinite({name}) THEN {text} END"
    if kind is bool and is_csv:
        return f"CASE WHEN {name} THEN 'True' WHEN NOT {name} THEN 'False' END"
    if kind is datetime:
        text = (
            f"CASE WHEN microsecond({name}) % 1000000 = 0 THEN replace({text}, ' ', 'T') "
            f"ELSE strftime({name}, '%Y-%m-%dT%H:%M:%S.%f') END"
        )
    return f"'\"' || {text} || '\"'" if kind in {date, datetime} and not is_csv else text


def _in_csv(name: str) -> str:
    quoted = f"""'"' || replace({name}, '"', '""') || '"'"""
    return f"CASE WHEN regexp_matches({name}, '[\",\r\n]') THEN {quoted} ELSE {name} END"


def _in_json(name: str) -> str:
    def escape(sql: str, character: str) -> str:
        escaped = pydantic_core.to_json(character).decode()[1:-1]
        return f"replace({sql}, chr({ord(character)}), '{escaped}')"

    escaped = reduce(escape, _ESCAPED_IN_JSON, name)
    return (
        f"CASE WHEN regexp_matches({name}, '{_CODED_WITH_LETTERS}') "
        f"THEN '\"' || {escaped} || '\"' ELSE CAST(to_json({name}) AS VARCHAR) END"
    )
