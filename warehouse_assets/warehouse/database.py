"""The database of the published tables, and how any SQL database of our own is named by its URL.

What is published into the warehouse is in `publish`.
"""

import sqlalchemy as sa

from warehouse_assets.warehouse.notes import LAKE, PUBLISHED
from warehouse_assets.warehouse.postgresql import PostgresqlDatabase
from warehouse_assets.warehouse.sql_database import SqlDatabase, Use
from warehouse_assets.warehouse.sqlite import SqliteDatabase

# How long a writer waits for another one; publishing the largest table takes minutes.
_SECONDS_TO_WAIT_FOR_A_WRITER = 600
_WAREHOUSE = Use(
    "The warehouse",
    "WAREHOUSE_URL",
    "the lake is the record: `warehouse rebuild` moves the file aside and writes a new one",
    782391,
    LAKE,
    [PUBLISHED],
)

Warehouse = SqlDatabase
"""The database of the published tables, as `warehouse_at` gives it."""


def warehouse_at(url: str, seconds_to_wait: float = _SECONDS_TO_WAIT_FOR_A_WRITER) -> Warehouse:
    """The warehouse at a URL; see `SqlDatabase`."""
    return database_at(url, _WAREHOUSE, seconds_to_wait)


def database_at(url: str, use: Use, seconds_to_wait: float) -> SqlDatabase:
    """The database at a URL, of whichever kind it is; see `SqlDatabase`."""
    parsed = sa.make_url(url)
    is_sqlite = parsed.get_backend_name() == "sqlite"
    kind = SqliteDatabase if is_sqlite else PostgresqlDatabase
    return kind(parsed, use, seconds_to_wait)
