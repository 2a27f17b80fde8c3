"""The inbox, in which inbox files arrive, and the archive, to which taken files move.

What is in the inbox has not been taken. In the archive a file is named by its arrival number
and its own name, below a folder named after what it holds: `posts/00000001-posts.json`.
What a file holds and how its records are taken is not known here.
"""

import errno
import math
import os
import re
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from io import FileIO
from pathlib import Path

import xxhash

from warehouse_assets.crash_points import crash_point
from warehouse_assets.errors import SourceError, TransientError, naming
from warehouse_assets.ingest.plain_text import UNPACKED_LIMIT
from warehouse_assets.settings import Settings

# How programs name a file that they have not finished writing.
PARTIAL_SUFFIXES = (".part", ".partial", ".tmp", ".temp", ".crdownload", ".filepart", ".swp")
_ARCHIVED = re.compile(r"(\d{8,})-(.+)", re.DOTALL)
# File systems take 255 bytes; a file's number and its name while it is copied need the rest.
_MOST_BYTES_OF_A_NAME = 230
_CHUNK_BYTES = 1 << 20
# A link might lead to any file that this process may read. A pipe would be waited for.
_OF_ITSELF = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


class FileChangedError(TransientError):
    """An inbox file was changed or removed while it was being taken."""


@dataclass(frozen=True)
class InboxFile:
    """A file as it was when it was looked at.

    `name` is the name it was delivered under, as text that every part of the house can hold.
    Another file under its path is noticed even if this one is back: moving it changes `changed_ns`.
    """

    path: Path
    name: str
    size: int
    modified_ns: int
    inode: int
    changed_ns: int

    @classmethod
    def look_at(cls, path: Path, name: str | None = None) -> "InboxFile":
        """The file at `path` as it is now; FileNotFoundError if there is none.

        A symbolic link is not followed.
        """
        return cls._of(path, name or _text(path), path.lstat())

    @classmethod
    def _of(cls, path: Path, name: str, status: os.stat_result) -> "InboxFile":
        times = status.st_mtime_ns, status.st_ctime_ns
        return cls(path, name, status.st_size, times[0], status.st_ino, times[1])

    def check_unchanged(self) -> None:
        """Raise FileChangedError unless the file is still as it was looked at."""
        try:
            now = InboxFile.look_at(self.path, self.name)
        except FileNotFoundError:
            raise FileChangedError(
                f"The file {self.path} vanished while it was read. Nothing of it was taken; "
                "put it into the inbox again if it is still wanted."
            ) from None
        if now != self:
            raise FileChangedError(
                f"The file {self.path} was changed while it was read. Nothing of it was taken; "
                "it stays in the inbox for the next run. Write files under a name that ends in "
                ".part and rename them when they are complete."
            )

    def digest(self) -> str:
        """The xxh3-128 hash of the content, which identifies it."""
        state = xxhash.xxh3_128()
        try:
            with os.fdopen(os.open(self.path, _OF_ITSELF), "rb") as stream:
                if self._of(self.path, self.name, os.fstat(stream.fileno())) != self:
                    self.check_unchanged()
                while chunk := stream.read(_CHUNK_BYTES):
                    state.update(chunk)
        except OSError as error:
            self.check_unchanged()
            raise SourceError(
                f"The file {self.path} cannot be read: {error.strerror}. It stays in the inbox; "
                "check its permissions."
            ) from error
        return state.hexdigest()


@dataclass(frozen=True)
class Waiting:
    """What is in the inbox: files that are complete, and files still being written.

    `refused` has what is no file of the inbox itself, by name, and why it is left alone.
    """

    complete: Sequence[InboxFile]
    unfinished: Sequence[InboxFile]
    refused: Mapping[str, str] = field(default_factory=dict)


