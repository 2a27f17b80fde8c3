"""What DuckDB writes as CSV and NDJSON beside what Python writes of the same rows."""

from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Boolean, Column, Date, DateTime, Double, Text

from warehouse_assets.api.formats import Format, text_of
from warehouse_assets.api.text_in_sql import write_text
from warehouse_assets.tables import duckdb_type

_COLUMNS: list[Column[Any]] = [
    Column("id", BigInteger),
    Column("is_good", Boolean),
    Column("share", Double),
    Column("day", Date),
    Column("time", DateTime),
    Column("text", Text),
]
_TEXTS = st.text() | st.text('",\r\n\\\0\x01\x1f/ é', max_size=5)
_KINDS: list[st.SearchStrategy[Any]] = [
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.booleans(),
    st.floats(),
    st.dates(),
    st.datetimes() | st.datetimes().map(lambda found: found.replace(microsecond=0)),
    _TEXTS,
]
_ROWS = st.lists(st.tuples(*(st.none() | kind for kind in _KINDS)), max_size=40)
_CONTROLS = [
    (n, True, 9.99 * 10.0 ** (n - 10), None, None, f"{chr(n)}\\u001F{chr(n)}\x7f")
    for n in range(0x20)
]


def _is_equal(
    rows: list[tuple[Any, ...]], columns: list[Column[Any]], is_csv: bool, folder: Path
) -> None:
    format_: Format = "csv" if is_csv else "ndjson"
    kinds = ", ".join(f'"{column.name}" {duckdb_type(column)}' for column in columns)
    with duckdb.connect() as engine:
        engine.execute(f"CREATE TABLE stored ({kinds})")
        if rows:
            engine.executemany(f"INSERT INTO stored VALUES ({', '.join('?' * len(columns))})", rows)
        write_text(engine.table("stored"), columns, is_csv, folder / "file", is_nul_shown=False)
    names = [str(column.name) for column in columns]
    assert (folder / "file").read_bytes() == b"".join(text_of(format_, names, rows))


@pytest.mark.parametrize("is_csv", [True, False])
@settings(deadline=None, max_examples=15)
@given(rows=_ROWS)
@example(rows=_CONTROLS)
def test_duckdb_writes_what_python_writes(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[Any, ...]], is_csv: bool
) -> None:
    _is_equal(rows, _COLUMNS, is_csv, tmp_path_factory.getbasetemp())


@pytest.mark.parametrize("is_csv", [True, False])
def test_a_row_of_one_column_is_a_line_also_where_that_is_empty(
    tmp_path: Path, is_csv: bool
) -> None:
    _is_equal([("",), (None,), ("a,b",), ("NULL",), (" x ",)], _COLUMNS[5:], is_csv, tmp_path)
