"""Connections to the SQL database. What is published into it is in `publish`."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DatabaseError, IntegrityError, OperationalError

from warehouse_assets.errors import BusyError, WarehouseAssetsError, WarehouseError

# How long a writer waits for another one; publishing the largest table takes minutes.
_SECONDS_TO_WAIT_FOR_A_WRITER = 600
_QUIET_MILLISECONDS = 1000
# With less SQLite cannot begin its log and the index of that.
_LEAST_SPACE_TO_WRITE = 64 * 1024


class Warehouse:
    """The SQL database at an SQLAlchemy URL; nothing is opened before it is needed."""

    def __init__(self, url: str) -> None:
        self.url = sa.make_url(url)
        self._engine: sa.Engine | None = None

    def __str__(self) -> str:
        """The database, without password, for people."""
        return self.url.render_as_string(hide_password=True)

    @property
    def path(self) -> Path:
        """The file of a SQLite database."""
        return Path(self.url.database or "")

    @contextmanager
    def write(self, on_wait: Callable[[str], object] = str) -> Iterator[sa.Connection]:
        """A transaction that is the only writing one; readers go on seeing what was before.

        Args:
            on_wait: told what is waited for, once, when another writer is at work.

        Raises:
            WarehouseError: the database cannot be opened, read or written.
            BusyError: another writer did not finish in time.
        """
        with self._explained():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._connect("BEGIN IMMEDIATE") as connection:
                _wait_for_writers(connection, lambda: on_wait(f"Waiting for a writer of {self}."))
                with connection.begin():
                    yield connection

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction for reading; what it reads does not change meanwhile.

        Raises:
            WarehouseError: there is no database yet, or it cannot be opened or read.
        """
        if not self.path.exists():
            raise WarehouseError(
                f"There is no warehouse at {self} yet. Materialise the assets "
                "(`make run`, `dagster dev` or `warehouse ingest FILE`), or run "
                "`warehouse rebuild` if the lake has data."
            )
        with self._explained(), self._connect("BEGIN") as connection, connection.begin():
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
        except sqlite3.DatabaseError as error:
            if "locked" in str(error):  # by a program that can read it
                return None
        moment = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S")
        aside = self.path.with_name(f"{self.path.name}.unreadable-{moment}")
        self.path.rename(aside)
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        return aside

    def _connect(self, begin: str) -> sa.Connection:
        if self._engine is None:
            self._engine = _sqlite_engine(self.url)
        return self._engine.connect().execution_options(begin=begin)

    def _is_disk_full(self) -> bool:
        try:
            return shutil.disk_usage(self.path.parent).free < _LEAST_SPACE_TO_WRITE
        except OSError:
            return False

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except WarehouseAssetsError:
            raise
        except OperationalError as error:
            if "locked" in str(error.orig):
                raise BusyError(
                    f"The warehouse {self} was locked by another writer for "
                    f"{_SECONDS_TO_WAIT_FOR_A_WRITER} s. See which program holds it open for "
                    "writing; readers do not lock it."
                ) from error
            if self._is_disk_full():  # SQLite may only say "disk I/O error"
                raise WarehouseError(
                    f"The warehouse {self} cannot be written: No space left on device."
                ) from error
            raise WarehouseError(
                f"The warehouse {self} cannot be opened or written: {error.orig}. Check that this "
                "user may write the file and its folder (setting WAREHOUSE_URL) and that the "
                "disk is not full."
            ) from error
        except IntegrityError as error:
            raise WarehouseError(
                f"The warehouse {self} does not accept a row: {error.orig}. The lake holds rows "
                "that contradict the declaration of their table; its asset checks count them."
            ) from error
        except DatabaseError as error:
            raise WarehouseError(
                f"The warehouse {self} is not a readable SQLite database: {error.orig}. Nothing "
                "is lost, the lake is the record: `warehouse rebuild` moves the file aside and "
                "writes a new one."
            ) from error
        except OSError as error:
            raise WarehouseError(
                f"The folder of the warehouse {self} cannot be made: {error.strerror}. "
                "Check the setting WAREHOUSE_URL."
            ) from error


def _wait_for_writers(connection: sa.Connection, on_wait: Callable[[], object]) -> None:
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
            on_wait()
    finally:
        cursor.execute(f"PRAGMA busy_timeout = {int(_SECONDS_TO_WAIT_FOR_A_WRITER * 1000)}")
        cursor.close()


def _sqlite_engine(url: sa.URL) -> sa.Engine:
    # No connection is kept: it would go on using a file that was deleted or moved aside.
    engine = sa.create_engine(
        url, connect_args={"timeout": _SECONDS_TO_WAIT_FOR_A_WRITER}, poolclass=sa.NullPool
    )

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, record: Any) -> None:
        connection.isolation_level = None  # transactions begin below, DDL included
        # Readers see the state before a transaction until it ends, and never wait for it.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")

    @event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))

    return engine