class Inbox:
    """A folder in which files arrive, and the archive beside it.

    Args:
        folder: the inbox; made when it does not exist.
        archive: where taken files go; made when it does not exist.
        settle_seconds: a file that changed less than this ago is still being written.
        unpacked_limit: the most bytes that a packed file may be when it is unpacked.
    """

    def __init__(
        self,
        folder: Path,
        archive: Path,
        settle_seconds: float,
        unpacked_limit: int = UNPACKED_LIMIT,
    ) -> None:
        self.folder = folder
        self.archive = archive
        self.settle_seconds = settle_seconds
        self.unpacked_limit = unpacked_limit

    @classmethod
    def of(cls, settings: Settings) -> "Inbox":
        """The inbox that the settings name; nothing is opened."""
        settle_seconds, limit = settings.inbox_settle_seconds, settings.unpacked_limit
        return cls(settings.inbox, settings.archive, settle_seconds, limit)

    def prepare(self) -> None:
        """Make both folders and see that files can be moved from one to the other.

        Raises:
            SourceError: one of them cannot be made or written.
        """
        for folder, setting in ((self.folder, "INBOX"), (self.archive, "ARCHIVE")):
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise SourceError(
                    f"The folder {folder} cannot be made: {error.strerror}. "
                    f"Check the setting {setting} and the permissions of the folder above."
                ) from error
            if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
                raise SourceError(
                    f"The folder {folder} cannot be written, so files cannot move out of or into "
                    f"it. Give this user read and write permission, or change {setting}."
                )

    def look(self) -> Waiting:
        """Look once, without waiting: what is complete, in order of arrival, and what is not.

        Files arrive in the order in which they were last changed, then of their names.
        """
        complete: list[InboxFile] = []
        unfinished: list[InboxFile] = []
        refused: dict[str, str] = {}
        try:
            paths = [path for path in self.folder.iterdir() if not path.name.startswith(".")]
        except FileNotFoundError:
            return Waiting([], [])
        except OSError as error:
            raise SourceError(
                f"The inbox {self.folder} cannot be read: {error.strerror}. "
                "Check its permissions (setting INBOX)."
            ) from error
        for path in paths:
            try:
                reason = _reason_to_refuse(path.lstat().st_mode)
                if reason is not None:
                    refused[_text(path)] = reason
                    continue
                file = InboxFile.look_at(path)
            except FileNotFoundError:  # gone since the listing
                continue
            (unfinished if self._seconds_to_settle(file) > 0 else complete).append(file)
        complete.sort(key=_arrival_order)
        unfinished.sort(key=_arrival_order)
        return Waiting(complete, unfinished, dict(sorted(refused.items())))

    def settled(self) -> Waiting:
        """What is complete after waiting, at most `settle_seconds`, for files just written."""
        waiting = self.look()
        seconds = [self._seconds_to_settle(file) for file in waiting.unfinished]
        worth_waiting = [second for second in seconds if second < math.inf]
        if not worth_waiting:
            return waiting
        time.sleep(max(0.0, *worth_waiting))
        return self.look()

    def _seconds_to_settle(self, file: InboxFile) -> float:
        """How long until `file` counts as complete if it is not written to; 0 when it does."""
        if file.name.lower().endswith(PARTIAL_SUFFIXES):
            return math.inf
        age = time.time() - file.modified_ns / 1e9
        # A time in the future says nothing about when the file was last written to.
        return max(self.settle_seconds - age, 0.0) if age >= 0 else 0.0

    def archived(self, kind: str) -> dict[int, Path]:
        """The archived files of `kind` by their arrival number, in its order."""
        try:
            paths = list((self.archive / kind).iterdir())
        except FileNotFoundError:
            return {}
        matches = [(match, path) for path in paths if (match := _ARCHIVED.fullmatch(path.name))]
        return dict(sorted((int(match[1]), path) for match, path in matches))

    def archive_file(self, kind: str, arrival: int, file: InboxFile) -> None:
        """Move a file that has been taken from the inbox to its place in the archive."""
        target = self.archive / kind / unit_name(arrival, file.name)
        file.check_unchanged()
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _move(file, target)
        except OSError as error:
            raise SourceError(
                f"The file {file.path} has been taken but cannot be moved to {target}: "
                f"{error.strerror}. Check the permissions of both folders (settings INBOX and "
                "ARCHIVE); the next run moves it."
            ) from error

    def remove_duplicate(self, file: InboxFile) -> None:
        """Remove from the inbox a file whose content is in the archive already."""
        file.check_unchanged()
        try:
            file.path.unlink()
        except OSError as error:
            raise SourceError(
                f"The file {file.path} has been taken before but cannot be removed from the "
                f"inbox: {error.strerror}. Check the permissions of {self.folder}."
            ) from error


def _text(path: Path) -> str:
    """The name at the end of `path`, which may be any bytes, such as Latin-1, as text."""
    return os.fsencode(path.name).decode("utf-8", errors="replace")


def _reason_to_refuse(mode: int) -> str | None:
    """Why an entry of the inbox is left alone, by its mode; None if it is a file."""
    if stat.S_ISREG(mode):
        return None
    if stat.S_ISLNK(mode):
        return "it is a symbolic link, which is not followed. Put the file itself there"
    if stat.S_ISDIR(mode):
        return "it is a folder. Put the files that are in it there"
    return "it is no file but a pipe, a socket or a device"


def _arrival_order(file: InboxFile) -> tuple[int, str]:
    return file.modified_ns, file.name


def delivered_name(archived: Path) -> str:
    """The name under which the archived file was delivered."""
    match = _ARCHIVED.fullmatch(archived.name)
    return match[2] if match else archived.name


def unit_name(arrival: int, name: str) -> str:
    """The name in the archive of the file delivered as `name` under the number `arrival`."""
    end_of_name = name.encode()[-_MOST_BYTES_OF_A_NAME:].decode(errors="ignore")
    return f"{arrival:08d}-{end_of_name}"


def _move(file: InboxFile, target: Path) -> None:
    try:
        file.path.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _move_by_copy(file, target)
        return
    moved = InboxFile.look_at(target, file.name)
    if replace(moved, path=file.path, changed_ns=file.changed_ns) != file:
        # Another file took its name at the last moment: that one has not been taken.
        target.rename(file.path)
        file.check_unchanged()


def _move_by_copy(file: InboxFile, target: Path) -> None:
    crash_point("file to be copied", target.parent.name)
    copy_file(file.path, target)
    crash_point("file copied", target.parent.name)
    try:
        file.check_unchanged()
    except FileChangedError:
        # What was copied is not what has been taken.
        target.unlink()
        raise
    file.path.unlink()


def partial_path(target: Path) -> Path:
    """Where a file is until all of it has been copied to `target`: nobody takes it there."""
    return target.with_name(f".{target.name}.part")


def _write_all(writer: FileIO, chunk: bytes) -> None:
    """Write all of `chunk`, of which a disk without space for it takes a part at first."""
    left = memoryview(chunk)
    while left:
        left = left[writer.write(left) :]


def copy_file(source: Path, target: Path, copied: Callable[[int], object] = int) -> None:
    """Copy a file so that under its new name it is either whole or not there.

    Args:
        copied: told after each part how many bytes it had.
    """
    partial = partial_path(target)
    # Of a process before that was killed, or a link that somebody has put there.
    partial.unlink(missing_ok=True)
    try:
        size = source.stat().st_size
        with (
            source.open("rb") as reader,
            partial.open("xb", buffering=0) as writer,
            naming(partial, size),
        ):
            while chunk := reader.read(_CHUNK_BYTES):
                _write_all(writer, chunk)
                copied(len(chunk))
            os.fsync(writer.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
