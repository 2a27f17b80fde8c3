"""What people see of a published table, read without the package's own code."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from warehouse_assets.warehouse import Published, Warehouse, publish
from warehouse_assets_tests.lake.tables import Stored


def publish_to(warehouse: Warehouse, stored: Stored) -> Published:
    """Publish a table of the lake."""
    return publish(stored.lake, warehouse, stored.table)


def query(warehouse: Warehouse, sql: str) -> list[tuple[Any, ...]]:
    """The rows of a query, by a connection of Python's own."""
    with closing(sqlite3.connect(warehouse.path)) as connection:
        return connection.execute(sql).fetchall()


def contents(warehouse: Warehouse) -> dict[str, list[tuple[Any, ...]]]:
    """Every table of the database but the notes of versions: its rows; indexes and DDL too."""
    names = [
        name
        for (name,) in query(warehouse, "SELECT name FROM sqlite_master WHERE type = 'table'")
        if name != "_published"
    ]
    tables = {name: sorted(query(warehouse, f'SELECT * FROM "{name}"'), key=repr) for name in names}
    schema = query(warehouse, "SELECT type, name, tbl_name, sql FROM sqlite_master")
    return {**tables, "schema": sorted(schema, key=repr)}


def in_a_new_database(stored: Stored, folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """What the database holds after one publishing of the table into a new one."""
    fresh = Warehouse(f"sqlite:///{folder}/fresh.db")
    fresh.path.unlink(missing_ok=True)
    assert publish_to(fresh, stored).is_whole
    return contents(fresh)
