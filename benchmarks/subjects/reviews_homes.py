"""Reviews in a SQLite file, and warehouses that have taken them, in SQLite and in PostgreSQL."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from benchmarks.context import Context
from benchmarks.servers import postgres_server
from benchmarks.subjects.homes import environment
from warehouse_assets import runs
from warehouse_assets.samples.reviews import write_reviews
from warehouse_assets.settings import Settings

_SEED = 1
# Rows that cannot be used, which a program by hand would have to leave out each time.
_UNUSABLE = 'DELETE FROM reviews WHERE "unixReviewTime" IS NULL AND "reviewTime" IS NULL'


def source_of(context: Context) -> str:
    """The URL of the reviews."""
    return f"sqlite:///{context.templates / 'reviews.db'}"


def home_of(context: Context, database: str) -> Path:
    """The home of a warehouse in `database`, sqlite or postgresql."""
    return context.templates / f"reviews-{database}-home"


@contextmanager
def warehouse_of(context: Context, database: str) -> Iterator[dict[str, str]]:
    """The settings of that warehouse beside its home, while the server runs if it has one."""
    if database == "sqlite":
        yield {}
        return
    with postgres_server(context.templates / "reviews-postgres") as connection:
        yield {"WAREHOUSE_URL": url_of(connection)}


def url_of(connection: Any) -> str:
    """The URL of the database that `connection` is to."""
    parts = connection.get_dsn_parameters()
    url = sa.URL.create(
        "postgresql", parts["user"], database=parts["dbname"], query={"host": parts["host"]}
    )
    return url.render_as_string(hide_password=False)


def template(context: Context, database: str) -> None:
    """Make the reviews, if there are none, and a warehouse in `database` that has taken them."""
    source = source_of(context)
    if not Path(source.removeprefix("sqlite:///")).exists():
        write_reviews(source, context.data.reviews, _SEED)
        engine = sa.create_engine(source)
        with engine.begin() as connection:
            connection.exec_driver_sql(_UNUSABLE)
        engine.dispose()
    os.environ["DAGSTER_HOME"] = ""
    with warehouse_of(context, database) as more:
        settings = environment(home_of(context, database)) | {"REVIEWS_URL": source} | more
        with context.measuring():
            result = runs.materialize(Settings.from_environment(settings), ["reviews"])
    assert result.success, runs.failed_steps(result)
