"""Writing tables of PostgreSQL, so that readers neither wait nor see anything between.

A table that is there keeps its place: its rows are deleted and come anew in the same transaction.
Then readers go on seeing the old rows until it ends, and what others have made of the table, such
as grants and views, stays. (TRUNCATE, or another table in its place, would hold readers up, and
show an older transaction an empty table.) Only a table of other columns is replaced.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.exc import DBAPIError

from warehouse_assets.errors import WarehouseError
from warehouse_assets.progress import Listener, Progress
from warehouse_assets.schema import column_names, identifiers, key_names, value_names
from warehouse_assets.warehouse.postgresql_copy import NUL_REPLACED_BY, copy
from warehouse_assets.warehouse.postgresql_errors import sql_state
from warehouse_assets.warehouse.postgresql_tables import PostgresqlTable
from warehouse_assets.warehouse.writer import AFTER, Published, combined

_TOO_LONG = "54000"
_ROWS_WORTH_STATISTICS = 10_000
_CHARACTERS_SHOWN = 60


class PostgresqlWriter:
    """Writes tables of a PostgreSQL database."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def is_as_declared(self, declaration: sa.Table) -> bool:
        """Whether the table is there with its columns, key and indexes."""
        return PostgresqlTable(self._connection, declaration).is_as_declared()

    def write_whole(
        self, engine: duckdb.DuckDBPyConnection, declaration: sa.Table, progress: Listener
    ) -> Published:
        """Delete what the table holds and copy its rows into it; make it if it is not there."""
        rows = _Rows(engine, declaration, f'"{declaration.name}"', progress)
        table = PostgresqlTable(self._connection, declaration)
        with rows.explained():
            if table.can_be_kept():
                table.empty()
                written = rows.copy_into(self._connection, table.target)
                table.complete()
            else:
                fresh = table.create_fresh()
                written = rows.copy_into(self._connection, fresh, is_frozen=True)
                table.put_in_place(fresh)
        return Published(written, 0, is_whole=True, rows_with_nul=rows.with_nul)

    def write_changes(
        self, engine: duckdb.DuckDBPyConnection, declaration: sa.Table, progress: Listener
    ) -> Published:
        """Copy the changes beside the table, then apply them by two statements."""
        ((total, deleted),) = engine.execute(
            f"SELECT count(*), count(*) FILTER (_is_deleted) FROM {AFTER}"
        ).fetchall()
        if not total:
            return Published()
        target = PostgresqlTable(self._connection, declaration).target
        changes = _changes_of(target)
        changes.create(self._connection)
        rows = _Rows(engine, declaration, AFTER, progress)
        with rows.explained():
            rows.copy_into(self._connection, changes)
            if total >= _ROWS_WORTH_STATISTICS:
                self._connection.exec_driver_sql(f'ANALYZE "{changes.name}"')
            if deleted:
                same_key = (target.c[key] == changes.c[key] for key in key_names(target))
                self._connection.execute(
                    sa.delete(target).where(*same_key, changes.c["_is_deleted"])
                )
            if deleted < total:
                self._connection.execute(_insertion(target, changes))
        return Published(total - deleted, deleted, rows_with_nul=rows.with_nul)


class _Rows:
    """The rows of a relation of DuckDB on their way into a table."""

    def __init__(
        self,
        engine: duckdb.DuckDBPyConnection,
        declaration: sa.Table,
        relation: str,
        progress: Listener,
    ) -> None:
        self._engine = engine
        self._declaration = declaration
        self._relation = relation
        self._progress = progress
        self._texts = [c.name for c in declaration.columns if isinstance(c.type, sa.Text)]
        has_nul = " OR ".join(f'contains("{name}", chr(0))' for name in self._texts) or "false"
        ((self.total, self.with_nul),) = engine.execute(
            f"SELECT count(*), count(*) FILTER ({has_nul}) FROM {relation}"
        ).fetchall()

    def copy_into(
        self, connection: sa.Connection, target: sa.Table, is_frozen: bool = False
    ) -> int:
        """Copy the rows into `target`, whose columns are a selection of the relation's."""
        columns = ", ".join(self._expression(column.name) for column in target.columns)
        # Rows that are near each other in the key are then near each other in the table.
        keys = identifiers(key_names(self._declaration))
        order = f"ORDER BY {keys}" if keys else ""
        query = f"SELECT {columns} FROM (FROM {self._relation} {order})"
        return copy(self._engine, query, connection, target, is_frozen, self._tell)

    def _expression(self, name: str) -> str:
        if self.with_nul and name in self._texts:
            return f'replace("{name}", chr(0), chr({NUL_REPLACED_BY})) AS "{name}"'
        return f'"{name}"'

    def _tell(self, lines: int) -> None:
        done = min(lines, self.total)
        self._progress(
            Progress(str(self._declaration.name), "publishing", done, self.total, "rows")
        )

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Have an error of PostgreSQL about a row that is too long name the row."""
        try:
            yield
        except DBAPIError as error:
            if sql_state(error) != _TOO_LONG:
                raise
            raise WarehouseError(
                f"The table {self._declaration.name} cannot be published to PostgreSQL: a value of "
                f"its key or of an index is too long. The longest are in the row with "
                f"{self._longest_indexed()}; PostgreSQL takes about 2,700 bytes. Nothing was "
                "changed; correct the row at its source, or publish to SQLite."
            ) from error

    def _longest_indexed(self) -> str:
        """In words, the row whose indexed texts are the longest."""
        indexed = set(key_names(self._declaration))
        for index in self._declaration.indexes:
            indexed |= {column.name for column in index.columns}
        names = [name for name in self._texts if name in indexed]
        if not names:
            return ""
        length = " + ".join(f'coalesce(strlen("{name}"), 0)' for name in names)
        columns = ", ".join(
            f'left("{name}", {_CHARACTERS_SHOWN}), strlen("{name}")' for name in names
        )
        rows = self._engine.execute(
            f"SELECT {columns} FROM {self._relation} ORDER BY {length} DESC LIMIT 1"
        ).fetchall()
        values = iter(next(iter(rows), ()))
        return ", ".join(f"{name} = {next(values)!r} … ({next(values):,} bytes)" for name in names)


def _changes_of(target: sa.Table) -> sa.Table:
    """A table for the changes of `target` that is gone when the transaction ends."""
    return sa.Table(
        f"_changes_{target.name}",
        sa.MetaData(),
        *(sa.Column(column.name, column.type) for column in target.columns),
        sa.Column("_is_deleted", sa.Boolean),
        prefixes=["TEMPORARY"],
        postgresql_on_commit="DROP",
    )


def _insertion(target: sa.Table, changes: sa.Table) -> Insert:
    """The statement that writes the rows that are not deleted."""
    names, keys = column_names(target), key_names(target)
    kept = sa.select(*(changes.c[name] for name in names)).where(~changes.c["_is_deleted"])
    statement = insert(target).from_select(names, kept)
    if not keys:
        return statement
    excluded = statement.excluded
    values = {name: combined(target, name, excluded[name]) for name in value_names(target)}
    if not values:
        return statement.on_conflict_do_nothing()
    return statement.on_conflict_do_update(index_elements=keys, set_=values)
