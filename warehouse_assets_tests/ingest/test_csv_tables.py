"""Tables of any shape are read from CSV: columns of every type, optional ones, keyed or not."""

import glob
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sqlalchemy import BigInteger, Boolean, Column, Date, DateTime, Double, MetaData, Table, Text

from warehouse_assets.ingest.csv import csv_files
from warehouse_assets.ingest.file_kinds import Unit
from warehouse_assets.ingest.inbox import InboxFile
from warehouse_assets.ingest.staging import REJECTED, STAGED
from warehouse_assets.lake import LakeTable
from warehouse_assets_tests.ingest.stored import WHY


def orders(*, has_key: bool) -> Table:
    """A table with a key, whose files are merged, or without one."""
    return Table(
        "orders",
        MetaData(),
        Column("id", BigInteger, nullable=False, primary_key=has_key, info={"field": "id"}),
        Column("value", Double, info={"field": "amount", "also_called": ("sum",)}),
        Column("is_paid", Boolean, info={"field": "paid"}),
        Column("position", Date, info={"field": "due"}),
        Column("ordered_at", DateTime, nullable=False, info={"field": "ordered_at"}),
        Column("raw", Text, info={"field": "note"}),
        Column("arrival", BigInteger, nullable=False),
    )


def load(
    folder: Path, table: Table, *contents: str
) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Rows and rejected records of files of these contents, as they are staged or written."""
    kind, units = csv_files(table), []
    lake, spool = folder / "lake", folder / "spool"
    lake.mkdir()
    spool.mkdir()
    for arrival, content in enumerate(contents, start=1):
        path = folder / f"orders-{arrival}.csv"
        path.write_text(content, newline="")
        units.append(Unit(InboxFile.look_at(path), arrival, str(arrival)))
    with duckdb.connect() as connection:
        written = kind.stage(connection, LakeTable(table, lake), units, spool)
        assert len(written) == len(list(lake.iterdir()))
        relation = STAGED
        if not kind.is_merged:
            relation = f"read_parquet('{glob.escape(str(lake))}/*.parquet')"
        names = ", ".join(column.name for column in table.columns)
        rows = connection.execute(f"SELECT {names} FROM {relation} ORDER BY arrival, id").fetchall()
        query = f"SELECT arrival, position, {WHY}, raw FROM {REJECTED} ORDER BY 1, 2"
        return rows, connection.execute(query).fetchall()


AT = datetime.fromisoformat("2026-01-02T03:04:05")
WHOLE = (
    "id,sum,PAID,due,ordered_at,note\n"
    "1,19.90,true,2026-02-03,2026-01-02 03:04:05,first\n"
    "2,,,,2026-01-02T03:04:05Z,\n"
)
ROWS = [(1, 19.9, True, date(2026, 2, 3), AT, "first"), (2, None, None, None, AT, None)]
SHORT = "ordered_at;id\n2026-01-02 03:04:05;3\n"
BAD = "4,much,maybe,someday,then,\n5\n"
REASONS = (
    "amount is not a number; paid is not true or false; due is not a date; "
    "ordered_at is not a date and time: much; maybe; someday; then"
)


@pytest.mark.parametrize("has_key", [True, False])
def test_columns_of_every_type_are_read_and_optional_ones_may_lack(
    tmp_path: Path, has_key: bool
) -> None:
    rows, rejected = load(tmp_path, orders(has_key=has_key), WHOLE, SHORT)
    short = (3, None, None, None, AT, None)
    assert rows == [(*ROWS[0], 1), (*ROWS[1], 1), (*short, 2)]
    assert rejected == []


@pytest.mark.parametrize("has_key", [True, False])
def test_a_bad_value_costs_its_record_in_optional_columns_too(
    tmp_path: Path, has_key: bool
) -> None:
    rows, rejected = load(tmp_path, orders(has_key=has_key), SHORT, WHOLE + BAD)
    assert rows == [(3, None, None, None, AT, None, 1), (*ROWS[0], 2), (*ROWS[1], 2)]
    assert rejected == [
        (2, 4, REASONS, "4,much,maybe,someday,then,"),
        (2, 5, "not as many fields as the header has: 1 where the header has 6", "5"),
    ]


def test_a_file_is_recognised_by_its_required_columns_or_its_name(tmp_path: Path) -> None:
    recognises = csv_files(orders(has_key=True)).recognises
    for name, content, is_one in [
        ("Orders-1.csv", "", True),
        ("january.csv", "id,ordered_at\n", True),
        ("january.csv", "sep=^\nID^note^Ordered_At\n", True),
        ("january.csv", "id,ordered_at\r1,2026-01-02\r", True),
        ("january.csv", "id,sum,note\n", False),
        ("january.txt", "id,ordered_at\n", False),
    ]:
        path = tmp_path / name
        path.write_text(content, newline="")
        assert recognises(InboxFile.look_at(path)) is is_one, (name, content)
