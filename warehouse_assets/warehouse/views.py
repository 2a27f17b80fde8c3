"""What people find in the warehouse beside its tables: views, and in `_tables` what there is.

A view is made when the tables that it reads are published, and made anew when its SELECT is another
one. What somebody else has given its name stays.
"""

import zlib
from collections.abc import Sequence

import sqlalchemy as sa

from warehouse_assets.questions import View
from warehouse_assets.times import utc_now
from warehouse_assets.warehouse.warehouse import TABLES


def views_of(declaration: sa.Table) -> Sequence[View]:
    """The views that read a table."""
    views: Sequence[View] = declaration.info.get("views", ())
    return views


def make_views(connection: sa.Connection, declaration: sa.Table) -> None:
    """Make the views that read a table and are not there as they are declared, if they can be."""
    for view in views_of(declaration):
        inspector = sa.inspect(connection)
        is_view = view.name in inspector.get_view_names()
        statement = f'CREATE VIEW "{view.name}" AS\n{view.sql}'
        version, noted = zlib.crc32(statement.encode()), _noted(connection, view.name)
        if is_view and noted in {None, version}:
            continue
        if not is_view and inspector.has_table(view.name):
            continue
        if all(inspector.has_table(str(table.name)) for table in view.reads):
            drop_view(connection, view.name)
            connection.exec_driver_sql(statement)
            note(connection, view.name, "view", view.text, None, version)


def drop_view(connection: sa.Connection, name: str) -> None:
    """Drop a view that was made here, if it is there."""
    if _noted(connection, name) is not None:
        connection.exec_driver_sql(f'DROP VIEW IF EXISTS "{name}"')
        connection.execute(TABLES.delete().where(TABLES.c.table_name == name))


def note(
    connection: sa.Connection,
    name: str,
    kind: str,
    description: str | None,
    rows: int | None,
    version: int,
) -> None:
    """Note in `_tables` what a table or a view is now."""
    connection.execute(TABLES.delete().where(TABLES.c.table_name == name))
    connection.execute(
        TABLES.insert().values(
            table_name=name,
            kind=kind,
            description=description or "",
            rows=rows,
            published_at=utc_now(),
            version=version,
        )
    )


def is_noted(connection: sa.Connection, name: str) -> bool:
    """Whether `_tables` tells of a table or view; earlier releases noted none."""
    return _noted(connection, name) is not None


def _noted(connection: sa.Connection, name: str) -> int | None:
    return connection.scalar(sa.select(TABLES.c.version).where(TABLES.c.table_name == name))
