"""One Delta table of the lake: how it is opened, its files, and what is wrong when it cannot be.

How it is read in SQL is in `lake`, how it changes in `write_modes`.
"""

import glob
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from sqlalchemy import Table

from warehouse_assets.crash_points import crash_point
from warehouse_assets.errors import ConflictError, LakeError
from warehouse_assets.lake.storage import (
    Place,
    names_in,
    options_for_delta,
    read_whole,
    store_explained,
)
from warehouse_assets.lake.weeks import files_in, is_by_week
from warehouse_assets.tables import WEEK, delta_field, delta_schema

_CHANGES_OF_ROWS = {"WRITE", "MERGE"}  # by Delta's names
REARRANGED = "isRearranged"
"""Marks a commit that wrote the same rows into other files."""

_ENTRY = re.compile(r"(\d{20})\.json")
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint.*\.parquet")
_PARQUET = b"PAR1"

# What deleting a table comes to, by what it is made from.
_COMES_AGAIN = {
    "archive": "the next run makes the table again from the archive",
    "computed": "the next run computes the table again",
}
_COMES_AGAIN_IN_PART = {
    "source": "the next run takes again what its source gives; rows that the source no longer has "
    "are lost",
    "log": "the next run takes again what the log and the rotated files beside it still hold; "
    "lines that are in none of them are lost",
    "rejects": "the next run rejects again what the archive holds; rejected records of other "
    "sources are lost",
}


