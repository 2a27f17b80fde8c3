"""Writing a table of the warehouse, whole or what changed of it, within one transaction.

In PostgreSQL a table that is there keeps its place where it can: its rows are deleted and come
anew. Then readers go on seeing the old rows until the transaction ends, and what others have made
of the table, such as grants and views, stays. (TRUNCATE, or another table in its place, would
hold readers up, and show an older transaction an empty table.) Only a table of other columns is
replaced. In SQLite, where no reader waits for a writer anyway, replacing costs less.

PostgreSQL keeps text with the collation "C", so that its order is that of SQLite and of the lake,
and a key never counts by itself (it is no SERIAL).
"""

from dataclasses import dataclass

import duckdb
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateColumn, SetColumnComment, SetTableComment

from warehouse_assets.errors import WarehouseError
from warehouse_assets.tables import aggregates, column_names, identifiers, key_names, value_names
from warehouse_assets.warehouse.rows import Rows
from warehouse_assets.warehouse.views import drop_view, make_views, views_of

AFTER = "_after"
"""Relation of the changes: the table's columns and `_is_deleted`, each key once."""

_ROWS_WORTH_STATISTICS = 10_000

# Tables, views, indexes and whatever else has a name share the names of a schema.
_IS_TAKEN = {
    "sqlite": sa.text(
        """SELECT count(*) FROM sqlite_master
        WHERE name = :name COLLATE NOCASE AND type <> 'trigger'"""
    ),
    "postgresql": sa.text("SELECT to_regclass(quote_ident(:name)) IS NOT NULL"),
}

# On a table or on one of its columns; the owner's own rights need no grant.
_GRANTS = sa.text(
    """SELECT format('GRANT %s%s ON %I TO %s%s', right_of.privilege_type,
        ' (' || quote_ident(granted.column_name) || ')', relation.relname,
        CASE WHEN right_of.grantee = 0 THEN 'PUBLIC'
            ELSE quote_ident(pg_get_userbyid(right_of.grantee)) END,
        CASE WHEN right_of.is_grantable THEN ' WITH GRANT OPTION' END)
    FROM pg_class AS relation
    CROSS JOIN LATERAL (
        SELECT NULL::name AS column_name, relation.relacl AS acl
        UNION ALL
        SELECT attname, attacl FROM pg_attribute
        WHERE attrelid = relation.oid AND NOT attisdropped
    ) AS granted
    CROSS JOIN LATERAL aclexplode(granted.acl) AS right_of
    WHERE relation.oid = to_regclass(quote_ident(:name))
        AND right_of.grantee <> relation.relowner"""
)

# The columns of an index, and whether only some rows are in it; its name does not matter.
_Index = tuple[tuple[str | None, ...], bool]


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


