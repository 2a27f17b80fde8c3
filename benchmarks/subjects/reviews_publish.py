"""The daily tables of reviews from the lake into PostgreSQL, against COPY of the same rows.

The baseline has the rows in files of CSV already and copies each into an empty table of the same
columns and key, both in one transaction. The project reads them from the lake, and does all else
that publishing is.
"""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.schema import CreateTable

from benchmarks.context import Context
from benchmarks.servers import postgres_server
from benchmarks.subjects.homes import lake_of, settings_of
from benchmarks.subjects.reviews_homes import home_of, url_of
from warehouse_assets.defs.reviews.tables import PRODUCT_REVIEWS_DAILY, REVIEWER_REVIEWS_DAILY
from warehouse_assets.tables import identifiers, key_names
from warehouse_assets.warehouse import publish, warehouse_at

_ENGINE = sa.create_engine("postgresql+psycopg2://")  # for its words; it is never connected
_TABLES: Sequence[sa.Table] = (PRODUCT_REVIEWS_DAILY, REVIEWER_REVIEWS_DAILY)


def copy(context: Context) -> None:
    """Measure COPY of files of CSV that are in the order of the key."""
    lake = lake_of(settings_of(home_of(context, "sqlite")))
    with lake.connect() as connection:
        for table in _TABLES:
            lake.view_newest(connection, table)
            rows = f'FROM "{table.name}" ORDER BY {identifiers(key_names(table))}'
            target = context.folder / f"{table.name}.csv"
            connection.execute(f"COPY ({rows}) TO '{target}' (FORMAT csv, HEADER false)")
    with postgres_server(context.folder / "postgres") as connection:
        connection.autocommit = False
        with context.measuring():
            with connection.cursor() as cursor:
                for table in _TABLES:
                    cursor.execute(str(CreateTable(table).compile(_ENGINE)))
                    with (context.folder / f"{table.name}.csv").open("rb") as stream:
                        cursor.copy_expert(
                            f'COPY "{table.name}" FROM STDIN (FORMAT csv)', stream, 2**20
                        )
            connection.commit()


def publish_whole(context: Context) -> None:
    """Measure `publish` of both into a database without tables."""
    lake = lake_of(settings_of(home_of(context, "sqlite")))
    with postgres_server(context.folder / "postgres") as connection:
        warehouse = warehouse_at(url_of(connection))
        rows = 0
        with context.measuring():
            for table in _TABLES:
                rows += publish(lake, warehouse, lake.table(table)).rows_written
    context.details["rows"] = rows
