"""A connection to a SQLite database that another program writes: short statements, patience."""

import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from warehouse_assets.errors import BusyError, SourceError, WarehouseAssetsError

_SECONDS_PER_TRY = 1.0
# SQLite takes a change that just begins or ends for one whose program died, and looks twice only
# where it may write.
_REFUSALS_NOT_BELIEVED = 10
_SECONDS_BETWEEN_REFUSALS = 0.02

_LOCKED = ("is locked", "locking protocol")
_NEEDS_WRITING = ("attempt to write a readonly database", "unable to open database file")


class NeedsWritingError(BusyError):
    """SQLite cannot read the database without writing to it first."""


class Undecodable(bytes):
    """Text of a database that is not UTF-8."""


@dataclass(frozen=True)
class Patron:
    """Whom the reading is for: what errors name, and how long a lock is waited for.

    Args:
        path: the database.
        setting: the setting that says so.
        tell: told when a lock is waited for.
    """

    path: Path
    setting: str
    patience_seconds: float
    tell: Callable[[str], object]


def unreadable(path: Path, setting: str, reason: str | None) -> SourceError:
    """The error of a database that cannot be read for `reason`."""
    return SourceError(
        f"The database {path} cannot be read: {reason}. Check the file and its permissions, or "
        f"whether the setting {setting} names the right one."
    )


class Reader:
    """A connection to the database at `path`, or to a copy of it.

    Args:
        mode: `ro`, or `rw` for a copy that SQLite has to put right first.

    Raises:
        NeedsWritingError: `rw` is needed.
        SourceError: it cannot be read.
    """

    def __init__(self, patron: Patron, path: Path, mode: str) -> None:
        self._patron = patron
        try:
            self._connection = sqlite3.connect(
                f"file:{quote(os.fsencode(path))}?mode={mode}",
                uri=True,
                timeout=min(_SECONDS_PER_TRY, patron.patience_seconds),
                isolation_level=None,
            )
        except sqlite3.Error as error:
            raise self._explain(error) from error
        self._connection.text_factory = _text
        try:
            self.rows("SELECT count(*) FROM sqlite_master")
        except WarehouseAssetsError:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def rows(self, statement: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of `statement`, which is a transaction by itself; locks are waited for.

        Raises:
            BusyError: the database was locked for too long.
            SourceError: it cannot be read.
        """
        return list(
            self._patiently(lambda: self._connection.execute(statement, parameters).fetchall())
        )

    def give_text_as_bytes(self) -> None:
        """From now on rows have text as the bytes that the database holds, decoded or not."""
        self._connection.text_factory = bytes

    def columns(self, relation: str) -> list[str]:
        """The names of the columns of `relation`."""
        statement = f"SELECT * FROM {relation} LIMIT 0"
        description = self._patiently(lambda: self._connection.execute(statement).description)
        return [column[0] for column in description]

    def _patiently(self, work: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + self._patron.patience_seconds
        has_told = False
        refusals = 0
        while True:
            try:
                return work()
            except sqlite3.Error as error:
                is_refused = _says(error, _NEEDS_WRITING) and refusals < _REFUSALS_NOT_BELIEVED
                is_locked = _says(error, _LOCKED) and time.monotonic() < deadline
                if not (is_refused or is_locked):
                    raise self._explain(error) from error
            if is_refused:
                refusals += 1
                time.sleep(_SECONDS_BETWEEN_REFUSALS)
            elif not has_told:
                path = self._patron.path
                self._patron.tell(f"Waiting for another program that has locked {path}.")
                has_told = True

    def _explain(self, error: sqlite3.Error) -> WarehouseAssetsError:
        path, setting = self._patron.path, self._patron.setting
        if _says(error, _LOCKED):
            return BusyError(
                f"The database {path} has been locked by another program for more than "
                f"{self._patron.patience_seconds:g} seconds. See what that program does (setting "
                f"{setting}); what was not read yet, the next run reads."
            )
        if _says(error, _NEEDS_WRITING):
            return NeedsWritingError(
                f"The database {path} was left in the middle of a change by a program that died "
                f"(setting {setting}). The next run reads it as it was before that change."
            )
        if "is not a database" in str(error):
            return unreadable(path, setting, "it is not a SQLite database, or an encrypted one")
        return unreadable(path, setting, str(error))


def _says(error: sqlite3.Error, words: Sequence[str]) -> bool:
    # Before Python 3.11 the words are all that tells the errors apart.
    return any(word in str(error) for word in words)


def _text(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return Undecodable(data)
