"""The lake: Delta tables in one place, their locks, and DuckDB, which reads and computes.

One table is in `table`; how tables change is in `write_modes`.
"""

import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from uuid import uuid4

import duckdb
import sqlalchemy as sa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from sqlalchemy import Table

from warehouse_assets.errors import LakeError, naming
from warehouse_assets.lake.locks import file_lock, postgresql_lock
from warehouse_assets.lake.spark import SparkServer
from warehouse_assets.lake.storage import make_readable, place_of, store_explained
from warehouse_assets.lake.table import LakeTable
from warehouse_assets.settings import Settings
from warehouse_assets.tables import aggregated, aggregates, column_names, duckdb_type, identifiers
from warehouse_assets.time_limit import interruptible

# What Python, Dagster and Delta need beside DuckDB: measured at 250 to 400 MB in a run.
_MEMORY_BESIDE_DUCKDB = 400 * 10**6
SMALLEST_DUCKDB_MEMORY = 128 * 10**6

# What the SELECTs of tables need of Spark's functions and DuckDB calls otherwise.
_AS_IN_SPARK = """
CREATE MACRO unix_micros(t) AS epoch_us(t);
CREATE MACRO explode(l) AS unnest(l);
CREATE MACRO sequence(a, b) AS generate_series(a, b);
"""

_NUMBERS = count()


class Lake:
    """The Delta tables in one place, and one DuckDB over them, started when it is first used.

    Args:
        folder: where the tables are, a folder each; or `s3://BUCKET/PREFIX`.
        scratch: folder for what DuckDB spills and sources spool; each process cleans up.
        memory_limit: bytes that the whole process may use, within reason.
        engine_url: of the Spark Connect server that computes tables; None means DuckDB.
        is_by_week: whether tables that declare `is_kept_by_week` have files by week.
        locks: a PostgreSQL database that has the locks of tables in object storage.
    """

    def __init__(
        self,
        folder: Path | str,
        scratch: Path,
        memory_limit: int,
        engine_url: str | None = None,
        is_by_week: bool = False,
        locks: sa.URL | None = None,
    ) -> None:
        self.folder = place_of(folder)
        self._locks = locks
        self.scratch = scratch
        self._memory_limit = memory_limit
        self._is_by_week = is_by_week
        self._duckdb: duckdb.DuckDBPyConnection | None = None
        self._one_at_a_time = threading.Lock()
        self.server = SparkServer(engine_url) if engine_url else None

    @classmethod
    def of(cls, settings: Settings) -> "Lake":
        """The lake that the settings name; nothing is opened."""
        warehouse = sa.make_url(settings.warehouse_url)
        return cls(
            settings.lake,
            settings.scratch,
            settings.memory_limit,
            settings.engine_url,
            settings.partition_by_week,
            warehouse if warehouse.get_backend_name() == "postgresql" else None,
        )

    @property
    def computed_by(self) -> str:
        """What runs the SELECTs of tables, in words."""
        return f"Spark Connect at {self.server.place}" if self.server else "DuckDB"

    def table(self, declaration: Table) -> LakeTable:
        """The table of the lake that `declaration` describes, whether it exists or not."""
        keeps_weeks = self._is_by_week and bool(declaration.info.get("is_kept_by_week"))
        return LakeTable(declaration, self.folder / str(declaration.name), keeps_weeks)

    @contextmanager
    def connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection to DuckDB, in UTC, with tables and views of its own.

        All connections share the memory limit, the threads and the folder to spill into.
        """
        with self._one_at_a_time:
            if self._duckdb is None:
                self._duckdb = start_duckdb(self.scratch, self._memory_limit)
                make_readable(self.folder, self._duckdb)
            connection = self._duckdb.cursor()
        # Views are of a database, not of a connection: each gets a database in memory.
        own = f"connection_{next(_NUMBERS)}"
        try:
            connection.execute(f"ATTACH ':memory:' AS {own}")
            connection.execute(f"USE {own}")
            connection.execute(_AS_IN_SPARK)
            with store_explained(self.folder), interruptible(connection.interrupt):
                yield connection
        finally:
            with suppress(duckdb.Error):  # DuckDB broke, and has said so
                connection.execute("USE memory")
                connection.execute(f"DETACH {own}")
            connection.close()

    @contextmanager
    def scratch_folder(self) -> Iterator[Path]:
        """A folder of this process that is gone when the block ends."""
        folder = _new_scratch(self.scratch, is_made=True)
        try:
            with naming(folder):
                yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def view_newest(self, connection: duckdb.DuckDBPyConnection, declaration: Table) -> None:
        """Make the newest version readable in SQL; a table that does not exist is empty."""
        self.view(connection, declaration, self.table(declaration).open_existing())

    def view(
        self,
        connection: duckdb.DuckDBPyConnection,
        declaration: Table,
        handle: DeltaTable | None,
        name: str | None = None,
    ) -> None:
        """Make the version that `handle` stands at readable in SQL, as `name` or the table's name.

        Partial rows of an aggregated table (see `tables.aggregates`) are read as one.

        Raises:
            LakeError: a file of the table cannot be read.
        """
        files = self.table(declaration).files(handle) if handle else []
        self.view_rows(connection, declaration, files, name or str(declaration.name))

    def view_rows(
        self,
        connection: duckdb.DuckDBPyConnection,
        declaration: Table,
        files: Sequence[str],
        name: str,
    ) -> None:
        """As `view_files`, but partial rows of an aggregated table are read as one."""
        if not aggregates(declaration):
            self.view_files(connection, declaration, files, name)
            return
        self.view_files(connection, declaration, files, f"_partial_{name}")
        rows = aggregated(declaration, f'"_partial_{name}"')
        connection.sql(rows).create_view(name, replace=True)

    def view_files(
        self,
        connection: duckdb.DuckDBPyConnection,
        declaration: Table,
        files: Sequence[str],
        name: str,
    ) -> None:
        """Make the rows of some files of a table readable in SQL; none make no rows.

        Args:
            files: as of `LakeTable.files`.

        Raises:
            LakeError: a file of the table cannot be read.
        """
        if not files:
            _no_rows(connection, declaration).create_view(name, replace=True)
            return
        with self.table(declaration).reading():
            # What folders are called tells nothing of the rows.
            stored = connection.read_parquet(
                list(files), union_by_name=len(files) > 1, hive_partitioning=False
            )
        names = column_names(declaration)
        if set(stored.columns) >= set(names):
            stored.select(identifiers(names)).create_view(name, replace=True)
            return
        # Files older than a column lack it: it is null there.
        stored.create_view(f"_stored_{name}", replace=True)
        _no_rows(connection, declaration).create_view(f"_empty_{name}", replace=True)
        connection.sql(f'FROM "_empty_{name}" UNION ALL BY NAME FROM "_stored_{name}"').create_view(
            name, replace=True
        )

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Keep other processes from changing the table `name` meanwhile.

        Those of this machine, or where the lake is in object storage and there is a PostgreSQL
        database for it, those of every machine.

        Raises:
            BusyError: the lock was not released within an hour.
            LakeError: the lock cannot be written.
            WarehouseError: the database gives no lock.
        """
        if isinstance(self.folder, Path):
            lock = file_lock(self.folder / ".locks" / f"{name}.lock", name)
        elif self._locks is not None:
            lock = postgresql_lock(self._locks, str(self.folder), name)
        else:
            lock = file_lock(self.scratch / "locks" / f"{name}.lock", name)
        with lock:
            yield


