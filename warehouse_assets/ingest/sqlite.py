"""A table of a SQLite database that another program writes, read without disturbing that program.

Opening a database in WAL mode that nobody has open would make files beside it, which the writer
may then not be allowed to write; and what a program that died left half done would have to be
taken back first. In both cases the database is copied and the copy is read.

With a write-ahead log all rows are of one moment. In rollback mode, where a writer cannot commit
while somebody reads, they are read some thousands at a time, in the order of their row numbers: of
a change behind the reading only a part may be seen, but then the file looks different, and the
next reading sees all of it.
"""

import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    retry_if_exception_type,
    stop_after_attempt,
    wait_fixed,
)

from warehouse_assets.errors import BusyError, SourceError, WarehouseAssetsError
from warehouse_assets.ingest.sql_source import (
    Page,
    SqlSource,
    decoded,
    found_name,
    quoted,
)
from warehouse_assets.progress import tell

_LOCKED = ("is locked", "locking protocol")
_NEEDS_WRITING = ("attempt to write a readonly database", "unable to open database file")
_UNDECODABLE = ("Could not decode",)
_SECONDS_PER_TRY = 1.0
# SQLite takes a change that just begins or ends for one whose program died, and looks twice only
# where it may write.
_SECONDS_OF_DOUBT = 0.2
_SECONDS_BETWEEN_TRIES = 0.02
# Of two changes in one tick of a file system's clock the second may not show.
_TICK_SECONDS = 0.1
_COPIES_TRIED = 20

_HEADER_BYTES = 20
_READ_VERSION = 19  # where the header says how the database is to be read
_WAL_VERSION = 2
_ROW_NUMBERS = ("rowid", "_rowid_", "oid")

_T = TypeVar("_T")
_Status = tuple[int, ...]
_CHANGED, _STATUS_CHANGED = 3, 4


class _NeedsWritingError(BusyError):
    """SQLite cannot read the database without writing to it first."""


class _ChangedError(Exception):
    """The database was changed while it was copied."""


