"""What a database has of a table: columns, key, indexes, grants, or something else in its place."""

from itertools import groupby
from typing import NamedTuple

import sqlalchemy as sa

from warehouse_assets.errors import WarehouseError


class _Queries(NamedTuple):
    """Each is given a `name`, and finds nothing where nothing has it."""

    kind: sa.TextClause  # of whatever has the name
    columns: sa.TextClause  # name, type and whether it is required, in order
    indexes: sa.TextClause  # index, whether it is the key, column, in order


_QUERIES = {
    "sqlite": _Queries(
        sa.text(
            """SELECT type FROM sqlite_master
            WHERE name = :name COLLATE NOCASE AND type <> 'trigger'"""
        ),
        sa.text('SELECT name, upper(type), "notnull" FROM pragma_table_info(:name) ORDER BY cid'),
        sa.text(
            """SELECT '' AS "index", 1 AS is_key, 0 AS is_partial, name, pk AS place
            FROM pragma_table_info(:name) WHERE pk
            UNION ALL
            SELECT list.name, 0, list.partial, info.name, info.seqno
            FROM pragma_index_list(:name) AS list, pragma_index_info(list.name) AS info
            WHERE list.origin = 'c'
            ORDER BY 1, 5"""
        ),
    ),
    "postgresql": _Queries(
        sa.text(
            """SELECT CASE relkind::text WHEN 'r' THEN 'table' WHEN 'p' THEN 'table'
                WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'i' THEN 'index'
                WHEN 'S' THEN 'sequence' WHEN 'f' THEN 'foreign table'
                WHEN 'c' THEN 'composite type' ELSE 'relation' END
            FROM pg_class WHERE oid = to_regclass(quote_ident(:name))"""
        ),
        sa.text(
            """SELECT attname, upper(format_type(atttypid, atttypmod))
                || coalesce(' COLLATE "' || collname || '"', ''), attnotnull
            FROM pg_attribute LEFT JOIN pg_collation ON pg_collation.oid = attcollation
            WHERE attrelid = to_regclass(quote_ident(:name)) AND attnum > 0 AND NOT attisdropped
            ORDER BY attnum"""
        ),
        # Indexes that serve any row, and keys that a conflict can be noticed by.
        sa.text(
            """SELECT relname, indisprimary, false, attname
            FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
            CROSS JOIN LATERAL unnest(indkey) WITH ORDINALITY AS part(number, place)
            JOIN pg_attribute ON attrelid = indrelid AND attnum = part.number
            WHERE indrelid = to_regclass(quote_ident(:name)) AND indisvalid AND indimmediate
                AND indpred IS NULL AND indexprs IS NULL
            ORDER BY relname, place"""
        ),
    ),
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
    """A column that a table has: its type as the database spells it, in capitals."""

    name: str
    type: str
    is_required: bool


class _Index(NamedTuple):
    """An index that a table has."""

    columns: tuple[str, ...]
    is_key: bool
    is_partial: bool


class Catalogue:
    """Looks up what a database has, within the transaction of `connection`."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._queries = _QUERIES[connection.dialect.name]

    def has_table(self, name: str) -> bool:
        """Whether a table has that name.

        Raises:
            WarehouseError: something else has it.
        """
        kind = self._kind(name)
        if kind not in {None, "table"}:
            raise WarehouseError(
                f"The table {name} cannot be published: the warehouse has a {kind} of that name, "
                "which was made by hand. Rename or drop it and run again. Nothing was changed."
            )
        return kind is not None

    def columns(self, name: str) -> list[PresentColumn]:
        """The columns of a table."""
        rows = self._connection.execute(self._queries.columns, {"name": name})
        return [PresentColumn(row[0], row[1], bool(row[2])) for row in rows]

    def key(self, name: str) -> list[str]:
        """The columns of a table's key; none if it has none."""
        return next((list(index.columns) for index in self._indexes(name) if index.is_key), [])

    def indexes(self, name: str) -> set[tuple[tuple[str, ...], bool]]:
        """The columns of each index of a table, and whether only some rows are in it.

        Their names do not matter. In PostgreSQL those of some rows are left out.
        """
        return {(index.columns, index.is_partial) for index in self._indexes(name)}

    def grants(self, name: str) -> list[str]:
        """The statements that grant again what is granted on a table and its columns."""
        if self._connection.dialect.name == "sqlite":
            return []
        return list(self._connection.scalars(_GRANTS, {"name": name}))

    def free_name(self, name: str) -> str:
        """The name, or one made of it that nothing has: a table renamed by hand keeps its own."""
        free, number = name, 0
        while self._kind(free) is not None:
            number += 1
            free = f"{name}{number}"
        return free

    def _kind(self, name: str) -> str | None:
        kind: str | None = self._connection.scalar(self._queries.kind, {"name": name})
        return kind

    def _indexes(self, name: str) -> list[_Index]:
        rows = self._connection.execute(self._queries.indexes, {"name": name})
        return [
            _Index(tuple(str(row[3]) for row in group), bool(is_key), bool(is_partial))
            for (_, is_key, is_partial), group in groupby(rows, lambda row: tuple(row[:3]))
        ]
