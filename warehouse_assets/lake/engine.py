"""DuckDB, the engine that reads and computes, and the folder for what it cannot hold in memory."""

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from uuid import uuid4

import duckdb

from warehouse_assets.errors import LakeError, naming

# What Python, Dagster and Delta need beside DuckDB: measured at 250 to 400 MB in a run.
_MEMORY_BESIDE_DUCKDB = 400 * 10**6
_SMALLEST_DUCKDB_MEMORY = 128 * 10**6

_NUMBERS = count()


class Engine:
    """One DuckDB for all of a process, started when it is first used.

    Args:
        scratch: folder for what is spilled and spooled; each process cleans up.
        memory_limit: bytes that the whole process may use, within reason.
    """

    def __init__(self, scratch: Path, memory_limit: int) -> None:
        self._scratch = scratch
        self._memory = max(memory_limit - _MEMORY_BESIDE_DUCKDB, _SMALLEST_DUCKDB_MEMORY)
        self._duckdb: duckdb.DuckDBPyConnection | None = None
        self._one_at_a_time = threading.Lock()

    @contextmanager
    def connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection to the engine, in UTC, with tables and views of its own.

        All connections share the memory limit, the threads and the folder to spill into.
        """
        with self._one_at_a_time:
            if self._duckdb is None:
                self._duckdb = self._start()
            connection = self._duckdb.cursor()
        # Views are of a database, not of a connection: each gets a database in memory.
        own = f"connection_{next(_NUMBERS)}"
        try:
            connection.execute(f"ATTACH ':memory:' AS {own}")
            connection.execute(f"USE {own}")
            yield connection
        finally:
            with suppress(duckdb.Error):  # the engine broke, and has said so
                connection.execute("USE memory")
                connection.execute(f"DETACH {own}")
            connection.close()

    def _start(self) -> duckdb.DuckDBPyConnection:
        """DuckDB within the memory limit, without network extensions."""
        _remove_scratch_of_dead_processes(self._scratch)
        try:
            self._scratch.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _scratch_error(self._scratch, error) from error
        engine = duckdb.connect(
            config={
                "memory_limit": f"{self._memory}B",
                # Made when something is spilled, gone when the engine closes.
                "temp_directory": str(self._scratch / _scratch_name()),
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            }
        )
        # A time without a zone, compared or cast, must not depend on the machine's zone.
        engine.execute("SET GLOBAL TimeZone = 'UTC'")
        return engine

    @contextmanager
    def scratch_folder(self) -> Iterator[Path]:
        """A folder of this process that is gone when the block ends."""
        _remove_scratch_of_dead_processes(self._scratch)
        folder = self._scratch / _scratch_name()
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise _scratch_error(self._scratch, error) from error
        try:
            with naming(folder):
                yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _scratch_name() -> str:
    return f"{os.getpid()}-{uuid4().hex[:8]}"


def _scratch_error(scratch: Path, error: OSError) -> LakeError:
    return LakeError(
        f"The folder {scratch} for temporary files cannot be written: {error.strerror}. "
        "Check its permissions (setting WAREHOUSE_HOME)."
    )


def _remove_scratch_of_dead_processes(scratch: Path) -> None:
    for folder in scratch.glob("*-*"):
        process = folder.name.partition("-")[0]
        if process.isdigit() and not _is_alive(int(process)):
            shutil.rmtree(folder, ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
