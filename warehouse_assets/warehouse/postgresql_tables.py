"""A published table as PostgreSQL has it: made, kept, or replaced by one of other columns.

Text is kept with the collation "C", so that its order is that of SQLite and of the lake, and a
key never counts by itself (it is no SERIAL).
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.schema import SetColumnComment, SetTableComment

from warehouse_assets.schema import key_names
from warehouse_assets.warehouse.writer import free_name, indexed_columns, taken

# Who may do what with a table or with one of its columns; the owner's own rights need no grant.
_GRANTS = sa.text(
    """SELECT granted.column_name, right_of.privilege_type, right_of.is_grantable,
        CASE WHEN right_of.grantee = 0 THEN NULL
            ELSE pg_get_userbyid(right_of.grantee) END AS grantee
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

_COLUMNS = sa.text(
    """SELECT attname, upper(format_type(atttypid, atttypmod))
        || coalesce(' COLLATE "' || collname || '"', '')
    FROM pg_attribute LEFT JOIN pg_collation ON pg_collation.oid = attcollation
    WHERE attrelid = to_regclass(quote_ident(:name)) AND attnum > 0 AND NOT attisdropped
    ORDER BY attnum"""
)

_KIND = sa.text("SELECT relkind::text FROM pg_class WHERE oid = to_regclass(quote_ident(:name))")
_KINDS = {
    "v": "view",
    "m": "materialized view",
    "i": "index",
    "S": "sequence",
    "f": "foreign table",
    "c": "composite type",
}
_KIND_OF_TABLE = {"r", "p"}

# Indexes that serve any row, and keys that a conflict can be noticed by.
_INDEXES = sa.text(
    """SELECT relname, indisprimary, ARRAY(
        SELECT attname::text FROM unnest(indkey) WITH ORDINALITY AS part(number, place)
        JOIN pg_attribute ON attrelid = indrelid AND attnum = part.number ORDER BY place
    ) AS columns
    FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE indrelid = to_regclass(quote_ident(:name)) AND indisvalid AND indimmediate
        AND indpred IS NULL"""
)


def as_stored(declaration: sa.Table, name: str | None = None) -> sa.Table:
    """The declaration in PostgreSQL's terms."""
    table = declaration.to_metadata(sa.MetaData(), name=name or str(declaration.name))
    for column in table.columns:
        column.autoincrement = False
        if isinstance(column.type, sa.Text):
            column.type = sa.Text(collation="C")
    return table


