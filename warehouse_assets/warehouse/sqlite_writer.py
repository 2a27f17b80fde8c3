"""Rows of the lake on their way into SQLite: some ten thousand at a time, in bound statements."""

from collections.abc import Iterator, Sequence

import duckdb
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import Insert, insert

from warehouse_assets.progress import Listener, Progress
from warehouse_assets.schema import aggregates, column_names, identifiers, key_names, value_names
from warehouse_assets.warehouse.writer import (
    AFTER,
    Published,
    combined,
    free_name,
    indexed_columns,
    taken,
)

_ROWS_AT_ONCE = 50_000

_KIND = sa.text(
    "SELECT type FROM sqlite_master WHERE name = :name COLLATE NOCASE AND type <> 'trigger'"
)
_COLUMNS = sa.text("SELECT name, pk FROM pragma_table_info(:name)")
_INDEXES = sa.text(
    """SELECT list.name, info.name FROM pragma_index_list(:name) AS list,
        pragma_index_info(list.name) AS info
    WHERE list.origin = 'c' ORDER BY list.seq, info.seqno"""
)


class SqliteWriter:
    """Writes tables of a SQLite file."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def is_as_declared(self, declaration: sa.Table) -> bool:
        """Whether the table is there with its columns, key and indexes."""
        name = {"name": str(declaration.name)}
        kind = self._connection.scalar(_KIND, name)
        if kind not in {None, "table"}:
            raise taken(declaration, str(kind))
        columns = self._connection.execute(_COLUMNS, name).all()
        key = [column for column, pk in sorted(columns, key=lambda column: column.pk) if pk]
        indexes: dict[str, list[str]] = {}
        for index, column in self._connection.execute(_INDEXES, name):
            indexes.setdefault(index, []).append(column)
        return (
            [column for column, _ in columns] == column_names(declaration)
            and key == key_names(declaration)
            and set(indexed_columns(declaration)) <= {tuple(names) for names in indexes.values()}
        )

    def write_whole(
        self, engine: duckdb.DuckDBPyConnection, declaration: sa.Table, progress: Listener
    ) -> Published:
        """Write the table anew under another name, then let it take the place of the old one."""
        fresh = declaration.to_metadata(sa.MetaData(), name=f"_new_{declaration.name}")
        fresh.indexes.clear()
        fresh.drop(self._connection, checkfirst=True)
        fresh.create(self._connection)
        (total,) = engine.execute(f'SELECT count(*) FROM "{declaration.name}"').fetchall()[0]
        # In the order of the key, a table whose rows are stored in it is written once. Sorted
        # before times become text: that takes half the memory.
        keys = key_names(declaration)
        order = f"ORDER BY {identifiers(keys)}" if keys else ""
        query = f'SELECT {_stored_columns(declaration)} FROM (FROM "{declaration.name}" {order})'
        statement = str(sa.insert(fresh).compile(self._connection))
        rows = 0
        for batch in _batches(engine, query):
            self._connection.exec_driver_sql(statement, batch)
            rows += len(batch)
            progress(Progress(str(declaration.name), "publishing", rows, total, "rows"))
        declaration.drop(self._connection, checkfirst=True)
        self._connection.execute(
            sa.text(f'ALTER TABLE "{fresh.name}" RENAME TO "{declaration.name}"')
        )
        for index in declaration.to_metadata(sa.MetaData()).indexes:
            # A table renamed by hand keeps its indexes, whose names are taken then.
            index.name = sa.quoted_name(self._free(str(index.name)), None)
            index.create(self._connection)
        return Published(rows, 0, is_whole=True)

    def write_changes(
        self, engine: duckdb.DuckDBPyConnection, declaration: sa.Table, progress: Listener
    ) -> Published:
        """Delete and write row by row, by the key."""
        (total,) = engine.execute(f"SELECT count(*) FROM {AFTER}").fetchall()[0]
        deleted = self._delete(engine, declaration)
        statement = str(_insertion(declaration).compile(self._connection))
        order = f"ORDER BY {identifiers(key_names(declaration))}" if aggregates(declaration) else ""
        kept = f"""SELECT {_stored_columns(declaration)}
            FROM (FROM {AFTER} WHERE NOT _is_deleted {order})"""
        written = 0
        for batch in _batches(engine, kept):
            self._connection.exec_driver_sql(statement, batch)
            written += len(batch)
            progress(
                Progress(str(declaration.name), "publishing", deleted + written, total, "rows")
            )
        return Published(written, deleted)

    def _free(self, name: str) -> str:
        return free_name(name, lambda name: self._connection.scalar(_KIND, {"name": name}))

    def _delete(self, engine: duckdb.DuckDBPyConnection, declaration: sa.Table) -> int:
        """Delete the rows that are deleted; returns how many."""
        keys = key_names(declaration)
        deletion = sa.delete(declaration).where(
            *(declaration.c[key] == sa.bindparam(f"key_{key}") for key in keys)
        )
        gone = f"SELECT {_stored_columns(declaration, keys)} FROM {AFTER} WHERE _is_deleted"
        deleted = 0
        for batch in _batches(engine, gone) if keys else ():
            self._connection.exec_driver_sql(str(deletion.compile(self._connection)), batch)
            deleted += len(batch)
        return deleted


def _insertion(declaration: sa.Table) -> Insert:
    """The statement that writes a row."""
    statement, keys = insert(declaration), key_names(declaration)
    if not keys:
        return statement
    names = value_names(declaration)
    values = {name: combined(declaration, name, statement.excluded[name]) for name in names}
    if not values:
        return statement.on_conflict_do_nothing()
    return statement.on_conflict_do_update(index_elements=keys, set_=values)


def _batches(engine: duckdb.DuckDBPyConnection, query: str) -> Iterator[list[tuple[object, ...]]]:
    """The rows of `query`, tens of thousands at a time."""
    result = engine.execute(query)
    while batch := result.fetchmany(_ROWS_AT_ONCE):
        yield batch


def _stored_columns(declaration: sa.Table, names: Sequence[str] | None = None) -> str:
    """Columns as SQLite stores them: dates and times as text that sorts in their order."""
    expressions = []
    for column in (declaration.c[name] for name in names or column_names(declaration)):
        name = f'"{column.name}"'
        if isinstance(column.type, sa.DateTime):
            name = f"strftime({name}, '%Y-%m-%d %H:%M:%S.%f')"
        elif isinstance(column.type, sa.Date):
            name = f"strftime({name}, '%Y-%m-%d')"
        expressions.append(name)
    return ", ".join(expressions)
