"""What a lake holds, for tests without a whole warehouse."""

from pathlib import Path
from typing import Any

from sqlalchemy import Table

from warehouse_assets.lake import Lake
from warehouse_assets.tables import REJECTED_RECORDS

WHY = "concat_ws(': ', reason, value) AS reason"
"""SQL for why a record was rejected, and what was seen in it."""


def make_lake(folder: Path) -> Lake:
    """An empty lake below `folder`."""
    return Lake(folder / "lake", folder / "tmp", 10**9)


def stored(lake: Lake, table: Table, columns: str = "*") -> list[tuple[Any, ...]]:
    """The rows of a table, sorted."""
    with lake.connect() as connection:
        lake.view_newest(connection, table)
        return sorted(
            connection.execute(f"SELECT {columns} FROM {table.name}").fetchall(), key=repr
        )


def rejected(lake: Lake, columns: str = "position, reason, raw") -> list[tuple[Any, ...]]:
    """The rejected records, sorted; `reason` is with the value that was seen."""
    return stored(lake, REJECTED_RECORDS, columns.replace("reason", WHY))


def version(lake: Lake, table: Table) -> int:
    """The version of a table; -1 if it does not exist."""
    found = lake.table(table)
    return int(found.open().version()) if found.exists() else -1
