"""A log that grows while it is read: its file, the rotated files beside it, and marks in them.

What has been taken ends at a mark: a position, and what the file held just before it. Positions
count the bytes of the log on and on, whichever file they are in. Rotated files are those named
`NAME.1`, `NAME-20261121` and the like; packed ones (`.gz`) cannot be read.
"""

import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from warehouse_assets.errors import SourceError, TransientError
from warehouse_assets.sources.log_marks import SIGNED_64_BITS, WINDOW_BYTES, Mark, digest_of

_BLOCK_BYTES = 1 << 20
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
        self.number = status.st_ino & SIGNED_64_BITS

    def window(self, offset: int) -> bytes:
        """What is before `offset`, as far as it is compared."""
        start = max(offset - WINDOW_BYTES, 0)
        self.stream.seek(start)
        return self.stream.read(offset - start)

    def holds(self, mark: Mark) -> bool:
        """Whether `mark` may be in this file: whether it holds the same before it."""
        return self.size >= mark.offset and digest_of(self.window(mark.offset)) == mark.digest

    def has_line(self, offset: int) -> bool:
        """Whether a line ends behind `offset`."""
        self.stream.seek(offset)
        while offset < self.size:
            block = self.stream.read(min(_BLOCK_BYTES, self.size - offset))
            if b"\n" in block:
                return True
            if not block:
                break
            offset += len(block)
        return False


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

    def find(self, mark: Mark) -> LogFile | None:
        """The file that `mark` is in.

        A file that was moved or copied may have another number, and a new one an old number: what
        it holds decides. Where several hold the same, the number does, then the present file goes
        first, then the longest: the others are copies.

        Raises:
            SourceError: it may be a file that cannot be read.
        """
        holding = [file for file in self.files if file.holds(mark)]
        if self.present not in holding:
            self.check_readable()
        return max(holding, key=lambda file: self._likelihood(file, mark), default=None)

    def _likelihood(self, file: LogFile, mark: Mark) -> tuple[bool, bool, int]:
        return file.number == mark.file_number, file is self.present, file.size

    def since(self, first: LogFile, mark: Mark) -> list[LogFile]:
        """`first`, in which `mark` is, and the files with anything in them written after it."""
        later = [file for file in self.files[self.files.index(first) + 1 :] if file.size > 0]
        if first.number == mark.file_number or mark.offset < WINDOW_BYTES:
            return [first, *later]
        # It was copied, and may have been copied more than once.
        return [first, *(file for file in later if not file.holds(mark))]


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
            log = _open(source, listed, opened)
            numbers = {file.path: file.number for file in log.files}
            numbers |= {path: listed[path] for path in log.unreadable}
            if numbers == _listed(source):
                break
            opened.close()
        else:
            raise LogChangedError(
                f"The files beside the log {source.path} are renamed all the time. Nothing was "
                "taken; the same run again looks at them anew."
            )
        yield log


def _open(source: LogSource, paths: Iterable[Path], opened: ExitStack) -> OpenLog:
    rotated: list[LogFile] = []
    unreadable: list[Path] = []
    present = None
    for path in paths:
        try:
            # Unbuffered, so that what is read a second time is what is there then.
            file = LogFile(path, opened.enter_context(path.open("rb", buffering=0)))
        except FileNotFoundError:  # renamed since
            continue
        except OSError as error:
            if path == source.path:
                raise _unreadable(source, error) from error
            unreadable.append(path)
            continue
        if path == source.path:
            present = file
        else:
            rotated.append(file)
    rotated.sort(key=lambda file: _age_order(file, source))
    return OpenLog(rotated, present, unreadable)


def _age_order(file: LogFile, source: LogSource) -> tuple[int, int, str]:
    """Sorts rotated files, oldest first; of `NAME.1` and `NAME.2` the second is older."""
    suffix = file.path.name.removeprefix(source.path.name)[1:]
    return file.modified_ns, -int(suffix) if suffix.isdecimal() else 0, suffix


def _listed(source: LogSource) -> dict[Path, int]:
    """The paths of the files of a log, and the numbers of the files."""
    folder, name = source.path.parent, source.path.name
    found: dict[Path, int] = {}
    try:
        paths = [path for path in folder.iterdir() if _is_of_the_log(path.name, name)]
        for path in paths:
            try:
                status = path.stat()
            except FileNotFoundError:  # renamed since
                continue
            if stat.S_ISREG(status.st_mode):
                found[path] = status.st_ino & SIGNED_64_BITS
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


def _is_of_the_log(entry: str, name: str) -> bool:
    if not entry.startswith(name):
        return False
    suffix = entry.removeprefix(name)
    return not suffix or bool(_ROTATED.fullmatch(suffix) and not _NOT_A_LOG.fullmatch(suffix))


def _unreadable(source: LogSource, error: OSError) -> SourceError:
    return SourceError(
        f"The log {source.path} cannot be read: {error.strerror}. Give this user permission to "
        f"read it, or set {source.setting} to another file."
    )
