"""A copy of all that cannot be made again, consistent while runs go on: lake, inbox, archive, keys.

What is copied is a state that a crash could have left, in which a run goes on by itself:

- Of each table one version: its log up to it, and its files; and versions that have labels, which
  are copied before all. Tables are copied before those that
  they are computed from, so that none knows more of a source than the source in the backup, and
  `rejected_records` last, for rejects are committed before the rows beside them.
- Then the inbox, then the archive: a file that moves meanwhile is in one of them, or in both. One
  that the tables do not have yet is taken after the backup was restored.

The warehouse, the state of the running average and the results of checks are made of these, and
name their versions: they are not copied, but made anew.
"""

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from deltalake import DeltaTable
from filelock import FileLock, Timeout

from warehouse_assets.catalogue import TABLES
from warehouse_assets.errors import BusyError, GoneError, SettingError, naming
from warehouse_assets.ingest.inbox import Inbox
from warehouse_assets.lake import Labelled, Lake, LakeTable, labelled, open_at
from warehouse_assets.lake.files import HASHES
from warehouse_assets.lake.storage import Place
from warehouse_assets.lake.table import names_of
from warehouse_assets.lake.versions import LABELS
from warehouse_assets.settings import Settings
from warehouse_assets.tables import REJECTED_RECORDS

_MARK = "backup.json"
_UNFINISHED = "backup.unfinished"
_LOCK = ".backup.lock"
_PARTIAL = ".copying"
_LOG = "_delta_log"
_BYTES_AT_ONCE = 2**20
_LENGTH_OF_A_VERSION = 20


@dataclass
class BackedUp:
    """What a backup holds, and how much of it was copied this time.

    Args:
        versions: the version of each table.
        files: how many files it holds.
        copied: how many of them were not there before.
        bytes: how large those are.
    """

    versions: dict[str, int] = field(default_factory=dict)
    files: int = 0
    copied: int = 0
    bytes: int = 0


# Families name sources before what is computed from them.
_RESULTS_BEFORE_SOURCES = (
    *(table for table in reversed(TABLES) if table is not REJECTED_RECORDS),
    REJECTED_RECORDS,
)


