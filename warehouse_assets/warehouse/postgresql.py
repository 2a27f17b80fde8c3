"""A PostgreSQL database of our own: its transactions, its upkeep, and its errors in words.

Writers take turns by an advisory lock that ends with their transaction, also when they are
killed. Readers hold no one up and wait for no one.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, OperationalError

from warehouse_assets.databases import APPLICATION_NAME, postgresql_engine
from warehouse_assets.errors import (
    BusyError,
    ConflictError,
    WarehouseAssetsError,
    WarehouseError,
)
from warehouse_assets.progress import tell
from warehouse_assets.warehouse.database import COLUMN_TO_COME, SqlDatabase

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


_CHECK_URL = (
    "Check that the server runs, lets this user in and has the database (setting {setting})"
)

# By the class of the SQLSTATE, its first two characters; see the appendix of PostgreSQL's manual.
_WORTH_A_RETRY = {
    "08": BusyError,
    "40": ConflictError,
    "53": BusyError,
    "55": BusyError,
    "57": BusyError,
}
_NO_SUCH_COLUMN = "42703"  # of SQLSTATE
_ADVICE = {
    "08": f"Nothing is half done; run again. {_CHECK_URL}",
    "22": "Correct the value at its source; only the encoding UTF8 has all characters",
    "23": "Either the lake holds rows that contradict the declaration of their table, which its "
    "asset checks count, or the constraint was added by hand: then drop that constraint",
    "25": "A standby server can only be read; of several hosts in the setting {setting} "
    "target_session_attrs=read-write finds the primary",
    "28": _CHECK_URL,
    "2B": "The table has to be made anew, with other columns: drop these, run again and create "
    "them again",
    "3D": _CHECK_URL,
    "3F": "Create the schema, or correct search_path",
    "40": "Another transaction came first; run again",
    "42": "The user has to be allowed to connect, to CREATE in its schema and TEMPORARY in the "
    "database, and has to own the published tables",
    "53": "Nothing is half done. Free space, memory or connections of the server and run again",
    "54": "Values of keys and indexes may have about 2,700 bytes: correct what is longer at its "
    "source, or publish to SQLite",
    "55": "Another program holds it, see pg_locks and pg_stat_activity; run again",
    "57": "The server went down or comes up, or the statement was cancelled. Nothing is half done; "
    "run again",
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
        """Vacuum and analyze the tables of the schema; those that somebody locks are left out."""
        with self._explained(), self._connect(isolation_level="AUTOCOMMIT") as connection:
            quote = connection.dialect.identifier_preparer.quote_identifier
            for name in sa.inspect(connection).get_table_names():
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


def explanation(error: DBAPIError, database: SqlDatabase) -> WarehouseAssetsError:
    """The error to raise instead of `error`: what the server said, and what to do."""
    code: str | None = getattr(error.orig, "pgcode", None)
    if code is None and isinstance(error, OperationalError):
        # There is no connection. Why is told only in the server's language, so that even what a
        # person has to correct, such as the password, is worth a retry.
        code = "08"
    advice = _ADVICE.get(code[:2], "Nothing was changed") if code else _CHECK_URL
    if code == _NO_SUCH_COLUMN:
        advice = COLUMN_TO_COME
    use, password = database.use, database.url.password
    message = f"{use.name} {database}: {_said(error)}. {advice.format(setting=use.setting)}."
    kind = _WORTH_A_RETRY.get((code or "")[:2], WarehouseError)
    return kind(message.replace(password, "***") if password else message)


def _said(error: DBAPIError) -> str:
    """What the server or its driver said, in one line."""
    found = getattr(error.orig, "diag", None)
    parts = [
        getattr(found, part, None) for part in ("message_primary", "message_detail", "context")
    ]
    told = [part for part in parts if part] or str(error.orig).strip().splitlines()
    return "; ".join(line.strip().rstrip(".") for line in told)
