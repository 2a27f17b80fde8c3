"""Who may do what with a table of PostgreSQL, to be granted again when it was made anew."""

import sqlalchemy as sa

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


def grants_on(connection: sa.Connection, name: str) -> list[str]:
    """The statements that grant what is granted on the table `name` and on its columns."""
    return list(connection.scalars(_GRANTS, {"name": name}))
