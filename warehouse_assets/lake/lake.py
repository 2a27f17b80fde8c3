"""The lake: Delta tables in a folder, their locks, and how the engine reads them.

One table is in `table`; how tables change is in `write_modes`.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import duckdb
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from filelock import FileLock, Timeout
from sqlalchemy import Table

from warehouse_assets.errors import BusyError, LakeError
from warehouse_assets.lake.engine import Engine
from warehouse_assets.lake.table import LakeTable
from warehouse_assets.progress import tell
from warehouse_assets.settings import Settings
from warehouse_assets.tables import aggregated, aggregates, column_names, duckdb_type, identifiers

LOCK_TIMEOUT_SECONDS = 3600
LOCK_QUIET_SECONDS = 1.0


class Lake:
    """The Delta tables in one folder, and connections to the engine over them.

    Args:
        folder: where the tables are, a folder each.
        scratch: folder for what the engine spills and sources spool; each process cleans up.
        memory_limit: bytes that the whole process may use, within reason.
    """

    def __init__(self, folder: Path, scratch: Path, memory_limit: int) -> None:
        self.folder = folder
        self.scratch = scratch
        self._engine = Engine(scratch, memory_limit)

    @classmethod
    def of(cls, settings: Settings) -> "Lake":
        """The lake that the settings name; nothing is opened."""
        return cls(settings.lake, settings.scratch, settings.memory_limit)

    def table(self, declaration: Table) -> LakeTable:
        """The table of the lake that `declaration` describes, whether it exists or not."""
        return LakeTable(declaration, self.folder / str(declaration.name))

    def connect(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """A connection to the engine, with tables and views of its own."""
        return self._engine.connect()

    def scratch_folder(self) -> AbstractContextManager[Path]:
        """A folder of this process that is gone when the block ends."""
        return self._engine.scratch_folder()

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
        name = name or str(declaration.name)
        files = self.table(declaration).files(handle) if handle else []
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
            stored = connection.read_parquet(list(files), union_by_name=len(files) > 1)
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
        """Keep every other process of this machine from changing the table `name` meanwhile.

        What is waited for is told, once, when the lock is not free at once.

        Raises:
            BusyError: the lock was not released within an hour.
            LakeError: the lock cannot be written.
        """
        path = self.folder / ".locks" / f"{name}.lock"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path)
            try:
                lock.acquire(timeout=LOCK_QUIET_SECONDS)
            except Timeout:
                tell(f"Waiting for another run that is changing the table {name}.")
                lock.acquire(timeout=LOCK_TIMEOUT_SECONDS)
        except Timeout:
            raise BusyError(
                f"Another process has been changing the table {name} for more than an hour "
                f"(it holds {path}). See what it does; the lock goes with the process."
            ) from None
        except OSError as error:
            raise LakeError(
                f"The lake folder {self.folder} cannot be written: {error}. "
                "Check its permissions (setting LAKE_URI)."
            ) from error
        try:
            yield
        finally:
            lock.release()


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
