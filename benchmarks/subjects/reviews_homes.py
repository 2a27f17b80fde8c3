"""Sources and warehouses with the same reviews, in SQLite files and in PostgreSQL."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from benchmarks.context import Context
from benchmarks.servers import postgres_server
from benchmarks.subjects.homes import environment
from warehouse_assets.cli import runs
from warehouse_assets.samples.reviews import write_reviews
from warehouse_assets.settings import Settings

_SEED = 1
_STATEMENTS = (
    # Rows that cannot be used, which the rivals would have to leave out each time.
    'DELETE FROM reviews WHERE "unixReviewTime" IS NULL AND "reviewTime" IS NULL',
    'CREATE INDEX by_product ON reviews ("productID")',
    'CREATE INDEX by_reviewer ON reviews ("reviewerID")',
)


def sqlite_source(context: Context) -> str:
    """The URL of the reviews in a SQLite file, each id in an index."""
    return f"sqlite:///{context.templates / 'reviews.db'}"


def sqlite_home(context: Context) -> Path:
    """The home of a warehouse in a SQLite file."""
    return context.templates / "reviews-home"


def postgres_home(context: Context) -> Path:
    """The home of a warehouse in PostgreSQL."""
    return context.templates / "reviews-postgres-home"


@contextmanager
def postgres(context: Context) -> Iterator[tuple[str, str]]:
    """The URLs of the reviews in PostgreSQL and of the warehouse, while the server runs."""
    folder = context.templates / "reviews-postgres"
    is_new = not folder.exists()
    with postgres_server(folder) as connection:
        if is_new:
            with connection.cursor() as cursor:
                for database in ("source", "warehouse"):
                    cursor.execute(f"CREATE DATABASE {database}")
        source, warehouse = (url_of(connection, name) for name in ("source", "warehouse"))
        yield source, warehouse


def url_of(connection: Any, database: str) -> str:
    """The URL of a database of the server that `connection` is to."""
    parts = connection.get_dsn_parameters()
    url = sa.URL.create(
        "postgresql", parts["user"], database=database, query={"host": parts["host"]}
    )
    return url.render_as_string(hide_password=False)


def sqlite_template(context: Context) -> None:
    """Make the reviews and a warehouse that has taken them, in SQLite files."""
    _make(context, sqlite_source(context), sqlite_home(context), {})


def postgres_template(context: Context) -> None:
    """Make the reviews and a warehouse that has taken them, in PostgreSQL."""
    with postgres(context) as (source, warehouse):
        _make(context, source, postgres_home(context), {"WAREHOUSE_URL": warehouse})


def settings_of(home: Path, more: dict[str, str]) -> Settings:
    """The settings of a warehouse in `home`."""
    return Settings.from_environment(environment(home) | more)


def _make(context: Context, source: str, home: Path, more: dict[str, str]) -> None:
    write_reviews(source, context.data.reviews, _SEED)
    driven: Any = sa.make_url(source)
    if driven.drivername == "postgresql":
        driven = driven.set(drivername="postgresql+psycopg2")
    engine = sa.create_engine(driven)
    with engine.begin() as connection:
        for statement in _STATEMENTS:
            connection.exec_driver_sql(statement)
        connection.exec_driver_sql("ANALYZE")
    engine.dispose()
    os.environ["DAGSTER_HOME"] = ""
    settings = settings_of(home, {"REVIEWS_URL": source, **more})
    with context.measuring():
        result = runs.materialize(settings, ["reviews"])
    assert result.success, runs.failed_steps(result)