class Writer:
    """Writes the table of a declaration within a transaction of `SqlDatabase.write_from`."""

    def __init__(self, connection: sa.Connection, declaration: sa.Table) -> None:
        self._connection = connection
        self._is_sqlite = connection.dialect.name == "sqlite"
        self._name = str(declaration.name)
        self._declaration = declaration
        self._table = declaration.to_metadata(sa.MetaData())
        if not self._is_sqlite:
            for column in self._table.columns:
                column.autoincrement = False
                if isinstance(column.type, sa.Text):
                    column.type = sa.Text(collation="C")

    def exists(self) -> bool:
        """Whether the table is there.

        Raises:
            WarehouseError: something else has its name.
        """
        if self._name in self._inspector.get_table_names():
            return True
        if self._is_taken(self._name):
            raise WarehouseError(
                f"The table {self._name} cannot be published: the warehouse has something else of "
                "that name, such as a view, which was made by hand. Rename or drop it and run "
                "again. Nothing was changed."
            )
        return False

    def is_as_declared(self) -> bool:
        """Whether the table is there with its columns, key and indexes, whatever their names are.

        Raises:
            WarehouseError: something else has its name.
        """
        return (
            self.exists()
            and self._columns_present() == self._columns_declared()
            and self._has_key()
            and {self._described(index) for index in self._table.indexes} <= self._indexes_present()
        )

    def write_whole(self, engine: duckdb.DuckDBPyConnection) -> Published:
        """Give the table the columns that are declared and the rows that `engine` has of it."""
        rows = Rows(engine, f'"{self._name}"', self._connection, self._table)
        if self._can_be_kept():
            self._empty()
            written = rows.write_into(self._table)
            self._create_indexes()
        else:
            written = self._replace(rows)
        return Published(written, 0, is_whole=True, rows_with_nul=rows.with_nul)

    def write_changes(self, engine: duckdb.DuckDBPyConnection) -> Published:
        """Write the changes that are in `AFTER` beside the table, then apply them."""
        rows = Rows(engine, AFTER, self._connection, self._table)
        if not rows.total:
            return Published()
        query = f"SELECT count(*) FROM {AFTER} WHERE _is_deleted"
        ((deleted,),) = engine.execute(query).fetchall()
        changes = _changes_of(self._table)
        changes.create(self._connection)
        rows.write_into(changes)
        if rows.total >= _ROWS_WORTH_STATISTICS and not self._is_sqlite:
            self._connection.exec_driver_sql(f'ANALYZE "{changes.name}"')
        if deleted:
            keys = key_names(self._table)
            gone = sa.select(*(changes.c[key] for key in keys)).where(changes.c["_is_deleted"])
            key = sa.tuple_(*(self._table.c[key] for key in keys))
            self._connection.execute(sa.delete(self._table).where(key.in_(gone)))
        if deleted < rows.total:
            self._connection.execute(self._upsert(changes))
        changes.drop(self._connection)
        return Published(rows.total - deleted, deleted, rows_with_nul=rows.with_nul)

    @property
    def _inspector(self) -> sa.Inspector:
        # A new one each time, for it remembers what it has seen.
        return sa.inspect(self._connection)

    def _columns_present(self) -> list[tuple[str, str]]:
        found = self._inspector.get_columns(self._name)
        return [(column["name"], self._spelt(column["type"])) for column in found]

    def _columns_declared(self) -> list[tuple[str, str]]:
        return [(column.name, self._spelt(column.type)) for column in self._table.columns]

    def _spelt(self, kind: sa.types.TypeEngine[object]) -> str:
        """A type as the DDL of the database spells it; empty if SQLAlchemy does not know it."""
        is_known = not isinstance(kind, sa.types.NullType)
        return kind.compile(self._connection.dialect) if is_known else ""

    def _has_key(self) -> bool:
        key = self._inspector.get_pk_constraint(self._name)["constrained_columns"]
        return key == key_names(self._table)

    def _indexes_present(self) -> set[_Index]:
        """The indexes beside that of the key."""
        where = f"{self._connection.dialect.name}_where"
        return {
            (tuple(index["column_names"]), where in index.get("dialect_options", {}))
            for index in self._inspector.get_indexes(self._name)
        }

    def _described(self, index: sa.Index) -> _Index:
        where = index.dialect_options[self._connection.dialect.name]["where"]
        return tuple(index.columns.keys()), where is not None

    def _is_taken(self, name: str) -> bool:
        query = _IS_TAKEN[self._connection.dialect.name]
        return bool(self._connection.scalar(query, {"name": name}))

    def _can_be_kept(self) -> bool:
        """Whether the table may stay: it is there and has the first of the declared columns."""
        if self._is_sqlite or not self.exists():
            return False
        present = self._columns_present()
        return (
            bool(present)
            and self._has_key()
            and self._columns_declared()[: len(present)] == present
        )

    def _empty(self) -> None:
        """Delete all rows, and declare what is declared otherwise than it is."""
        self._connection.execute(sa.delete(self._table))
        present = self._inspector.get_columns(self._name)
        for known, column in zip(present, self._table.columns, strict=False):
            if known["nullable"] != column.nullable:
                verb = "DROP" if column.nullable else "SET"
                self._alter(f'ALTER COLUMN "{column.name}" {verb} NOT NULL')
        for column in list(self._table.columns)[len(present) :]:
            self._alter(f"ADD COLUMN {CreateColumn(column).compile(self._connection)}")
        self._connection.execute(SetTableComment(self._table))
        for column in self._table.columns:
            self._connection.execute(SetColumnComment(column))

    def _replace(self, rows: Rows) -> int:
        """Make the table anew, with the grants that it had; returns how many rows it has."""
        grants: list[str] = []
        if not self._is_sqlite:
            # A table with views cannot be dropped.
            names = [view.name for view in views_of(self._declaration)]
            for name in (self._name, *names):
                grants += self._connection.scalars(_GRANTS, {"name": name})
            for name in names:
                drop_view(self._connection, name)
        self._table.drop(self._connection, checkfirst=True)
        keys = key_names(self._table)
        bare = sa.Table(
            self._name,
            sa.MetaData(),
            *(
                sa.Column(c.name, c.type, nullable=c.nullable, comment=c.comment)
                for c in self._table.columns
            ),
            comment=self._table.comment,
        )
        if keys and self._is_sqlite:
            bare.append_constraint(sa.PrimaryKeyConstraint(*keys))
        bare.create(self._connection)
        written = rows.write_into(bare, is_new=True)
        if keys and not self._is_sqlite:  # of rows that are there a key is made faster
            self._alter(f"ADD PRIMARY KEY ({identifiers(keys)})")
        self._create_indexes()
        if not self._is_sqlite:
            make_views(self._connection, self._declaration)
        for grant in grants:
            self._connection.exec_driver_sql(grant)
        return written

    def _create_indexes(self) -> None:
        """Make the indexes that are declared and not there, whatever their names are."""
        present = self._indexes_present()
        for index in self._table.indexes:
            if self._described(index) not in present:
                name, number = str(index.name), 0
                # A table renamed by hand keeps its indexes, whose names are taken then.
                while self._is_taken(name):
                    number += 1
                    name = f"{index.name}{number}"
                index.name = sa.quoted_name(name, None)
                index.create(self._connection)

    def _alter(self, change: str) -> None:
        self._connection.exec_driver_sql(f'ALTER TABLE "{self._name}" {change}')

    def _upsert(self, changes: sa.Table) -> sa.Insert:
        """The statement that writes the rows of `changes` that are not deleted."""
        names, keys = column_names(self._table), key_names(self._table)
        insert = sqlite.insert if self._is_sqlite else postgresql.insert
        kept = sa.select(*(changes.c[name] for name in names)).where(~changes.c["_is_deleted"])
        statement = insert(self._table).from_select(names, kept)
        if not keys:
            return statement
        values = {
            name: _combined(self._table, name, statement.excluded[name])
            for name in value_names(self._table)
        }
        if not values:
            return statement.on_conflict_do_nothing()
        return statement.on_conflict_do_update(index_elements=keys, set_=values)


def _changes_of(table: sa.Table) -> sa.Table:
    """A temporary table for changes of `table`."""
    return sa.Table(
        f"_changes_{table.name}",
        sa.MetaData(),
        *(sa.Column(column.name, column.type) for column in table.columns),
        sa.Column("_is_deleted", sa.Boolean),
        prefixes=["TEMPORARY"],
    )


def _combined(
    table: sa.Table, name: str, new: sa.ColumnElement[object]
) -> sa.ColumnElement[object]:
    """What the column `name` of a row that is there becomes when `new` comes; nulls do not count.

    Of a table that is not aggregated, `new` itself.
    """
    old: sa.ColumnElement[object] = table.c[name]
    function = aggregates(table).get(name)
    if function is None:
        return new
    if function == "sum":
        return sa.func.coalesce(old + new, old, new)
    is_better = (old < new) if function == "max" else (old > new)
    return sa.case((old.is_(None) | is_better, new), else_=old)
