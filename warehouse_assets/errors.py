"""What can go wrong, sorted by what helps.

    WarehouseAssetsError
    ├── PermanentError        trying again changes nothing: a person has to act
    │   ├── SettingError      a setting has a value that cannot be used
    │   ├── SourceError       a source, the inbox or the archive cannot be read or written
    │   ├── LakeError         a table of the lake is not what it should be
    │   └── WarehouseError    the SQL database cannot be used
    └── TransientError        trying again may help
        ├── ConflictError     another writer committed to the same table first
        └── BusyError         a lock was not released in time

Every message says what is wrong, where, and what to do.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from warehouse_assets.terminal_text import visible

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
# What DuckDB, Delta and SQLite say when there is none.
_NO_SPACE_IN_WORDS = ("No space left on device", "Disk quota exceeded", "disk is full")


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


class WarehouseError(PermanentError):
    """The SQL database cannot be used."""


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


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Have a full disk met in the block name `path`; of a write, Python does not say where."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE and error.filename is None:
            error.filename = str(path)
        raise
