"""A SQLite file of our own: its transactions, its upkeep, and its errors in words."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DatabaseError, IntegrityError, OperationalError

from warehouse_assets.errors import BusyError, WarehouseError
from warehouse_assets.progress import tell
from warehouse_assets.time_limit import interruptible
from warehouse_assets.warehouse.database import COLUMN_TO_COME, SqlDatabase

_QUIET_MILLISECONDS = 1000
# Changes are all over the indexes of a large table; 2 MB, the default, hold little of it.
_CACHE = -64 * 1024  # in KiB, when negative
# With less SQLite cannot begin its log and the index of that.
_LEAST_SPACE_TO_WRITE = 64 * 1024


class SqliteDatabase(SqlDatabase):
    """A SQLite file."""

    def exists(self) -> bool:
        """Whether there is anything at the file's place."""
        return self.path.exists()

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that is the only writing one; makes the file if there is none."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WarehouseError(
                f"{self.use.name} {self} cannot be written, for its folder cannot be made: "
                f"{error.strerror}. Check the setting {self.use.setting}."
            ) from error
        with self._explained(), self._connect("BEGIN IMMEDIATE") as connection:
            self._wait_for_writers(connection)
            with connection.begin():
                yield connection

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction for reading."""
        if not self.path.exists():
            raise WarehouseError(
                f"There is no warehouse at {self} yet. Materialise the assets "
                "(`make run`, `dagster dev` or `warehouse ingest FILE`), or run "
                "`warehouse rebuild` if the lake has data."
            )
        with self._explained(), self._connect("BEGIN") as connection, connection.begin():
            connection.exec_driver_sql("PRAGMA query_only = ON")  # for as long as it is open
            raw: Any = connection.connection.driver_connection
            with interruptible(raw.interrupt):
                yield connection

    def maintain(self) -> None:
        """Bring the planner's statistics up to date and fold the write-ahead log into the file.

        Readers and a writer go on meanwhile; what they use is folded in the next time.
        """
        if not self.path.exists():
            return
        with self.write() as connection:
            # Samples are enough, whatever the size of the tables.
            connection.exec_driver_sql("PRAGMA analysis_limit = 10000")
            connection.exec_driver_sql("ANALYZE")
        with self._explained(), self._connect("BEGIN") as connection:
            # A checkpoint cannot run inside a transaction.
            checkpoint = connection.execution_options(isolation_level="AUTOCOMMIT")
            checkpoint.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def move_aside_if_unreadable(self) -> Path | None:
        """Rename a SQLite file that is not a readable database; returns its new path, if any."""
        if not self.path.exists():
            return None
        uri = f"{self.path.absolute().as_uri()}?mode=ro"
        try:
            with closing(sqlite3.connect(uri, uri=True)) as connection:
                (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if verdict == "ok":
                return None
        except sqlite3.OperationalError:
            if self.path.is_file():
                # It may be good: another program has locked it, or the disk is read-only. Where it
                # cannot be used, writing says why.
                return None
        except sqlite3.DatabaseError:
            pass
        moment = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S")
        aside = self.path.with_name(f"{self.path.name}.unreadable-{moment}")
        try:
            self.path.rename(aside)
        except OSError as error:
            raise WarehouseError(
                f"{self.use.name} {self} is not a readable SQLite database and cannot be moved "
                f"aside: {error.strerror}. Check that this user may write its folder (setting "
                f"{self.use.setting})."
            ) from error
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        return aside

    @cached_property
    def _engine(self) -> sa.Engine:
        return sqlite_engine(self.url, self._seconds_to_wait)

    def _connect(self, begin: str) -> sa.Connection:
        return self._engine.connect().execution_options(begin=begin)

    def _wait_for_writers(self, connection: sa.Connection) -> None:
        """Return when nobody was writing a moment ago; SQLite itself waits without saying so."""
        raw = connection.connection
        cursor = raw.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {_QUIET_MILLISECONDS}")
        try:
            cursor.execute("BEGIN IMMEDIATE")
            cursor.execute("ROLLBACK")
        except sqlite3.Error as error:
            # Any other error comes again, and is explained, when the transaction begins.
            if "locked" in str(error):
                tell(f"Waiting for a writer of {self}.")
        finally:
            cursor.execute(f"PRAGMA busy_timeout = {int(self._seconds_to_wait * 1000)}")
            cursor.close()

    def _is_disk_full(self) -> bool:
        try:
            return shutil.disk_usage(self.path.parent).free < _LEAST_SPACE_TO_WRITE
        except OSError:
            return False

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OperationalError as error:
            if "locked" in str(error.orig):
                raise BusyError(
                    f"{self.use.name} {self} was locked by another writer for "
                    f"{self._seconds_to_wait} s. See which program holds it open for "
                    "writing; readers do not lock it."
                ) from error
            if self._is_disk_full():  # SQLite may only say "disk I/O error"
                raise WarehouseError(
                    f"{self.use.name} {self} cannot be written: No space left on device."
                ) from error
            if "no such column" in str(error.orig):
                raise WarehouseError(
                    f"{self.use.name} {self}: {error.orig}. {COLUMN_TO_COME}."
                ) from error
            raise WarehouseError(
                f"{self.use.name} {self} cannot be opened or written: {error.orig}. Check "
                f"that this user may write the file and its folder (setting {self.use.setting}) "
                "and that the disk is not full."
            ) from error
        except IntegrityError as error:
            raise WarehouseError(
                f"{self.use.name} {self} does not accept a row: {error.orig}. The lake "
                "holds rows that contradict the declaration of their table; its asset checks "
                "count them."
            ) from error
        except DatabaseError as error:
            raise WarehouseError(
                f"{self.use.name} {self} is not a readable SQLite database: {error.orig}. "
                f"Nothing is lost, {self.use.remedy} (setting {self.use.setting})."
            ) from error


def sqlite_engine(url: sa.URL, seconds_to_wait: float) -> sa.Engine:
    """An engine for the SQLite file at `url`, whose readers never wait for a writer.

    A transaction begins as the execution option `begin` says, such as `BEGIN IMMEDIATE`, and may
    have DDL in it. What a power cut takes is made again: the last transactions, never a part of
    one.
    """
    # No connection is kept: it would go on using a file that was deleted or moved aside.
    engine = sa.create_engine(url, connect_args={"timeout": seconds_to_wait}, poolclass=sa.NullPool)

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, record: Any) -> None:
        connection.isolation_level = None  # transactions begin below
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA cache_size = {_CACHE}")

    @event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))

    return engine