@dataclass(frozen=True)
class LakeTable:
    """One Delta table of the lake: its declaration and its folder.

    Args:
        keeps_weeks: whether its files are to be by week; those of a table that exists are what they
            are until it is maintained.
    """

    declaration: Table
    path: Place
    keeps_weeks: bool = False

    @property
    def name(self) -> str:
        """The table's name, the same in the lake, in SQL and in Dagster."""
        return str(self.declaration.name)

    @property
    def remedy(self) -> str:
        """What to do about the table when it is damaged, in a sentence."""
        made_from = self.declaration.info.get("made_from", "computed")
        if made_from in _COMES_AGAIN:
            return f"Delete the folder {self.path}: {_COMES_AGAIN[made_from]}."
        return (
            f"Restore the folder {self.path} from a copy and run `warehouse rebuild`. Without a "
            f"copy delete it: {_COMES_AGAIN_IN_PART[made_from]}."
        )

    def exists(self) -> bool:
        """Whether the table has been created."""
        with self._explained():
            return DeltaTable.is_deltatable(self._uri, self._options)

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
            with suppress(CommitFailedError):  # another process created it meanwhile
                DeltaTable.create(
                    self._uri,
                    delta_schema(self.declaration, self.keeps_weeks),
                    mode="ignore",
                    partition_by=[WEEK] if self.keeps_weeks else None,
                    name=self.name,
                    description=self.declaration.comment,
                    configuration={"delta.enableChangeDataFeed": "true"},
                    storage_options=self._options,
                )
            crash_point("table created", self.name)
            return self._newest()

    def open_existing(self) -> DeltaTable | None:
        """As `open`, but None if the table has not been created."""
        with self._explained():
            try:
                handle = self._newest()
            except TableNotFoundError:
                return None
            if _is_empty(_entry(self._log, handle.version())):  # which Delta takes for none
                raise self._damaged(_damage_of_log(self._log))
            known = {field.name for field in handle.schema().fields}
            missing = [c for c in self.declaration.columns if c.name not in known]
            if missing:
                handle.alter.add_columns([delta_field(column) for column in missing])
            return handle

    def has_entry(self, version: int, text: bytes) -> bool:
        """Whether the log's entry of `version` is there, and has `text` in it."""
        return text in (read_whole(_entry(self._log, version)) or b"")

    def is_by_week(self) -> bool:
        """Whether its files are by week; of a table that does not exist, whether they will be."""
        handle = self.open_existing()
        return self.keeps_weeks if handle is None else is_by_week(handle)

    def files(self, handle: DeltaTable) -> list[str]:
        """The paths of the files of the version that `handle` stands at, as patterns for DuckDB."""
        return self.paths(names_of(handle))

    def _newest(self) -> DeltaTable:
        return DeltaTable(self._uri, storage_options=self._options)

    def at(self, version: int) -> DeltaTable:
        """A handle on a version.

        Raises:
            DeltaError: its log is no longer there.
        """
        return DeltaTable(self._uri, version, self._options)

    def names_added(self, handle: DeltaTable, since: int) -> list[str] | None:
        """The names of the files added after the version `since`.

        None if others were removed meanwhile, or if that is no longer known.
        """
        try:
            before = set(names_of(self.at(since)))
        except DeltaError:
            return None
        now = names_of(handle)
        return None if before - set(now) else [name for name in now if name not in before]

    def paths(self, names: Iterable[str]) -> list[str]:
        """The paths of files of the table, as patterns for DuckDB."""
        # DuckDB takes `*`, `?` and `[` for other names.
        folder = glob.escape(str(self.path))
        return [f"{folder}/{glob.escape(name)}" for name in names]

    def check_readable(
        self, connection: duckdb.DuckDBPyConnection, handle: DeltaTable | None
    ) -> None:
        """Look whether the table's files are there and whole: at its log, and at their footers.

        In object storage, where a file is there whole or not at all, one list of names tells.

        Args:
            handle: as `open_existing` gave it.

        Raises:
            LakeError: one of them cannot be read.
        """
        if handle is None:
            if next(self.path.rglob("*.parquet"), None) is not None:
                raise self._unreadable("it has Parquet files but no _delta_log")
            return
        if not isinstance(self.path, Path):
            missing = set(names_of(handle)) - names_in(self.path)
            if missing:
                raise self._unreadable(f"{self.path / min(missing)} is not there")
            return
        for entry in self._log.glob("*.json"):
            if _is_empty(entry):
                raise self._unreadable(f"{entry} is empty")
        files = self.files(handle)
        if files:
            with self.reading():
                footers = "SELECT count(*) FROM parquet_file_metadata(?)"
                connection.execute(footers, [files]).fetchall()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Have an error of DuckDB about the table's files say what to do.

        Raises:
            LakeError: one of them cannot be read.
        """
        try:
            yield
        except (duckdb.IOException, duckdb.InvalidInputException) as error:
            # After the message DuckDB shows the statement.
            raise self._unreadable(str(error).partition("\n\n")[0]) from error

    @property
    def _log(self) -> Place:
        return self.path / "_delta_log"

    @property
    def _uri(self) -> str:
        return self.path.as_uri()

    @property
    def _options(self) -> dict[str, str] | None:
        return options_for_delta(self.path)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            with store_explained(self.path):
                yield
        except CommitFailedError as error:
            raise conflict(self.name) from error
        except (DeltaError, OSError) as error:
            damage = _damage_of_log(self._log)
            if damage:
                raise self._damaged(damage) from error
            said = str(error).partition("\n")[0].rstrip(".")  # then a trace of Rust's may come
            raise LakeError(
                f"The lake table {self.name} in {self.path} cannot be opened: {said}. Check that "
                "the folder can be read and written by this user (setting LAKE_URI)."
            ) from error

    def _damaged(self, damage: str) -> LakeError:
        return LakeError(f"The lake table {self.name} cannot be opened: {damage}. {self.remedy}")

    def _unreadable(self, reason: str) -> LakeError:
        reason = reason.rstrip(".")
        return LakeError(f"The lake table {self.name} cannot be read: {reason}. {self.remedy}")


def conflict(name: str) -> ConflictError:
    """The error of a commit to the table `name` that another process came before."""
    return ConflictError(
        f"Another process committed to the lake table {name} at the same time. "
        "The same run again continues where this one stopped."
    )


def names_of(handle: DeltaTable, weeks: Collection[date] | None = None) -> list[str]:
    """The names of the files of the version that `handle` stands at, relative to its folder.

    Args:
        weeks: Mondays; of a table whose files are by week only those of these weeks.
    """
    if weeks is not None and is_by_week(handle):
        return [file.name for file in files_in(handle, weeks)]
    folder = handle.table_uri.removeprefix("file://")
    return [uri.removeprefix(folder) for uri in handle.file_uris()]


def changed_at(handle: DeltaTable) -> float | None:
    """When rows of the table were last written, in seconds since 1970.

    None if the log, which maintenance trims, no longer says. Maintenance and new columns do not
    count; a delivery that changed no row does.
    """
    newest = next(filter(changes_rows, handle.history()), None)
    return None if newest is None else float(newest["timestamp"]) / 1000


def changes_rows(commit: Mapping[str, Any]) -> bool:
    """Whether a commit, as the log tells of it, may have changed rows."""
    return commit.get("operation") in _CHANGES_OF_ROWS and not commit.get(REARRANGED)


def _entry(log: Place, version: int) -> Place:
    return log / f"{version:020}.json"


def _is_empty(entry: Place) -> bool:
    """Whether an entry of a log is empty, as the crash of a machine may leave one in a folder."""
    try:
        return isinstance(entry, Path) and entry.stat().st_size == 0
    except OSError:  # trimmed, after a checkpoint
        return False


def _damage_of_log(log: Place) -> str:
    """Which file of a table's log is damaged or missing, and how; empty if none is found."""
    try:
        names = sorted(path.name for path in log.iterdir())
        checkpoints = {int(match[1]): name for name in names if (match := _CHECKPOINT.match(name))}
        hinted, newest = _hinted_version(log), max(checkpoints, default=-1)
        if hinted is not None and hinted not in checkpoints:
            return f"the checkpoint {log / f'{hinted:020}.checkpoint.parquet'} is missing"
        if checkpoints:
            content = (log / checkpoints[newest]).read_bytes()
            if not (content.startswith(_PARQUET) and content.endswith(_PARQUET)):
                return f"the checkpoint {log / checkpoints[newest]} is cut or damaged"
        entries = {int(match[1]) for name in names if (match := _ENTRY.fullmatch(name))}
        for version in range(newest + 1, max(entries, default=-1) + 1):
            if version not in entries:
                return f"the entry {_entry(log, version)} is missing"
            if not _is_readable(_entry(log, version).read_bytes()):
                return f"the entry {_entry(log, version)} is empty, cut or damaged"
    except OSError:
        pass
    return ""


def _hinted_version(log: Place) -> int | None:
    """The version of the newest checkpoint, as the log notes it."""
    try:
        return int(json.loads((log / "_last_checkpoint").read_bytes())["version"])
    except (OSError, ValueError, TypeError, KeyError):  # it is only a hint
        return None


def _is_readable(entry: bytes) -> bool:
    """Whether an entry is what it should be: an object of objects in each line."""
    try:
        lines = [json.loads(line) for line in entry.splitlines()]
    except ValueError:
        return False
    return bool(lines) and all(
        isinstance(line, dict) and all(isinstance(value, dict) for value in line.values())
        for line in lines
    )
