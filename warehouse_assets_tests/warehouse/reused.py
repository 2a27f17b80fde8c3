"""Databases of PostgreSQL that tests use one after the other.

The server takes longer to make a database than to do what most tests ask of it.
"""

from functools import cache

from warehouse_assets_tests.postgres import execute, postgres_url

# `public` is as it is in a new database; the notice of what goes with it is of no interest. Whoever
# is still connected, as a killed process for a moment, would hold the tables.
_EMPTY = (
    """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()""",
    "DROP SCHEMA public CASCADE",
    "CREATE SCHEMA public AUTHORIZATION pg_database_owner",
    "GRANT USAGE ON SCHEMA public TO PUBLIC",
)


@cache
def _database(name: str) -> str:
    return postgres_url()


def emptied_database(name: str) -> str:
    """The URL of this process's database of that name, whose tables of earlier tests are gone.

    Not for tests that leave more behind than tables: settings of the database, roles, schemas.
    """
    url = _database(name)
    execute(url, *_EMPTY)
    return url
