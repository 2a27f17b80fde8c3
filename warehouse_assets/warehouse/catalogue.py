"""What a database has of a table: columns, key, indexes, grants, or something else in its place."""

from typing import NamedTuple

import sqlalchemy as sa

from warehouse_assets.errors import WarehouseError

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


class PresentColumn(NamedTuple):
    """A column that a table has: its type as DDL spells it."""

    name: str
    type: str
    is_required: bool


class Index(NamedTuple):
    """The columns of an index, and whether only some rows are in it; its name does not matter."""

    columns: tuple[str | None, ...]
    is_partial: bool


class Catalogue:
    """Looks up what a database has, within the transaction of `connection`."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def has_table(self, name: str) -> bool:
        """Whether a table has that name.

        Raises:
            WarehouseError: something else has it.
        """
        if name in self._inspector.get_table_names():
            return True
        if self._is_taken(name):
            raise WarehouseError(
                f"The table {name} cannot be published: the warehouse has something else of that "
                "name, such as a view, which was made by hand. Rename or drop it and run again. "
                "Nothing was changed."
            )
        return False

    def columns(self, name: str) -> list[PresentColumn]:
        """The columns of a table."""
        return [
            PresentColumn(
                column["name"], spelt(column["type"], self._connection), not column["nullable"]
            )
            for column in self._inspector.get_columns(name)
        ]

    def key(self, name: str) -> list[str]:
        """The columns of a table's key; none if it has none."""
        return self._inspector.get_pk_constraint(name)["constrained_columns"]

    def indexes(self, name: str) -> set[Index]:
        """The indexes of a table beside that of its key."""
        where = f"{self._connection.dialect.name}_where"
        return {
            Index(tuple(index["column_names"]), where in index.get("dialect_options", {}))
            for index in self._inspector.get_indexes(name)
        }

    def grants(self, name: str) -> list[str]:
        """The statements that grant again what is granted on a table and its columns."""
        if self._connection.dialect.name == "sqlite":
            return []
        return list(self._connection.scalars(_GRANTS, {"name": name}))

    def free_name(self, name: str) -> str:
        """The name, or one made of it that nothing has: a table renamed by hand keeps its own."""
        free, number = name, 0
        while self._is_taken(free):
            number += 1
            free = f"{name}{number}"
        return free

    @property
    def _inspector(self) -> sa.Inspector:
        # A new one each time, for it remembers what it has seen.
        return sa.inspect(self._connection)

    def _is_taken(self, name: str) -> bool:
        query = _IS_TAKEN[self._connection.dialect.name]
        return bool(self._connection.scalar(query, {"name": name}))


def spelt(kind: sa.types.TypeEngine[object], connection: sa.Connection) -> str:
    """A type as the DDL of a database spells it; empty if SQLAlchemy does not know it."""
    return "" if isinstance(kind, sa.types.NullType) else kind.compile(connection.dialect)
