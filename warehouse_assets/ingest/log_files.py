"""A log that grows while it is read: which files it has, and which of them holds a checkpoint.

Rotated files are those named `NAME.1`, `NAME-20261121` and the like; packed ones (`.gz`) cannot be
read. Positions count the bytes of a log on and on, whichever file they are in. A checkpoint is a
position and a hash of what the file held just before it: by that its file is found again after a
rotation.
"""

import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import xxhash

from warehouse_assets.errors import SourceError, TransientError
from warehouse_assets.ingest.lines import BLOCK_BYTES, TAIL_BYTES, LineReader, Lines

_SIGNED_64_BITS = 2**63 - 1  # the numbers that Delta can hold
_ATTEMPTS = 20
_ROTATED = re.compile(r"[.\-_](?:.*\d.*|old)", re.DOTALL)
_NOT_A_LOG = re.compile(r".*(\.(gz|bz2|xz|zst|lz4|zip|swp|swo|tmp|part|lock)|bak.*|~)", re.DOTALL)


class LogChangedError(TransientError):
    """The files of a log were changed while they were read."""


@dataclass(frozen=True)
class LogSource:
    """Where a log is.

    Args:
        path: its file.
        is_given: whether someone said so; a log at its default place may be missing.
        setting: the setting that says where it is.
    """

    path: Path
    is_given: bool
    setting: str

    @property
    def name(self) -> str:
        """The name of the file, as text that every part of the house can hold."""
        return os.fsencode(self.path.name).decode("utf-8", errors="replace")


class LogFile:
    """One file of a log, open: it stays the same whatever it is renamed to meanwhile."""

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        status = os.fstat(stream.fileno())
        self.path = path
        self.stream = stream
        self.size = status.st_size
        self.modified_ns = status.st_mtime_ns
        self.number = status.st_ino & _SIGNED_64_BITS

    def window(self, offset: int) -> bytes:
        """What is before `offset`, as far as it is compared."""
        start = max(offset - TAIL_BYTES, 0)
        self.stream.seek(start)
        return self.stream.read(offset - start)

    def has_line(self, offset: int) -> bool:
        """Whether a line ends behind `offset`."""
        self.stream.seek(offset)
        while offset < self.size:
            block = self.stream.read(min(BLOCK_BYTES, self.size - offset))
            if b"\n" in block or not block:
                return bool(block)
            offset += len(block)
        return False


def digest_of(window: bytes) -> int:
    """The hash of what is before a checkpoint, as Delta can hold it."""
    return xxhash.xxh3_64_intdigest(window) & _SIGNED_64_BITS


@dataclass(frozen=True)
class Checkpoint:
    """Up to where a log has been loaded.

    Args:
        base: the position at which the file begins.
        position: the position of the first byte that has not been loaded.
        digest: the hash of what is before it in the file.
        file_number: the file's number in its file system; a renamed file keeps it.
    """

    base: int
    position: int
    digest: int
    file_number: int

    @property
    def offset(self) -> int:
        """Where in its file it is."""
        return self.position - self.base

    def is_in(self, file: LogFile) -> bool:
        """Whether it may be in `file`: whether that holds the same before it."""
        return file.size >= self.offset and digest_of(file.window(self.offset)) == self.digest


@dataclass(frozen=True)
class OpenLog:
    """The files of a log at one moment: rotated ones, oldest first, and the present one."""

    rotated: Sequence[LogFile]
    present: LogFile | None
    unreadable: Sequence[Path]

    @property
    def files(self) -> list[LogFile]:
        """All files that can be read, in the order in which they were written."""
        return [*self.rotated, self.present] if self.present else list(self.rotated)

    def check_readable(self) -> None:
        """Raise SourceError if there is a rotated file that cannot be read."""
        for path in self.unreadable:
            raise SourceError(
                f"The rotated log {path} cannot be read, and lines that have not been taken may be "
                "in it. Give this user permission to read it, or move it away."
            )


@contextmanager
def open_log(source: LogSource) -> Iterator[OpenLog]:
    """Open all files of a log, as they are at one moment between two rotations.

    Raises:
        SourceError: the log is there but cannot be read.
        LogChangedError: its files are being renamed all the time.
    """
    with ExitStack() as opened:
        for _ in range(_ATTEMPTS):
            listed = _listed(source)
            files, unreadable = _opened(source, listed, opened)
            numbers = {file.path: file.number for file in files}
            if numbers | {path: listed[path] for path in unreadable} == _listed(source):
                break
            opened.close()
        else:
            raise LogChangedError(
                f"The files beside the log {source.path} are renamed all the time. Nothing was "
                "taken; the same run again looks at them anew."
            )
        rotated = [file for file in files if file.path != source.path]
        rotated.sort(key=lambda file: _age_order(file, source))
        present = next((file for file in files if file.path == source.path), None)
        yield OpenLog(rotated, present, unreadable)