class PostgresqlTable:
    """The table of a declaration, within one transaction."""

    def __init__(self, connection: sa.Connection, declaration: sa.Table) -> None:
        self.target = as_stored(declaration)
        self._connection = connection
        self._name = str(declaration.name)
        self._quote = connection.dialect.identifier_preparer.quote_identifier

    def is_as_declared(self) -> bool:
        """Whether the table is there with its columns, key and indexes."""
        kind = self._connection.scalar(_KIND, {"name": self._name})
        if kind is None:
            return False
        if kind not in _KIND_OF_TABLE:
            raise taken(self.target, _KINDS.get(kind, "relation"))
        return (
            self._columns_present() == self._columns_declared()
            and self._key() == key_names(self.target)
            and set(indexed_columns(self.target)) <= self._indexes()
        )

    def can_be_kept(self) -> bool:
        """Whether the table is there and has the declared columns, if only the first of them."""
        present = self._columns_present()
        if not present:
            return False
        declared = self._columns_declared()
        return self._key() == key_names(self.target) and declared[: len(present)] == present

    def empty(self) -> None:
        """Delete all rows, and add the columns that are declared but not there."""
        for name, kind in self._columns_declared()[len(self._columns_present()) :]:
            self._execute(
                f"ALTER TABLE {self._quote(self._name)} ADD COLUMN {self._quote(name)} {kind}"
            )
        self._connection.execute(sa.delete(self.target))

    def complete(self) -> None:
        """Make what is declared later than the table: indexes, descriptions, columns' needs."""
        known = {
            str(column["name"]): bool(column["nullable"])
            for column in sa.inspect(self._connection).get_columns(self._name)
        }
        for column in self.target.columns:
            if not column.nullable and known[column.name]:
                self._execute(
                    f"ALTER TABLE {self._quote(self._name)} "
                    f"ALTER COLUMN {self._quote(column.name)} SET NOT NULL"
                )
        self._create_indexes()
        self._connection.execute(SetTableComment(self.target))
        for column in self.target.columns:
            self._connection.execute(SetColumnComment(column))

    def create_fresh(self) -> sa.Table:
        """A new table of the declared columns under another name, without keys and indexes."""
        fresh = sa.Table(
            f"_new_{self._name}",
            sa.MetaData(),
            *(
                sa.Column(c.name, c.type, nullable=c.nullable, comment=c.comment)
                for c in self.target.columns
            ),
            comment=self.target.comment,
        )
        fresh.drop(self._connection, checkfirst=True)
        fresh.create(self._connection)
        return fresh

    def put_in_place(self, fresh: sa.Table) -> None:
        """Give `fresh` the key, the indexes, the name and the grants of the table."""
        grants = self._connection.execute(_GRANTS, {"name": self._name}).all()
        keys = key_names(self.target)
        if keys:
            columns = ", ".join(self._quote(key) for key in keys)
            self._execute(f"ALTER TABLE {self._quote(fresh.name)} ADD PRIMARY KEY ({columns})")
        self.target.drop(self._connection, checkfirst=True)
        self._execute(f"ALTER TABLE {self._quote(fresh.name)} RENAME TO {self._quote(self._name)}")
        if keys:
            # Under the name that PostgreSQL would give it, now that the old one is gone.
            rows = self._connection.execute(_INDEXES, {"name": self._name})
            (given,) = [row.relname for row in rows if row.indisprimary]
            free = self._free(f"{self._name}_pkey")
            self._execute(f"ALTER INDEX {self._quote(given)} RENAME TO {self._quote(free)}")
        self._create_indexes()
        for grant in grants:
            self._grant(grant)

    def _create_indexes(self) -> None:
        """Make the indexes that are declared and not there, whatever their names are."""
        present = self._indexes()
        for index, columns in zip(self.target.indexes, indexed_columns(self.target), strict=True):
            if columns not in present:
                index.name = sa.quoted_name(self._free(str(index.name)), None)
                index.create(self._connection)

    def _free(self, name: str) -> str:
        return free_name(name, lambda name: self._connection.scalar(_KIND, {"name": name}))

    def _key(self) -> list[str]:
        rows = self._connection.execute(_INDEXES, {"name": self._name})
        return next((list(row.columns) for row in rows if row.indisprimary), [])

    def _indexes(self) -> set[tuple[str, ...]]:
        rows = self._connection.execute(_INDEXES, {"name": self._name})
        return {tuple(row.columns) for row in rows}

    def _columns_present(self) -> list[tuple[str, str]]:
        """Names and types of the columns that the table has, in their order."""
        rows = self._connection.execute(_COLUMNS, {"name": self._name})
        return [(str(name), str(kind)) for name, kind in rows]

    def _columns_declared(self) -> list[tuple[str, str]]:
        dialect = self._connection.dialect
        return [(c.name, c.type.compile(dialect=dialect)) for c in self.target.columns]

    def _grant(self, grant: Any) -> None:
        column = f" ({self._quote(grant.column_name)})" if grant.column_name else ""
        grantee = self._quote(grant.grantee) if grant.grantee else "PUBLIC"
        option = " WITH GRANT OPTION" if grant.is_grantable else ""
        self._execute(
            f"GRANT {grant.privilege_type}{column} ON {self._quote(self._name)} "
            f"TO {grantee}{option}"
        )

    def _execute(self, statement: str) -> None:
        self._connection.exec_driver_sql(statement)
