"""What can go wrong, sorted by what helps.

    WarehouseAssetsError
    ├── PermanentError        trying again changes nothing: a person has to act
    │   ├── SettingError      a setting has a value that cannot be used
    │   ├── SourceError       a source, the inbox or the archive cannot be read or written
    │   ├── LakeError         a table of the lake is not what it should be
    │   │   └── StoreError    the object storage that holds it refuses, or does not answer
    │   ├── WarehouseError    the SQL database cannot be used
    │   ├── EngineError       the server that computes tables refuses, or does not answer
    │   ├── UsageError        there is not, or cannot be, what was asked for
    │   └── GoneError         what was asked for was there, and is no longer kept
    └── TransientError        trying again may help
        ├── ConflictError     another writer committed to the same table first
        └── BusyError         a lock was not released in time

Every message says what is wrong, where, and what to do.
"""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from warehouse_assets.terminal_text import visible

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
# What DuckDB, Delta and SQLite say when there is none.
_NO_SPACE_IN_WORDS = ("No space left on device", "Disk quota exceeded", "disk is full")
_NOT_WRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EFBIG)
_NOT_WRITABLE_IN_WORDS = (
    "Read-only file system",
    "readonly database",
    "unable to open database file",
    "disk I/O error",
    "File too large",
    "Permission denied",
)


class WarehouseAssetsError(Exception):
    """Any error whose message is meant for the person who runs the warehouse.

    Whatever of the data is in the message, it is safe to print.
    """

    def __str__(self) -> str:
        return visible(super().__str__(), "\n")


class PermanentError(WarehouseAssetsError):
    """Trying again changes nothing: a person has to act."""


class SettingError(PermanentError):
    """A setting has a value that cannot be used; the message names the setting."""


class SourceError(PermanentError):
    """A source, the inbox or the archive cannot be read or written."""


class LakeError(PermanentError):
    """A table of the lake is not what it should be."""


class StoreError(LakeError):
    """The object storage that holds the lake refuses, or does not answer after several tries."""


class WarehouseError(PermanentError):
    """The SQL database cannot be used."""


class UsageError(PermanentError):
    """There is not, or cannot be, what was asked for."""


class GoneError(PermanentError):
    """What was asked for was there, and is no longer kept; the message says since when all is."""


class EngineError(PermanentError):
    """The server that computes tables does not answer, after several tries, or refuses a SELECT."""


class TransientError(WarehouseAssetsError):
    """Trying again may help."""


class ConflictError(TransientError):
    """Another writer committed to the same table first."""


class BusyError(TransientError):
    """A lock was not released in time."""


def is_disk_full(error: BaseException) -> bool:
    """Whether `error` is, or came of, a disk or a quota without space."""
    if isinstance(error, OSError) and error.errno in _NO_SPACE:
        return True
    if any(words in str(error) for words in _NO_SPACE_IN_WORDS):
        return True
    return error.__cause__ is not None and is_disk_full(error.__cause__)


def trouble_of_disk(error: BaseException) -> str | None:
    """What is wrong and what to do, if `error` came of a disk that is full or cannot be written."""
    text = str(getattr(error, "orig", None) or error).strip().rstrip(".")
    if is_disk_full(error):
        return f"The disk is full: {text}. Free some space and try again; nothing is half done."
    is_of_disk = isinstance(error, OSError) and error.errno in _NOT_WRITABLE
    if is_of_disk or any(words in text for words in _NOT_WRITABLE_IN_WORDS):
        return (
            f"A file cannot be written, or not be read: {text}. Check that its disk is not mounted "
            "read-only and that this user has the permission, or set WAREHOUSE_HOME."
        )
    return None


@contextmanager
def naming(path: Path, size: int | None = None) -> Iterator[None]:
    """Have a full disk met in the block name `path`; of a write, Python does not say where.

    Args:
        size: how many bytes the file was to have; the error then says how many there is room for.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE:
            if error.filename is None:
                error.filename = str(path)
            if size is not None:
                room = shutil.disk_usage(path.parent).free + path.stat().st_size
                error.strerror = f"{error.strerror}, for {size:,} bytes where {room:,} are free"
        raise
