"""A PostgreSQL database of our own: its transactions and its upkeep.

Writers take turns by an advisory lock that ends with their transaction, also when they are
killed. Readers hold no one up and wait for no one.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from warehouse_assets.databases import APPLICATION_NAME, postgresql_engine
from warehouse_assets.errors import BusyError
from warehouse_assets.progress import tell
from warehouse_assets.warehouse.notes import PUBLISHED
from warehouse_assets.warehouse.postgresql_errors import explanation
from warehouse_assets.warehouse.sql_database import SqlDatabase

# The lock is one of the use and of the schema that is written to.
_LOCK = sa.text("SELECT pg_try_advisory_xact_lock(:use, hashtext(coalesce(current_schema(), '')))")
_SECONDS_BETWEEN_TRIES = 0.1

# A publishing takes as long as it takes, whatever the server grants to idle or slow sessions; a
# client whose machine vanished must not hold the lock for hours, which is the default.
_SETTINGS_OF_A_WRITER = {
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "6",
}


class PostgresqlDatabase(SqlDatabase):
    """A database of a PostgreSQL server."""

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that is the only writing one of the schema."""
        with (
            self._explained(),
            self._connect(isolation_level="READ COMMITTED") as connection,
            connection.begin(),
        ):
            settings = {
                **_SETTINGS_OF_A_WRITER,
                "lock_timeout": str(int(self._seconds_to_wait * 1000)),
            }
            connection.execute(
                sa.select(*(sa.func.set_config(*setting, True) for setting in settings.items()))
            )
            self._take_turn(connection)
            yield connection

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction for reading that sees one state of the database."""
        with (
            self._explained(),
            self._connect(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            ) as connection,
            connection.begin(),
        ):
            yield connection

    def maintain(self) -> None:
        """Vacuum and analyze the published tables; those that somebody locks are left out."""
        with self._explained(), self._connect(isolation_level="AUTOCOMMIT") as connection:
            if not connection.dialect.has_table(connection, PUBLISHED.name):
                return
            quote = connection.dialect.identifier_preparer.quote_identifier
            for name in connection.scalars(sa.select(PUBLISHED.c.table_name)).all():
                if connection.dialect.has_table(connection, name):
                    connection.exec_driver_sql(f"VACUUM (ANALYZE, SKIP_LOCKED) {quote(name)}")

    def _take_turn(self, connection: sa.Connection) -> None:
        """Wait for the writer that is at work, in steps that a person can interrupt."""
        give_up_at = time.monotonic() + self._seconds_to_wait
        is_told = False
        while not connection.scalar(_LOCK, {"use": self.use.lock}):
            if not is_told:
                tell(f"Waiting for a writer of {self}.")
                is_told = True
            if time.monotonic() >= give_up_at:
                raise BusyError(
                    f"{self.use.name} {self} was locked by another writer for "
                    f"{self._seconds_to_wait} s. See which program is writing to it (in "
                    f"pg_stat_activity, application_name '{APPLICATION_NAME}'); readers do not "
                    "lock it."
                )
            time.sleep(_SECONDS_BETWEEN_TRIES)

    @cached_property
    def _engine(self) -> sa.Engine:
        return postgresql_engine(
            self.url,
            {"client_encoding": "utf8"},
            pool_size=4,
            max_overflow=-1,
            # A connection that the server has closed meanwhile is replaced.
            pool_pre_ping=True,
            pool_recycle=600,
        )

    def _connect(self, **options: Any) -> sa.Connection:
        return self._engine.connect().execution_options(**options)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise explanation(error, self) from error
