"""How connections to PostgreSQL are opened.

Every connection, also to a database that is only read, bears the name of the package, and
notices within minutes that the other machine has vanished.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

APPLICATION_NAME = "warehouse_assets"
"""By which the server shows whose a connection is, in `pg_stat_activity`."""

# What a URL may set otherwise, as `?connect_timeout=3`.
_CONNECTION = {
    "connect_timeout": 10,
    "application_name": APPLICATION_NAME,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 6,
}


def postgresql_engine(
    url: sa.URL, connection: Mapping[str, Any] | None = None, **options: Any
) -> sa.Engine:
    """An engine for the PostgreSQL database at `url`.

    Args:
        connection: more parameters of libpq.
        options: as of `sqlalchemy.create_engine`.
    """
    given = {name: value for name, value in _CONNECTION.items() if name not in url.query}
    return sa.create_engine(
        # SQLAlchemy's own choice for postgresql:// is another driver.
        url.set(drivername="postgresql+psycopg2"),
        connect_args={**given, **(connection or {})},
        **options,
    )
