"""Locks that keep other processes from changing a table: in a file, or in PostgreSQL.

Both go with the process that holds them. That of a file is for the processes of one machine, that
of PostgreSQL for all that use the database. A lock only saves work that would be refused: what
keeps a table right is that a commit is the next version or none.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import sqlalchemy as sa
from filelock import FileLock, Timeout

from warehouse_assets.databases import postgresql_engine
from warehouse_assets.errors import BusyError, LakeError, WarehouseError
from warehouse_assets.progress import tell

LOCK_TIMEOUT_SECONDS = 3600
LOCK_QUIET_SECONDS = 1.0
_NOT_AVAILABLE = "55P03"


@contextmanager
def file_lock(path: Path, name: str) -> Iterator[None]:
    """Keep every other process of this machine from changing the table `name` meanwhile.

    What is waited for is told, once, when the lock is not free at once.

    Raises:
        BusyError: the lock was not released within an hour.
        LakeError: the lock cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        try:
            lock.acquire(timeout=LOCK_QUIET_SECONDS)
        except Timeout:
            _tell_of_waiting(name)
            lock.acquire(timeout=LOCK_TIMEOUT_SECONDS)
    except Timeout:
        raise _busy(name, str(path)) from None
    except OSError as error:
        raise LakeError(
            f"The lock {path} of the table {name} cannot be written: {error}. Check the folder's "
            "permissions (settings LAKE_URI and WAREHOUSE_HOME)."
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def postgresql_lock(url: sa.URL, place: str, name: str) -> Iterator[None]:
    """As `file_lock`, but keep out every process that takes its locks from the same database.

    It is an advisory lock of a connection of its own. Should that break, the lock is gone, and a
    commit is refused if another process has been faster.

    Args:
        place: of the lake.

    Raises:
        BusyError: the lock was not released within an hour.
        WarehouseError: the database gives no lock.
    """
    digest = hashlib.blake2b(f"{place}/{name}".encode(), digest_size=8).digest()
    key = int.from_bytes(digest, "big", signed=True)
    engine = postgresql_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    try:
        connection = engine.connect()
    except sa.exc.DBAPIError as error:
        raise _no_lock(name, error) from error
    try:
        if not _is_locked(connection, name, key, LOCK_QUIET_SECONDS):
            _tell_of_waiting(name)
            if not _is_locked(connection, name, key, LOCK_TIMEOUT_SECONDS):
                raise _busy(name, f"the advisory lock {key} in PostgreSQL, see pg_locks")
        yield
    finally:
        with suppress(sa.exc.DBAPIError):  # it broke, and the lock went with it
            connection.close()


def _is_locked(connection: sa.Connection, name: str, key: int, seconds: float) -> bool:
    try:
        connection.execute(
            sa.select(sa.func.set_config("lock_timeout", f"{int(seconds * 1000)}", False))
        )
        connection.execute(sa.select(sa.func.pg_advisory_lock(key)))
    except sa.exc.DBAPIError as error:
        if getattr(error.orig, "pgcode", None) == _NOT_AVAILABLE:
            return False
        raise _no_lock(name, error) from error
    return True


def _no_lock(name: str, error: sa.exc.DBAPIError) -> WarehouseError:
    said = str(error.orig).strip().partition("\n")[0].rstrip(".")
    return WarehouseError(
        f"PostgreSQL gives no lock of the table {name}: {said}. Nothing is half done. Check that "
        "the server runs and lets this user in (setting WAREHOUSE_URL)."
    )


def _tell_of_waiting(name: str) -> None:
    tell(f"Waiting for another run that is changing the table {name}.")


def _busy(name: str, what: str) -> BusyError:
    return BusyError(
        f"Another process has been changing the table {name} for more than an hour (it holds "
        f"{what}). See what it does; the lock goes with the process."
    )