def back_up(settings: Settings, folder: Path) -> BackedUp:
    """Copy everything that must be kept into `folder`, but for what is there from before.

    Until all is there, the folder has no `backup.json`; a further try goes on.

    Raises:
        SettingError: the folder holds something else, or is a part of the warehouse.
        BusyError: another backup is being made in the folder.
        OSError: something cannot be read or written.
    """
    folder = folder.absolute()
    _refuse_wrong(settings, folder)
    folder.mkdir(parents=True, exist_ok=True)
    done = BackedUp()
    with _alone(folder):
        unfinished = folder / _UNFINISHED
        unfinished.touch()
        (folder / _MARK).unlink(missing_ok=True)
        for left in folder.rglob(f"*{_PARTIAL}"):  # by one that was killed
            left.unlink()
        lake = Lake.of(settings)
        wanted: set[Path] = set()
        for table in map(lake.table, (LABELS, *_RESULTS_BEFORE_SOURCES)):
            wanted |= _copy_table(lake, table, folder / "lake" / table.name, done)
        inbox = Inbox(settings.inbox, settings.archive, 0)
        waiting = inbox.look().complete if inbox.folder.is_dir() else []
        for file in waiting:
            with suppress(FileNotFoundError):  # it went into the archive meanwhile
                name = file.path.relative_to(settings.inbox)
                wanted.add(_copy(file.path, folder / "inbox" / name, done))
        for path in _files(settings.archive):
            name = path.relative_to(settings.archive)
            wanted.add(_copy(path, folder / "archive" / name, done))
        if settings.api_keys_file.is_file():
            wanted.add(_copy(settings.api_keys_file, folder / "api_keys", done))
        for part in ("lake", "inbox", "archive"):
            _keep_only(wanted, folder / part)
        done.files = len(wanted)
        moment = datetime.now(timezone.utc).isoformat(timespec="seconds")
        told = {"made_at": moment, "versions": done.versions, "files": done.files}
        with unfinished.open("w", encoding="utf-8") as stream:
            stream.write(json.dumps(told, indent=2) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.replace(folder / _MARK)
    return done


def _refuse_wrong(settings: Settings, folder: Path) -> None:
    parts = (settings.lake, settings.inbox, settings.archive)
    for part in (part for part in parts if isinstance(part, Path)):
        if folder.resolve().is_relative_to(part.resolve()):
            raise SettingError(f"{folder} is in {part}, of which it is to be a backup.")
        if part.resolve().is_relative_to(folder.resolve()):
            raise SettingError(f"{folder} holds {part} itself. Give a folder beside it.")
    if folder.exists() and not folder.is_dir():
        raise SettingError(f"{folder} is a file. Give a folder, which is made if need be.")
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if names - {_LOCK} and not names & {_MARK, _UNFINISHED}:
        raise SettingError(
            f"The folder {folder} is not empty and holds no backup. Give a new folder, or one in "
            "which `warehouse backup` has made one."
        )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    try:
        with FileLock(folder / _LOCK, timeout=0):
            yield
    except Timeout:
        raise BusyError(f"Another backup is being made in {folder}. Wait until it ends.") from None


def _copy_table(lake: Lake, table: LakeTable, target: Path, done: BackedUp) -> set[Path]:
    """Copy the newest version of a table; returns which files that are."""
    labels = [one for one in labelled(lake) if one.table == table.name]
    try:
        return _copy_version(table, labels, target, done)
    except FileNotFoundError:
        # Maintenance removed what only older versions need. Once more, while nobody changes the
        # table; most of it is copied by now.
        with lake.lock(table.name):
            return _copy_version(table, labels, target, done)


def _copy_version(
    table: LakeTable, labels: Sequence[Labelled], target: Path, done: BackedUp
) -> set[Path]:
    handle = table.open_existing()
    if handle is None:
        return set()
    version = handle.version()
    hashes = [HASHES] if (table.path / HASHES).exists() else []
    log = [path.name for path in (table.path / _LOG).iterdir() if _is_of_log(path.name, version)]
    # The first lines of the log last: without them there is no table, and no half one.
    names = [
        *_names_of_all(table, handle, labels),
        *hashes,
        *(f"{_LOG}/{name}" for name in sorted(log, reverse=True)),
    ]
    wanted = {_copy(table.path / name, target / name, done) for name in names}
    done.versions[table.name] = version
    # Later versions, of a lake that was lost since, would count for more than this one.
    _keep_only(wanted, target / _LOG)
    return wanted


def _names_of_all(
    table: LakeTable, handle: DeltaTable, labels: Sequence[Labelled]
) -> Iterable[str]:
    """The names of the files of the version of `handle`, and of those before it with labels."""
    names = dict.fromkeys(names_of(handle))
    for one in labels:
        is_before = one.version < handle.version()
        if is_before and one.lake_table_id == str(handle.metadata().id):
            with suppress(GoneError):
                names |= dict.fromkeys(names_of(open_at(table, one.version)))
    return names


def _is_of_log(name: str, version: int) -> bool:
    """Whether a file of a log tells of `version` or one before it."""
    number = name[:_LENGTH_OF_A_VERSION]
    return number.isdigit() and int(number) <= version and name.endswith((".json", ".parquet"))


def _copy(path: Place, copy: Path, done: BackedUp) -> Path:
    """Copy a file with its times, whole or not at all, unless it is there with both.

    Returns where the copy is.
    """
    status = path.stat()
    with suppress(FileNotFoundError):
        there = copy.stat()
        if (there.st_size, there.st_mtime_ns) == (status.st_size, status.st_mtime_ns):
            return copy
    copy.parent.mkdir(parents=True, exist_ok=True)
    partial = copy.with_name(f"{copy.name}{_PARTIAL}")
    try:
        with (
            naming(partial, status.st_size),
            path.open("rb") as stream,
            partial.open("wb") as written,
        ):
            shutil.copyfileobj(stream, written, _BYTES_AT_ONCE)
    except OSError:
        partial.unlink(missing_ok=True)  # a full disk has room again for what is smaller
        raise
    os.utime(partial, ns=(status.st_mtime_ns, status.st_mtime_ns))
    if isinstance(path, Path):
        shutil.copymode(path, partial)
    with partial.open("rb") as stream:
        os.fsync(stream.fileno())
    partial.replace(copy)
    done.copied += 1
    done.bytes += status.st_size
    return copy


def _keep_only(wanted: set[Path], folder: Path) -> None:
    for path in _files(folder):
        if path not in wanted:
            path.unlink()


def _files(folder: Path) -> list[Path]:
    """The files below a folder, but hidden ones, which are those of a copy under way."""
    if not folder.is_dir():
        return []
    return [path for path in folder.rglob("*") if path.is_file() and path.name[0] != "."]
