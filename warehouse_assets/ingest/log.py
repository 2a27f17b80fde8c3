"""Checkpoints in a log, how tables remember them, and which segment of the log comes next.

Positions count the bytes of a log on and on, whichever file they are in. A checkpoint is a position
and a hash of what the file held just before it: by that its file is found again after a rotation.

Two tables remember up to where they hold a log, `rejected_records` always as far as or further than
the table of the records. Reading goes on where the records end. Where the rejected ones are
further, a load died between two commits, and positions given then are not given to other lines.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from deltalake import DeltaTable

from warehouse_assets.errors import SourceError
from warehouse_assets.ingest.lines import BLOCK_BYTES, TAIL_BYTES, LineReader, Lines
from warehouse_assets.ingest.load import loaded_now
from warehouse_assets.ingest.log_files import (
    LogChangedError,
    LogFile,
    LogSource,
    OpenLog,
    digest_of,
)
from warehouse_assets.lake import Transactions


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


def checkpoint_of(handle: DeltaTable, source: str) -> Checkpoint | None:
    """Up to where a table holds the log of `source`; None if it holds nothing of it."""
    base, position, digest, number = map(handle.transaction_version, _app_ids(source))
    if base is None or position is None or digest is None or number is None:
        return None
    return Checkpoint(base, position, digest, number)


def transactions_of(checkpoint: Checkpoint, source: str) -> Transactions:
    """What a commit carries after which its table holds the log up to `checkpoint`."""
    parts = (checkpoint.base, checkpoint.position, checkpoint.digest, checkpoint.file_number)
    return {**dict(zip(_app_ids(source), parts, strict=True)), **loaded_now(source)}


def _app_ids(source: str) -> list[str]:
    return [f"{source}/log/{part}" for part in ("base", "position", "digest", "file")]


@dataclass
class Segment:
    """What can be read of one file.

    Args:
        file: the file.
        offset: where in the file it begins.
        base: the position at which the file begins.
        is_final: whether nothing more will be written to the file, so that what is behind its
            last line end is a line, too.
        is_restart: whether reading went on in another file, or in the same from its beginning.
        lost_at: the position before the file's at which lines may be missing; None if none are.

    Attributes:
        size: how many bytes of it have been read.
        digest: the hash of what is before them and of them, as far as it is compared.
    """

    file: LogFile
    offset: int
    base: int
    is_final: bool
    is_restart: bool = False
    lost_at: int | None = None
    size: int = field(default=0, init=False)
    digest: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._before = self.file.window(self.offset)

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


@dataclass(frozen=True)
class Place:
    """Where reading goes on.

    Args:
        files: the files in which the rest of the log is; none if it is nowhere.
        segment: what is to be read first; None if no line is complete.
        waiting: the bytes that have not been loaded.
    """

    files: Sequence[LogFile]
    segment: Segment | None
    waiting: int


def find_place(log: OpenLog, loaded: Checkpoint | None, rejected: Checkpoint | None) -> Place:
    """Where a log is to be read on.

    Args:
        loaded: up to where the table of the records holds it; None if it holds nothing of it.
        rejected: up to where `rejected_records` does.

    Raises:
        SourceError: that may be in a file which cannot be read.
    """
    files, base, offset, lost_at = _beginning(log, loaded, rejected)
    waiting = sum(file.size for file in files) - offset
    is_restart = offset == 0 and base > 0
    for index, file in enumerate(files):
        # Whoever writes to a newer file has finished with this one.
        is_final = any(later.size > 0 for later in files[index + 1 :])
        if file.has_line(offset) or (is_final and offset < file.size):
            segment = Segment(file, offset, base, is_final, is_restart, lost_at)
            return Place(files, segment, waiting)
        if not is_final:
            break
        base, lost_at = _next_base(base + file.size, files[index + 1], rejected)
        offset, is_restart = 0, True
    return Place(files, None, waiting)


def _beginning(
    log: OpenLog, loaded: Checkpoint | None, rejected: Checkpoint | None
) -> tuple[Sequence[LogFile], int, int, int | None]:
    """The files to read, and base, offset and `lost_at` of the first."""
    if loaded is None and rejected is None:
        log.check_readable()
        return log.files, 0, 0, None
    if loaded is not None and (files := files_since(log, loaded)):
        return files, loaded.base, loaded.offset, None
    is_ahead = rejected is not None and (loaded is None or rejected.base > loaded.base)
    if is_ahead and rejected is not None and (files := files_since(log, rejected)):
        # The file was begun, and where it begins was settled.
        return files, rejected.base, 0, None
    reached = max(held.position for held in (loaded, rejected) if held is not None)
    return [log.present] if log.present else [], reached + 1, 0, reached


def _next_base(end: int, file: LogFile, rejected: Checkpoint | None) -> tuple[int, int | None]:
    """The position at which `file` begins, after one that ended at `end`, and `lost_at`."""
    if rejected is None or rejected.position <= end:
        return end, None
    if rejected.base >= end and rejected.is_in(file):
        return rejected.base, None
    return rejected.position + 1, rejected.position


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


def refuse_missing(source: LogSource, name: str = "log") -> str:
    """What is told where there is no log and need not be one.

    Args:
        name: what people call the log.

    Raises:
        SourceError: there has to be one.
    """
    path, setting = source.path, source.setting
    if source.is_given:
        raise SourceError(
            f"There is no {name} at {path}, and no rotated one beside it goes on from where it "
            f"was left. See why it is gone, or set {setting} to the file that grows."
        )
    return f"There is no {name} at {path}, the default of {setting}: nothing to take."