def start_duckdb(scratch: Path, memory_limit: int) -> duckdb.DuckDBPyConnection:
    """DuckDB within the memory limit, without network extensions."""
    memory = max(memory_limit - _MEMORY_BESIDE_DUCKDB, SMALLEST_DUCKDB_MEMORY)
    engine = duckdb.connect(
        config={
            "memory_limit": f"{memory}B",
            # Made when something is spilled, gone when DuckDB closes.
            "temp_directory": str(_new_scratch(scratch)),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )
    # A time without a zone, compared or cast, must not depend on the machine's zone.
    engine.execute("SET GLOBAL TimeZone = 'UTC'")
    return engine


def view_changes(
    connection: duckdb.DuckDBPyConnection, handle: DeltaTable, since: int, name: str
) -> bool:
    """Make the temporary table `name` of what changed after the version `since`.

    That is Delta's change data feed. It has the table's columns, `_commit_version`, and
    `_change_type`: `insert`, `delete`, `update_preimage` or `update_postimage`. Reading it costs
    what changed.

    Returns False, and makes nothing, if the feed has been vacuumed.
    """
    if since >= handle.version():
        return False
    try:
        feed = handle.load_cdf(starting_version=since + 1, ending_version=handle.version())
        connection.register("_feed", feed)
        connection.execute(f'CREATE OR REPLACE TEMP TABLE "{name}" AS FROM _feed')
    except (DeltaError, duckdb.InvalidInputException):
        # Of a part of the log Delta says so at once, of a file when the feed comes to it.
        return False
    connection.unregister("_feed")
    return True


def _no_rows(connection: duckdb.DuckDBPyConnection, declaration: Table) -> duckdb.DuckDBPyRelation:
    columns = ", ".join(
        f'CAST(NULL AS {duckdb_type(column)}) AS "{column.name}"' for column in declaration.columns
    )
    return connection.sql(f"SELECT {columns} WHERE false")


def _new_scratch(scratch: Path, is_made: bool = False) -> Path:
    """A folder of this process for temporary files; those of dead processes are removed."""
    for left in scratch.glob("*-*"):
        process = left.name.partition("-")[0]
        if process.isdigit() and not _is_alive(int(process)):
            shutil.rmtree(left, ignore_errors=True)
    folder = scratch / f"{os.getpid()}-{uuid4().hex[:8]}"
    try:
        (folder if is_made else scratch).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LakeError(
            f"The folder {scratch} for temporary files cannot be written: {error.strerror}. "
            "Check its permissions (setting WAREHOUSE_HOME)."
        ) from error
    return folder


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is somebody else's
        return True
    return True
