"""Rows written straight into the lake, past every asset."""

from collections.abc import Mapping
from typing import Any

from warehouse_assets.catalogue import TABLES
from warehouse_assets.lake import append
from warehouse_assets.tables import duckdb_type
from warehouse_assets_tests.house import House

Row = Mapping[str, Any]


def add_rows(house: House, table: str, *rows: Row) -> None:
    """Append rows to a table of the lake; columns that a row does not name are null."""
    declaration = next(t for t in TABLES if t.name == table)
    stored = house.lake.table(declaration)
    with house.lake.connect() as connection:
        columns = ", ".join(f'"{c.name}" {duckdb_type(c)}' for c in declaration.columns)
        connection.execute(f"CREATE TEMP TABLE _rows ({columns})")
        for row in rows:
            names = ", ".join(f'"{name}"' for name in row)
            marks = ", ".join("?" for _ in row)
            connection.execute(f"INSERT INTO _rows ({names}) VALUES ({marks})", list(row.values()))
        append(connection, stored, stored.open(), "FROM _rows", {})
