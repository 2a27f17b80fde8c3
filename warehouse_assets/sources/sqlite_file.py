"""A SQLite database that another program writes: noticing changes, and opening it to read only.

The other program must not notice the reader. Two things would disturb it. Opening a database in
WAL mode that nobody has open makes files beside it, which the writer may not be allowed to
write; and closing a plain file takes away all locks that this process holds on it (POSIX), also
those of a SQLite connection elsewhere in the process. Hence: what would need files made is
copied and the copy is read, and a plain file that has been opened stays open.
"""

import os
import shutil
import stat
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import xxhash

from warehouse_assets.errors import BusyError
from warehouse_assets.sources.sqlite_reader import NeedsWritingError, Patron, Reader, unreadable

_PATIENCE_SECONDS = 60.0
# Of a file changed less than this ago a later change may not show: some file systems keep the
# time of a change in steps of two seconds.
_SETTLED_SECONDS = 3.0
_TICK_SECONDS = 0.1
_TRIES = 20
_CHUNK_BYTES = 1 << 20

_HEADER_BYTES = 100
_READ_VERSION = 19  # where the header says how the database is to be read
_WAL_VERSION = 2
_CHANGE_COUNTER = slice(24, 28)

_kept_open: dict[tuple[int, int], int] = {}
_one_at_a_time = threading.Lock()

Status = tuple[int, ...]
_CHANGED, _STATUS_CHANGED = 3, 4


@dataclass(frozen=True)
class SqliteFile:
    """A database at `path`, which the setting named `setting` says.

    Args:
        patience_seconds: how long a lock of the writer is waited for.
    """

    path: Path
    setting: str
    patience_seconds: float = _PATIENCE_SECONDS

    def exists(self) -> bool:
        """Whether there is something at the path.

        Raises:
            SourceError: that cannot be told.
        """
        try:
            return _status(self.path) is not None
        except OSError as error:
            raise unreadable(self.path, self.setting, error.strerror) from error

    def fingerprint(self) -> int | None:
        """A number that changes with the content; None if a later change might not show in it."""
        real = self.path.resolve()
        statuses = _statuses(real, ("-wal",))
        counter = self._header()[_CHANGE_COUNTER]
        if _seconds_since_change(statuses) < _SETTLED_SECONDS:
            return None
        return xxhash.xxh3_64_intdigest(repr((statuses, counter)).encode())

    @contextmanager
    def opened(self, scratch: Path, tell: Callable[[str], object]) -> Iterator[Reader]:
        """The database open for reading.

        Args:
            scratch: a folder for a copy, where one is needed.
            tell: told when a lock is waited for.

        Raises:
            SourceError: it cannot be read, or is no database.
            BusyError: it is locked or changed all the time.
        """
        patron = Patron(self.path, self.setting, self.patience_seconds, tell)
        with closing(self._reader(patron, scratch)) as reader:
            yield reader

    def _reader(self, patron: Patron, scratch: Path) -> Reader:
        real = self.path.resolve()
        for _ in range(_TRIES):
            if not self._is_wal_that_nobody_has_open(real):
                # But for a program that died in the middle of a change: SQLite has to take that
                # back first.
                with suppress(NeedsWritingError):
                    return Reader(patron, real, "ro")
            if copy := self._copy(real, scratch):
                return Reader(patron, copy, "rw")
            time.sleep(_TICK_SECONDS)
        raise BusyError(
            f"The database {self.path} was changed each time it was copied to be read (setting "
            f"{self.setting}). The next run tries again."
        )

    def _is_wal_that_nobody_has_open(self, real: Path) -> bool:
        is_wal = self._header()[_READ_VERSION : _READ_VERSION + 1] == bytes([_WAL_VERSION])
        return is_wal and not _beside(real, "-shm").exists()

    def _header(self) -> bytes:
        try:
            if not stat.S_ISREG(self.path.stat().st_mode):
                raise unreadable(self.path, self.setting, "it is not a file")
            return os.pread(_keep_open(self.path), _HEADER_BYTES, 0)
        except OSError as error:
            raise unreadable(self.path, self.setting, error.strerror) from error

    def _copy(self, real: Path, scratch: Path) -> Path | None:
        """A copy of the database, with the files of changes not yet made or not yet taken back.

        None if something changed meanwhile, or may have: of two changes in one tick the second
        does not show.
        """
        target = scratch / "copy.db"
        before = _statuses(real)
        if 0 <= _seconds_since_change(before) <= _TICK_SECONDS:
            return None
        self._copy_files(real, target)
        return target if _statuses(real) == before else None

    def _copy_files(self, real: Path, target: Path) -> None:
        source, position = _keep_open(real), 0
        with target.open("wb") as writer:
            while chunk := os.pread(source, _CHUNK_BYTES, position):
                position += writer.write(chunk)
        for end in ("-wal", "-journal"):
            # SQLite keeps no locks in these: they may be closed.
            copy, original = _beside(target, end), _beside(real, end)
            copy.unlink(missing_ok=True)
            try:
                reader = original.open("rb")
            except FileNotFoundError:
                continue
            except OSError as error:
                reason = f"{original.name}: {error.strerror}"
                raise unreadable(self.path, self.setting, reason) from error
            with reader, copy.open("wb") as writer:
                shutil.copyfileobj(reader, writer)


def _beside(path: Path, end: str) -> Path:
    return path.with_name(path.name + end)


def _statuses(real: Path, ends: Sequence[str] = ("-wal", "-journal")) -> list[Status | None]:
    """What changes when the database or one of the files beside it does."""
    # Of the latter, SQLite sets the owner to what it is when root opens the database.
    beside = (_status(_beside(real, end)) for end in ends)
    return [_status(real), *(status and status[:_STATUS_CHANGED] for status in beside)]


def _status(path: Path) -> Status | None:
    """What changes when the file does; None if there is none."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,  # nobody can set it
    )


def _seconds_since_change(statuses: Sequence[Status | None]) -> float:
    newest = max((max(status[_CHANGED:]) for status in statuses if status), default=0)
    return time.time() - newest / 1e9


def _keep_open(path: Path) -> int:
    """A descriptor of the file, which stays open until the file is deleted or the process ends."""
    with _one_at_a_time:
        for key, descriptor in list(_kept_open.items()):
            if os.fstat(descriptor).st_nlink == 0:
                os.close(_kept_open.pop(key))
        status = path.stat()
        key = (status.st_dev, status.st_ino)
        if key not in _kept_open:
            _kept_open[key] = os.open(path, os.O_RDONLY)
        return _kept_open[key]