def files_since(log: OpenLog, checkpoint: Checkpoint) -> list[LogFile]:
    """The file that a checkpoint is in and those written after it; none if it is in no file.

    A file that was moved or copied may have another number, and a new one an old number: what it
    holds decides. Where several hold the same, the number does, then the present file goes first,
    then the longest: the others are copies.

    Raises:
        SourceError: it may be in a file that cannot be read.
    """

    def likelihood(file: LogFile) -> tuple[bool, bool, int]:
        return file.number == checkpoint.file_number, file is log.present, file.size

    holding = [file for file in log.files if checkpoint.is_in(file)]
    if log.present not in holding:
        log.check_readable()
    if not holding:
        return []
    found = max(holding, key=likelihood)
    later = [file for file in log.files[log.files.index(found) + 1 :] if file.size > 0]
    if found.number != checkpoint.file_number and checkpoint.offset >= TAIL_BYTES:
        # It was copied, and may have been copied more than once.
        later = [file for file in later if file not in holding]
    return [found, *later]


@dataclass
class Segment:
    """What can be read of one file.

    Args:
        file: the file.
        offset: where in the file it begins.
        base: the position at which the file begins.
        is_final: whether nothing more will be written to the file, so that what is behind its
            last line end is a line, too.
        lost_at: the position before the file's at which lines may be missing; None if none are.

    Attributes:
        size: how many bytes of it have been read.
        digest: the hash of what is before them and of them, as far as it is compared.
    """

    file: LogFile
    offset: int
    base: int
    is_final: bool
    lost_at: int | None = None
    size: int = field(default=0, init=False)
    digest: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._before = self.file.window(self.offset)

    @property
    def is_restart(self) -> bool:
        """Whether reading went on in another file, or in the same from its beginning."""
        return self.offset == 0 < self.base

    @property
    def position(self) -> int:
        """The position at which it begins."""
        return self.base + self.offset

    def read(self, most_bytes: int) -> Iterator[Lines]:
        """The lines at its beginning, with their positions.

        Args:
            most_bytes: lines that begin about a mebibyte farther behind than that are left.

        Raises:
            LogChangedError: the log was truncated meanwhile.
        """
        self.file.stream.seek(self.offset)
        left = self.file.size - self.offset
        reader = LineReader(
            self.file.stream,
            left,
            self.position,
            is_final=self.is_final,
            block_bytes=min(max(most_bytes // 2, 1), BLOCK_BYTES),
        )
        for lines in reader.read(most_bytes):
            self.size = reader.size
            yield lines
        window = (self._before + reader.tail)[-TAIL_BYTES:]
        if self.size == 0 or self.file.window(self.offset + self.size) != window:
            raise LogChangedError(
                f"The log {self.file.path} was truncated or overwritten while it was read. Nothing "
                "of what was being read was taken; the same run again looks at it anew."
            )
        self.digest = digest_of(window)

    @property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint behind the lines, when all have been read."""
        return Checkpoint(self.base, self.position + self.size, self.digest, self.file.number)


def _opened(
    source: LogSource, paths: dict[Path, int], opened: ExitStack
) -> tuple[list[LogFile], list[Path]]:
    """The files that can be read, open, and the paths of those that cannot."""
    files: list[LogFile] = []
    unreadable: list[Path] = []
    for path in paths:
        try:
            # Unbuffered, so that what is read a second time is what is there then.
            files.append(LogFile(path, opened.enter_context(path.open("rb", buffering=0))))
        except FileNotFoundError:  # renamed since
            continue
        except OSError as error:
            if path == source.path:
                raise _unreadable(source, error) from error
            unreadable.append(path)
    return files, unreadable


def _age_order(file: LogFile, source: LogSource) -> tuple[int, int, str]:
    """Sorts rotated files, oldest first; of `NAME.1` and `NAME.2` the second is older."""
    suffix = file.path.name.removeprefix(source.path.name)[1:]
    return file.modified_ns, -int(suffix) if suffix.isdecimal() else 0, suffix


def _listed(source: LogSource) -> dict[Path, int]:
    """The paths of the files of a log, and the numbers of the files."""
    found: dict[Path, int] = {}
    try:
        for path in source.path.parent.iterdir():
            suffix = path.name.removeprefix(source.path.name)
            if path != source.path and (
                len(suffix) == len(path.name)
                or not _ROTATED.fullmatch(suffix)
                or _NOT_A_LOG.fullmatch(suffix)
            ):
                continue
            try:
                status = path.stat()
            except FileNotFoundError:  # renamed since
                continue
            if stat.S_ISREG(status.st_mode):
                found[path] = status.st_ino & _SIGNED_64_BITS
            elif path == source.path:
                raise SourceError(
                    f"The log {path} is not a file. Set {source.setting} to the file that grows."
                )
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise _unreadable(source, error) from error
    # The log may be a link to the newest of dated ones.
    present = found.get(source.path)
    return {p: number for p, number in found.items() if p == source.path or number != present}


def _unreadable(source: LogSource, error: OSError) -> SourceError:
    return SourceError(
        f"The log {source.path} cannot be read: {error.strerror}. Give this user permission to "
        f"read it, or set {source.setting} to another file."
    )
