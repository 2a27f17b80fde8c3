"""Where a log is to be read on: in which file, from where, and at which position that begins.

Two tables remember up to where they hold the log, `rejected_records` always as far as or further
than the table of the records. Reading goes on where the records end. Where the rejected ones are
further, a run was ended between two commits, and positions given then must not be given to other
lines.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from warehouse_assets.sources.growing_log import LogFile, OpenLog
from warehouse_assets.sources.log_marks import Mark


@dataclass(frozen=True)
class Marks:
    """Up to where both tables hold a log; None where a table holds nothing of it."""

    taken: Mark | None
    rejected: Mark | None

    @property
    def reached(self) -> int:
        """The position up to which positions have been given."""
        return max((mark.position for mark in (self.taken, self.rejected) if mark), default=0)


@dataclass(frozen=True)
class Piece:
    """What can be read of one file.

    Args:
        file: the file.
        offset: where in the file it begins.
        base: the position at which the file begins.
        is_final: whether nothing more will be written to the file, so that what is behind its
            last line end is a line, too.
        is_restart: whether reading went on in another file, or in the same from its beginning.
        lost_at: the position before the file's at which lines may be missing; None if none are.
    """

    file: LogFile
    offset: int
    base: int
    is_final: bool
    is_restart: bool
    lost_at: int | None

    @property
    def position(self) -> int:
        """The position at which it begins."""
        return self.base + self.offset


@dataclass(frozen=True)
class Place:
    """Where reading goes on.

    Args:
        files: the files in which the rest of the log is; none if it is nowhere.
        piece: what is to be read first; None if no line is complete.
        waiting: the bytes that have not been taken.
    """

    files: Sequence[LogFile]
    piece: Piece | None
    waiting: int


def find_place(log: OpenLog, marks: Marks) -> Place:
    """Where `log` is to be read on.

    Raises:
        SourceError: that may be in a file which cannot be read.
    """
    files, base, offset, lost_at = _beginning(log, marks)
    waiting = sum(file.size for file in files) - offset
    is_restart = offset == 0 and base > 0
    for index, file in enumerate(files):
        # Whoever writes to a newer file has finished with this one.
        is_final = any(later.size > 0 for later in files[index + 1 :])
        if file.has_line(offset) or (is_final and offset < file.size):
            piece = Piece(file, offset, base, is_final, is_restart, lost_at)
            return Place(files, piece, waiting)
        if not is_final:
            break
        base, lost_at = _next_base(base + file.size, files[index + 1], marks)
        offset, is_restart = 0, True
    return Place(files, None, waiting)


def _beginning(log: OpenLog, marks: Marks) -> tuple[Sequence[LogFile], int, int, int | None]:
    """The files to read, and base, offset and `lost_at` of the first."""
    taken, rejected = marks.taken, marks.rejected
    if taken is None and rejected is None:
        log.check_readable()
        return log.files, 0, 0, None
    if taken is not None and (file := log.find(taken)):
        return log.since(file, taken), taken.base, taken.offset, None
    is_ahead = rejected is not None and (taken is None or rejected.base > taken.base)
    if is_ahead and rejected is not None and (file := log.find(rejected)):
        # The file was begun, and where it begins was settled.
        return log.since(file, rejected), rejected.base, 0, None
    files = [log.present] if log.present else []
    return files, marks.reached + 1, 0, marks.reached


def _next_base(end: int, file: LogFile, marks: Marks) -> tuple[int, int | None]:
    """The position at which `file` begins, after one that ended at `end`, and `lost_at`."""
    rejected = marks.rejected
    if rejected is None or rejected.position <= end:
        return end, None
    if rejected.base >= end and file.holds(rejected):
        return rejected.base, None
    return rejected.position + 1, rejected.position
