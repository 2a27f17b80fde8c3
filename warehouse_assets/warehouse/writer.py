"""What writing rows into the warehouse's copy of a table means, whichever the database."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import duckdb
import sqlalchemy as sa

from warehouse_assets.errors import WarehouseError
from warehouse_assets.progress import Listener
from warehouse_assets.schema import aggregates

AFTER = "_after"
"""Relation of the changes: the table's columns and `_is_deleted`, each key once."""


@dataclass(frozen=True)
class Published:
    """What publishing a table did.

    Args:
        rows_written: rows inserted or updated.
        rows_deleted: rows removed; 0 where the table was written whole.
        is_whole: whether all its rows were written, not only what changed.
        rows_with_nul: rows whose text holds the character NUL, which PostgreSQL has not; U+FFFD,
            the replacement character, stands for it there.
    """

    rows_written: int = 0
    rows_deleted: int = 0
    is_whole: bool = False
    rows_with_nul: int = 0


class Writer(Protocol):
    """Writes tables within the transaction that it was made for."""

    def is_as_declared(self, declaration: sa.Table) -> bool:
        """Whether the table is there with its columns, key and indexes, whatever their names are.

        Raises:
            WarehouseError: something else has its name; see `taken`.
        """
        ...

    def write_whole(
        self, engine: duckdb.DuckDBPyConnection, declaration: sa.Table, progress: Listener
    ) -> Published:
        """Give the table the columns that are declared and the rows that `engine` has of it."""
        ...

    def write_changes(
        self, engine: duckdb.DuckDBPyConnection, declaration: sa.Table, progress: Listener
    ) -> Published:
        """Apply the changes that are in `AFTER` to the table."""
        ...


def taken(declaration: sa.Table, kind: str) -> WarehouseError:
    """The error of a table whose name something else has in the database, of the given kind."""
    return WarehouseError(
        f"The table {declaration.name} cannot be published: the warehouse has a {kind} of that "
        "name, which was made by hand. Rename or drop it and run again. Nothing was changed."
    )


def free_name(name: str, is_taken: Callable[[str], object]) -> str:
    """The name, or one made of it that nothing has: a table renamed by hand keeps its own."""
    free, number = name, 0
    while is_taken(free):
        number += 1
        free = f"{name}{number}"
    return free


def indexed_columns(declaration: sa.Table) -> list[tuple[str, ...]]:
    """The columns of each index that is declared, the key's aside."""
    return [tuple(column.name for column in index.columns) for index in declaration.indexes]


def combined(
    declaration: sa.Table, name: str, new: sa.ColumnElement[object]
) -> sa.ColumnElement[object]:
    """What the column `name` of a row that is there becomes when `new` comes; nulls do not count.

    Of a table that is not aggregated, `new` itself.
    """
    old: sa.ColumnElement[object] = declaration.c[name]
    function = aggregates(declaration).get(name)
    if function is None:
        return new
    if function == "sum":
        return sa.func.coalesce(old + new, old, new)
    is_better = (old < new) if function == "max" else (old > new)
    return sa.case((old.is_(None) | is_better, new), else_=old)