class SqliteReader:
    """Reads a table, or view, of the database at `path`; a row's position is its row number.

    Args:
        scratch: a folder for a copy, where one is needed.

    Attributes:
        place: the database, for people.
        unit: what `rejected_records` calls it; there each reading also has its number.
        expected: about how many rows there are, once the first page is read.
        unknown: its columns that are not read, once the first page is.
    """

    def __init__(self, path: Path, source: SqlSource, scratch: Path) -> None:
        self.place = f"database {path}"
        self.unit = path.name
        self.expected = 0
        self.unknown: Sequence[str] = ()
        self._path = path
        self._source = source
        self._scratch = scratch
        self._is_told = False
        self._retry = Retrying(
            retry=retry_if_exception(_may_pass),
            stop=self._is_over,
            wait=wait_fixed(_SECONDS_BETWEEN_TRIES),
            before_sleep=self._tell_of_lock,
            reraise=True,
        )

    def exists(self) -> bool:
        """Whether there is something at the path; SourceError if that cannot be told."""
        try:
            return _status(self._path) is not None
        except OSError as error:
            raise self._unreadable(error.strerror) from error

    def fingerprints(self) -> Iterator[tuple[str, object]]:
        """What changes whenever the rows may have, and what it is called: the state of the file.

        If a change might not show, nothing. It is of what `pages` gives, or of older rows.
        """
        statuses = _statuses(self._path.resolve(), ("-wal",))
        if _seconds_since_change(statuses) >= self._source.limits.settled_seconds:
            yield "fingerprint", statuses

    def glance(self) -> str | None:
        """The fingerprint; None while there is no file, or one that is being written."""
        found = list(self.fingerprints()) if self.exists() else []
        return repr(found[0]) if found else None

    def pages(self) -> Iterator[Page]:
        """All rows, in the order of their row numbers.

        Raises:
            SourceError: the database cannot be read, or is not what it should be.
            BusyError: it could not be read now.
        """
        with closing(self._opened()) as connection:
            relation, row_number, names = self._shape(connection)
            newest = self._rows(connection, f"SELECT max({row_number}) FROM {relation}")
            self.expected = newest[0][0] or 0
            if self._rows(connection, "PRAGMA journal_mode") == [("wal",)]:
                self._rows(connection, "BEGIN")
            select = (
                f"SELECT {row_number}, {', '.join(map(quoted, names.values()))} FROM {relation}"
            )
            after, last, number = "", list[Any](), self._source.limits.first_rows
            while rows := self._rows(
                connection, f"{select} {after} ORDER BY {row_number} LIMIT {number}", last
            ):
                positions, *columns = zip(*rows, strict=True)
                page = Page.of(list(names), positions, columns)
                yield page
                number = page.rows_for_next(self._source.limits)
                after, last = f"WHERE {row_number} > ?", [positions[-1]]

    def close(self) -> None:
        """Do nothing: the database is open only while pages are read."""

    def _shape(self, connection: sqlite3.Connection) -> tuple[str, str, dict[str, str]]:
        """The relation in SQL, its row number and its columns; what has none is copied first."""
        tables = {
            str(name): (kind, is_without)
            for _, name, kind, _, is_without, *_ in self._rows(connection, "PRAGMA main.table_list")
            if not str(name).startswith("sqlite_")
        }
        name = found_name(self._source.name, sorted(tables))
        if name is None:
            words = f"has no table {self._source.name}"
            raise self._source.not_as_it_should_be(self.place, words, "tables", sorted(tables))
        relation = quoted(name)
        # Without those that only a virtual table has, and that are hidden.
        described = self._rows(connection, f"PRAGMA main.table_xinfo({relation})")
        found = [str(column[1]) for column in described if column[-1] != 1]
        columns = self._source.matched(found, self.place)
        self.unknown = [there for there in found if there not in columns.values()]
        hidden = {there.casefold() for there in found}
        row_number = next((n for n in _ROW_NUMBERS if n not in hidden), None)
        if row_number and tables[name] == ("table", 0):
            return relation, row_number, columns
        # A view, or a table WITHOUT ROWID: SQLite itself copies it in one go, and fast.
        selected = ", ".join(f"{quoted(there)} AS {quoted(n)}" for n, there in columns.items())
        self._rows(connection, f"CREATE TEMP TABLE _copied AS SELECT {selected} FROM {relation}")
        return "temp._copied", "rowid", {name: name for name in columns}

    def _opened(self) -> sqlite3.Connection:
        """A connection to the database, or to a copy of it."""
        retry = Retrying(
            retry=retry_if_exception_type(_ChangedError),
            stop=stop_after_attempt(_COPIES_TRIED),
            wait=wait_fixed(_TICK_SECONDS),
            reraise=True,
        )
        try:
            return retry(self._opened_once)
        except _ChangedError as error:
            raise BusyError(
                f"The {self.place} was changed each time it was copied to be read (setting "
                f"{self._source.setting}). The next run tries again."
            ) from error

    def _opened_once(self) -> sqlite3.Connection:
        real = self._path.resolve()
        if not self._is_wal_that_nobody_has_open(real):
            # But for a program that died in the middle of a change: SQLite has to take that back.
            with suppress(_NeedsWritingError):
                return self._connection(real, "ro")
        return self._connection(self._copy(real), "rw")

    def _connection(self, path: Path, mode: str) -> sqlite3.Connection:
        def connect() -> sqlite3.Connection:
            return sqlite3.connect(
                f"file:{quote(os.fsencode(path))}?mode={mode}",
                uri=True,
                timeout=min(_SECONDS_PER_TRY, self._source.limits.patience_seconds),
                isolation_level=None,
            )

        connection = self._patiently(connect)
        try:
            self._rows(connection, "SELECT count(*) FROM sqlite_master")
        except WarehouseAssetsError:
            connection.close()
            raise
        return connection

    def _rows(
        self, connection: sqlite3.Connection, statement: str, values: Sequence[Any] = ()
    ) -> list[tuple[Any, ...]]:
        """All rows of `statement`, which is a transaction by itself; locks are waited for."""

        def fetch() -> list[tuple[Any, ...]]:
            try:
                return connection.execute(statement, values).fetchall()
            except sqlite3.OperationalError as error:
                if not _says(error, _UNDECODABLE):
                    raise
                connection.text_factory = decoded
                return connection.execute(statement, values).fetchall()

        return self._patiently(fetch)

    def _patiently(self, work: Callable[[], _T]) -> _T:
        try:
            return self._retry(work)
        except sqlite3.Error as error:
            raise self._explained(error) from error

    def _is_over(self, state: RetryCallState) -> bool:
        limits = self._source.limits
        seconds = limits.patience_seconds if _is_of_lock(state) else _SECONDS_OF_DOUBT
        return (state.seconds_since_start or 0.0) >= seconds

    def _tell_of_lock(self, state: RetryCallState) -> None:
        if _is_of_lock(state) and not self._is_told:
            tell(f"Waiting for another program that has locked {self._path}.")
            self._is_told = True

    def _is_wal_that_nobody_has_open(self, real: Path) -> bool:
        if not real.is_file():
            raise self._unreadable("it is not a file")
        try:
            with real.open("rb") as stream:
                header = stream.read(_HEADER_BYTES)
        except OSError as error:
            raise self._unreadable(error.strerror) from error
        is_wal = header[_READ_VERSION:] == bytes([_WAL_VERSION])
        return is_wal and not _beside(real, "-shm").exists()

    def _copy(self, real: Path) -> Path:
        """A copy of the database, with the files of changes not yet made or not yet taken back.

        Raises:
            _ChangedError: something changed meanwhile, or may have.
        """
        target = self._scratch / "copy.db"
        before = _statuses(real)
        if 0 <= _seconds_since_change(before) <= _TICK_SECONDS:
            raise _ChangedError
        for end in ("", "-wal", "-journal"):
            copy, original = _beside(target, end), _beside(real, end)
            copy.unlink(missing_ok=True)
            try:
                shutil.copyfile(original, copy)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise self._unreadable(f"{original.name}: {error.strerror}") from error
        if _statuses(real) != before:
            raise _ChangedError
        return target

    def _unreadable(self, reason: str | None) -> SourceError:
        return SourceError(
            f"The {self.place} cannot be read: {reason}. Check the file and its permissions, or "
            f"whether the setting {self._source.setting} names the right one."
        )

    def _explained(self, error: sqlite3.Error) -> WarehouseAssetsError:
        setting = self._source.setting
        if _says(error, _LOCKED):
            return BusyError(
                f"The {self.place} has been locked by another program for more than "
                f"{self._source.limits.patience_seconds:g} seconds. See what that program does "
                f"(setting {setting}); what was not read yet, the next run reads."
            )
        if _says(error, _NEEDS_WRITING):
            return _NeedsWritingError(
                f"The {self.place} was left in the middle of a change by a program that died "
                f"(setting {setting}). The next run reads it as it was before that change."
            )
        if "is not a database" in str(error):
            return self._unreadable("it is not a SQLite database, or an encrypted one")
        return self._unreadable(str(error))


def _says(error: BaseException | None, words: Sequence[str]) -> bool:
    # Before Python 3.11 the words are all that tells the errors apart.
    return isinstance(error, sqlite3.Error) and any(word in str(error) for word in words)


def _may_pass(error: BaseException) -> bool:
    return _says(error, (*_LOCKED, *_NEEDS_WRITING))


def _is_of_lock(state: RetryCallState) -> bool:
    return state.outcome is not None and _says(state.outcome.exception(), _LOCKED)


def _beside(path: Path, end: str) -> Path:
    return path.with_name(path.name + end)


def _statuses(real: Path, ends: Sequence[str] = ("-wal", "-journal")) -> list[_Status | None]:
    """What changes when the database or one of the files beside it does."""
    # Of the latter, SQLite sets the owner to what it is when root opens the database.
    beside = (_status(_beside(real, end)) for end in ends)
    return [_status(real), *(status and status[:_STATUS_CHANGED] for status in beside)]


def _status(path: Path) -> _Status | None:
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


def _seconds_since_change(statuses: Sequence[_Status | None]) -> float:
    newest = max((max(status[_CHANGED:]) for status in statuses if status), default=0)
    return time.time() - newest / 1e9
