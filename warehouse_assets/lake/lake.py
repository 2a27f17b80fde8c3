"""Where the Delta tables are, how one is opened, and how the engine reads them.

How tables change is in `commit`.
"""

import glob
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from filelock import FileLock, Timeout
from sqlalchemy import Table

from warehouse_assets.crash_points import crash_point
from warehouse_assets.errors import BusyError, ConflictError, LakeError
from warehouse_assets.lake.damage import damage_of_log, is_last_entry_empty, remedy
from warehouse_assets.lake.engine import Engine
from warehouse_assets.progress import tell
from warehouse_assets.tables import (
    aggregated,
    aggregates,
    column_names,
    delta_field,
    delta_schema,
    duckdb_type,
    identifiers,
)

_CHANGES_OF_ROWS = {"WRITE", "MERGE"}  # by Delta's names
REARRANGED = "isRearranged"
"""Marks a commit that wrote the same rows into other files."""

LOCK_TIMEOUT_SECONDS = 3600
LOCK_QUIET_SECONDS = 1.0


@dataclass(frozen=True)
class LakeTable:
    """One Delta table of the lake: its declaration and its folder."""

    declaration: Table
    path: Path

    @property
    def name(self) -> str:
        """The table's name, the same in the lake, in SQL and in Dagster."""
        return str(self.declaration.name)

    def exists(self) -> bool:
        """Whether the table has been created."""
        with self._explained():
            return DeltaTable.is_deltatable(self.path.as_uri())

    def open(self) -> DeltaTable:
        """A fresh handle on the newest version; the table is created or given new columns first.

        Raises:
            LakeError: the folder cannot be read or written, or does not hold a usable table.
            ConflictError: another process gave it new columns at the same time.
        """
        with self._explained():
            handle = self.open_existing()
            if handle is not None:
                return handle
            self.path.mkdir(parents=True, exist_ok=True)
            crash_point("table to be created", self.name)
            handle = DeltaTable.create(
                self.path.as_uri(),
                delta_schema(self.declaration),
                mode="ignore",
                name=self.name,
                description=self.declaration.comment,
                configuration={"delta.enableChangeDataFeed": "true"},
            )
            crash_point("table created", self.name)
            return handle

    def open_existing(self) -> DeltaTable | None:
        """As `open`, but None if the table has not been created."""
        with self._explained():
            try:
                handle = DeltaTable(self.path.as_uri())
            except TableNotFoundError:
                return None
            if is_last_entry_empty(self.path, handle.version()):
                raise self._damaged(damage_of_log(self.path))
            known = {field.name for field in handle.schema().fields}
            missing = [c for c in self.declaration.columns if c.name not in known]
            if missing:
                handle.alter.add_columns([delta_field(column) for column in missing])
            return handle

    def files(self, handle: DeltaTable) -> list[str]:
        """The paths of the files of the version that `handle` stands at, as patterns for DuckDB."""
        return self.paths(handle.file_uris())

    def files_added(self, handle: DeltaTable, since: int) -> list[str] | None:
        """The paths of the files added after the version `since`, as patterns for DuckDB.

        None if others were removed meanwhile, or if that is no longer known.
        """
        try:
            before = set(DeltaTable(self.path.as_uri(), version=since).file_uris())
        except DeltaError:
            return None
        now = handle.file_uris()
        return None if before - set(now) else self.paths([u for u in now if u not in before])

    def paths(self, uris: Iterable[str]) -> list[str]:
        """The paths of files that Delta names so, as patterns for DuckDB."""
        # Delta percent-encodes the folder; DuckDB takes `*`, `?` and `[` for other names.
        names = (uri.rpartition("/")[2] for uri in uris)
        return [glob.escape(str(self.path / name)) for name in names]

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except CommitFailedError as error:
            raise conflict(self.name) from error
        except (DeltaError, OSError) as error:
            damage = damage_of_log(self.path)
            if damage:
                raise self._damaged(damage) from error
            said = str(error).partition("\n")[0].rstrip(".")  # then a trace of Rust's may come
            raise LakeError(
                f"The lake table {self.name} in {self.path} cannot be opened: {said}. Check that "
                "the folder can be read and written by this user (setting LAKE_URI)."
            ) from error

    def _damaged(self, damage: str) -> LakeError:
        return LakeError(
            f"The lake table {self.name} cannot be opened: {damage}. "
            f"{remedy(self.declaration, self.path)}"
        )


def changed_at(handle: DeltaTable) -> float | None:
    """When rows of the table were last written, in seconds since 1970.

    None if the log, which maintenance trims, no longer says. Maintenance and new columns do not
    count; a delivery that changed no row does.
    """
    commits = (
        commit
        for commit in handle.history()
        if commit.get("operation") in _CHANGES_OF_ROWS and not commit.get(REARRANGED)
    )
    newest = next(commits, None)
    return None if newest is None else float(newest["timestamp"]) / 1000


def conflict(name: str) -> ConflictError:
    """The error of a commit to the table `name` that another process came before."""
    return ConflictError(
        f"Another process committed to the lake table {name} at the same time. "
        "The same run again continues where this one stopped."
    )


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

    def table(self, declaration: Table) -> LakeTable:
        """The table of the lake that `declaration` describes, whether it exists or not."""
        return LakeTable(declaration, self.folder / str(declaration.name))

    def connect(self) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
        """A connection to the engine, with tables and views of its own."""
        return self._engine.connect()

    def scratch_folder(self) -> AbstractContextManager[Path]:
        """A folder of this process that is gone when the block ends."""
        return self._engine.scratch_folder()

    def check_readable(
        self,
        connection: duckdb.DuckDBPyConnection,
        declaration: Table,
        handle: DeltaTable | None,
    ) -> None:
        """Look whether the files of a table are there and whole: at its log, and at their footers.

        Args:
            handle: as `LakeTable.open_existing` gave it.

        Raises:
            LakeError: one of them cannot be read.
        """
        path = self.table(declaration).path
        if handle is None:
            if next(path.glob("*.parquet"), None) is not None:
                raise _unreadable(declaration, path, "it has Parquet files but no _delta_log")
            return
        for entry in (path / "_delta_log").glob("*.json"):
            if entry.stat().st_size == 0:
                raise _unreadable(declaration, path, f"{entry} is empty")
        files = self.table(declaration).files(handle)
        if files:
            with reading(declaration, path):
                footers = "SELECT count(*) FROM parquet_file_metadata(?)"
                connection.execute(footers, [files]).fetchall()

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
        with reading(declaration, self.table(declaration).path):
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


@contextmanager
def reading(declaration: Table, path: Path) -> Iterator[None]:
    """Have an error of DuckDB about the files of a table in a folder say what to do.

    Raises:
        LakeError: one of them cannot be read.
    """
    try:
        yield
    except (duckdb.IOException, duckdb.InvalidInputException) as error:
        # After the message DuckDB shows the statement.
        raise _unreadable(declaration, path, str(error).partition("\n\n")[0]) from error


def _unreadable(declaration: Table, path: Path, reason: str) -> LakeError:
    return LakeError(
        f"The lake table {declaration.name} cannot be read: {reason.rstrip('.')}. "
        f"{remedy(declaration, path)}"
    )


def _no_rows(connection: duckdb.DuckDBPyConnection, declaration: Table) -> duckdb.DuckDBPyRelation:
    columns = ", ".join(
        f'CAST(NULL AS {duckdb_type(column)}) AS "{column.name}"' for column in declaration.columns
    )
    return connection.sql(f"SELECT {columns} WHERE false")
