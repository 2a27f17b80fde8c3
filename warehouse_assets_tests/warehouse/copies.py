"""What people see of a published table, read without the package's own code."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from warehouse_assets.warehouse import Published, Warehouse, publish, warehouse_at
from warehouse_assets_tests import postgres
from warehouse_assets_tests.lake.tables import Stored
from warehouse_assets_tests.warehouse.reused import emptied_database

# All that PostgreSQL knows of the tables: columns, keys and indexes, descriptions.
_SCHEMA = """
    SELECT 'column', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
        l.collname, col_description(c.oid, a.attnum)
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
    LEFT JOIN pg_collation l ON l.oid = a.attcollation
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND NOT a.attisdropped
    UNION ALL
    SELECT 'index', tablename, indexname, indexdef, NULL, NULL, NULL
    FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL
    SELECT 'table', relname, NULL, relkind::text, NULL, NULL, obj_description(oid)
    FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind <> 'i'
"""


def url_of(warehouse: Warehouse) -> str:
    """The URL of the database, for another connection."""
    return warehouse.url.render_as_string(hide_password=False)


def publish_to(warehouse: Warehouse, stored: Stored) -> Published:
    """Publish a table of the lake."""
    return publish(stored.lake, warehouse, stored.table)


def query(warehouse: Warehouse, sql: str) -> list[tuple[Any, ...]]:
    """The rows of a query, by a connection of its own."""
    if not warehouse.is_sqlite:
        return [tuple(row) for row in postgres.execute(url_of(warehouse), sql)]
    with closing(sqlite3.connect(warehouse.path)) as connection:
        return connection.execute(sql).fetchall()


def tables(warehouse: Warehouse) -> list[str]:
    """The names of the tables, sorted."""
    if warehouse.is_sqlite:
        rows = query(warehouse, "SELECT name FROM sqlite_master WHERE type = 'table'")
    else:
        rows = query(warehouse, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return sorted(name for (name,) in rows)


def indexes(warehouse: Warehouse, table: str) -> set[str]:
    """The names of the indexes of a table."""
    if warehouse.is_sqlite:
        found = f"SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = '{table}'"
    else:
        found = f"SELECT indexname FROM pg_indexes WHERE tablename = '{table}'"
    return {name for (name,) in query(warehouse, found)}


def contents(warehouse: Warehouse) -> dict[str, list[tuple[Any, ...]]]:
    """Every table of the database but the notes of versions: its rows; indexes and DDL too."""
    rows = {
        name: sorted(query(warehouse, f'SELECT * FROM "{name}"'), key=repr)
        for name in tables(warehouse)
        if name not in {"_published", "_publications", "_tables"}
    }
    sqlite_schema = "SELECT type, name, tbl_name, sql FROM sqlite_master"
    schema = query(warehouse, sqlite_schema if warehouse.is_sqlite else _SCHEMA)
    return {**rows, "schema": sorted(schema, key=repr)}


def emptied(warehouse: Warehouse) -> None:
    """Delete the database, or what is in it."""
    if warehouse.is_sqlite:
        warehouse.path.unlink(missing_ok=True)
    else:
        postgres.execute(url_of(warehouse), "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")


def in_a_new_database(
    warehouse: Warehouse, stored: Stored, folder: Path
) -> dict[str, list[tuple[Any, ...]]]:
    """What the same kind of database holds after one publishing of the table into an empty one."""
    url = f"sqlite:///{folder}/fresh.db" if warehouse.is_sqlite else emptied_database("fresh")
    fresh = warehouse_at(url)
    if fresh.is_sqlite:
        emptied(fresh)
    assert publish_to(fresh, stored).is_whole
    return contents(fresh)


def by_hand(warehouse: Warehouse, statements: str) -> None:
    """Run statements, which `;` separates, in one transaction."""
    with warehouse.write() as connection:
        for statement in statements.split(";"):
            connection.exec_driver_sql(statement)
