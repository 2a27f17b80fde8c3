"""Writing what a school does into the ledger and then into its sources.

Opening a `SchoolWriter` makes the sources agree with the ledger: what a killed process has left
pending is written. What the ledger has not recorded is never in a source, unless another program
wrote it; a source like that is refused.
"""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from random import Random

from filelock import FileLock, Timeout

from warehouse_assets.errors import BusyError, SourceError
from warehouse_assets.samples.school import Batch, Event, Line
from warehouse_assets.samples.school_files import (
    StudentsFile,
    holds_batches,
    write_batches,
    writing,
)
from warehouse_assets.samples.school_ledger import Ledger
from warehouse_assets.samples.school_log import LogFiles
from warehouse_assets.samples.school_pending import Pending
from warehouse_assets.samples.school_places import Places

_SHARE_OF_LINES_IN_PARTS = 0.05
_SHARE_OF_GROUPS_CUT = 0.5
_SOURCES = ("students", "batches", "log")
_RESET = "'warehouse samples --reset' forgets what was made and leaves that file alone"


class SchoolInUseError(BusyError):
    """Another process is writing to the school."""


class SchoolWriter:
    """Writes to the sources at `places`; one at a time. Use it as a context.

    Args:
        chance: where lines are cut while they are written; None for whole groups.
        is_slow: whether some milliseconds pass between the parts of a line.

    Raises:
        SchoolInUseError: another process writes to them.
        SourceError: a source was made or changed by something else, or cannot be written.
    """

    def __init__(self, places: Places, chance: Random | None = None, is_slow: bool = False) -> None:
        self._places = places
        self._chance = chance
        self._is_slow = is_slow
        self._logs = LogFiles(places.log)
        self._unwritten = b""  # the end of the last line, recorded but held back
        if not places.ledger.exists():
            refuse_foreign(places)
        with ExitStack() as opened:
            opened.callback(lock(places).release)
            self.ledger = self._open_ledger()
            opened.callback(self.ledger.close)
            self.batches = self.ledger.batches()
            self._refuse_changed()
            self._students = StudentsFile(places.students)
            opened.callback(self._students.close)
            self._complete()
            self._opened = opened.pop_all()

    def __enter__(self) -> "SchoolWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # After a failure everything stays pending, for the next start.
        with self._opened:
            if kind is None:
                self._apply_text(self.ledger.pending, is_whole=True)
                self.ledger.settle()

    def write(self, events: Sequence[Event]) -> None:
        """Record the events, then put them into the sources."""
        pending = self.ledger.record(events, self._unwritten)
        if pending.students:
            self._students.write(pending.students)
        new = [event for event in events if isinstance(event, Batch)]
        if new:
            # Replaced, not changed: a server's thread may be reading the list.
            self.batches = [*self.batches, *new]
            write_batches(self._places.batches, self.batches)
        has_lines = any(isinstance(event, Line) for event in events)
        self._apply_text(pending, is_whole=not has_lines and not self._unwritten)

    def rotate(self, keep: int) -> None:
        """Rename the log, and all rotated ones; a line that is half written ends in the old one.

        Args:
            keep: how many rotated logs stay.
        """
        renames = self._logs.plan_rotation(self.ledger.log.number - 1, keep)
        pending = self.ledger.record_rotation(renames, self._unwritten)
        self._logs.rename(pending.renames)
        self._apply_text(pending, is_whole=True)

    def lock_students(self, seconds: float) -> None:
        """Keep everybody from writing to the students, and in rollback mode from reading them."""
        self._students.lock(seconds)

    def use_wal(self, is_wal: bool) -> None:
        """Have the students' database in WAL mode, or in rollback mode, if nobody reads it."""
        self._students.use_wal(is_wal)

    def _open_ledger(self) -> Ledger:
        places = self._places
        ledger = Ledger(places.ledger)
        known = {name: ledger.fact(f"{name}_path") for name in _SOURCES}
        here = dict(zip(_SOURCES, (self._name(path) for path in places.files), strict=True))
        if any(known.values()) and known != here:
            ledger.close()
            raise SourceError(
                f"The sample school was made in {', '.join(map(str, known.values()))}; now it "
                f"would be {', '.join(here.values())}. Set STUDENTS_DB, BATCHES_URL and "
                "TEST_RUNS_LOG as they were, or begin anew with 'warehouse samples --reset'."
            )
        if not any(path.exists() for path in (*places.files, self._logs.path(1))):
            ledger.forget()  # somebody has deleted the whole school
        elif not any(known.values()):
            ledger.close()
            refuse_foreign(places)
        ledger.remember(**{f"{name}_path": path for name, path in here.items()})
        return ledger

    def _name(self, path: Path) -> str:
        """The path as it is remembered: a home that was moved still has its school."""
        home = self._places.made.parent
        return str(path.relative_to(home) if path.is_relative_to(home) else path)

    def _refuse_changed(self) -> None:
        """Refuse files that another program has changed, before anything is written."""
        places, ledger, pending = self._places, self.ledger, self.ledger.pending
        if places.batches.exists() and not holds_batches(places.batches, self.batches):
            raise _changed(places.batches)
        if pending.renames:
            return  # the rotation may be half done; `_apply_text` looks at the sizes
        size = pending.end - ledger.log.first
        if not self._logs.holds(0, ledger.log, size) or self._written(pending) is None:
            raise _changed(places.log)

    def _complete(self) -> None:
        """Put into the sources what is pending, and what somebody has deleted."""
        pending = self.ledger.pending
        count = self.ledger.standing.students
        if self._students.count() > count:
            raise _changed(self._places.students)
        self._students.write(pending.students)
        if self._students.count() < count:
            self._students.write(list(self.ledger.students()))
        write_batches(self._places.batches, self.batches)
        self._logs.rename(pending.renames)
        self._apply_text(pending, is_whole=True)

    def _apply_text(self, pending: Pending, is_whole: bool) -> None:
        """Write what the log lacks of the text, or all of it but the end of its last line."""
        age = self.ledger.log.number - pending.log
        written = self._written(pending)
        if written is None:
            raise _changed(self._logs.path(age))
        missing = pending.text[written:]
        held = 0 if is_whole else self._held_back(missing)
        self._unwritten = missing[len(missing) - held :]
        if missing:
            self._logs.append(age, self._parts(missing[: len(missing) - held]), self._is_slow)

    def _written(self, pending: Pending) -> int | None:
        """How many bytes of the text the log has; None if it has anything else there."""
        age = self.ledger.log.number - pending.log
        begin = pending.first - self.ledger.first_position(pending.log)
        tail = self._logs.tail(age, begin, len(pending.text) + 1)
        return len(tail) if tail is not None and pending.text.startswith(tail) else None

    def _held_back(self, text: bytes) -> int:
        if self._chance is None or not text or self._chance.random() > _SHARE_OF_GROUPS_CUT:
            return 0
        last_line = text[text.rfind(b"\n", 0, -1) + 1 :]
        return self._chance.randint(1, len(last_line))

    def _parts(self, text: bytes) -> list[bytes]:
        """`text` as it is written: now and then a line in two parts."""
        if self._chance is None:
            return [text]
        count = round(text.count(b"\n") * _SHARE_OF_LINES_IN_PARTS + self._chance.random())
        cuts = sorted(self._chance.randrange(len(text) + 1) for _ in range(count))
        return [text[begin:end] for begin, end in pairwise([0, *cuts, len(text)])]


def complete(places: Places) -> None:
    """Make the sources agree with the ledger after a process was killed.

    Raises:
        SchoolInUseError: a process is still writing to them.
        SourceError: a source was changed by something else, or cannot be written.
    """
    with SchoolWriter(places):
        pass


def lock(places: Places) -> FileLock:
    """Take the right to write to the sources.

    Raises:
        SchoolInUseError: another process has it.
        SourceError: a folder cannot be made or written.
    """
    for folder in dict.fromkeys([places.made, *(path.parent for path in places.files)]):
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise SourceError(f"The folder {folder} cannot be written: see to its permissions.")
    taken = FileLock(places.lock)
    try:
        taken.acquire(blocking=False)
    except Timeout:
        raise SchoolInUseError(
            f"Another process is writing to the sample school in {places.made.parent}: a "
            "'warehouse simulate' that is still running, perhaps. Stop it first."
        ) from None
    return taken


def refuse_foreign(places: Places) -> None:
    """Raise SourceError if one of the files is there, though nothing was made."""
    for path, setting in zip(
        places.files, ("STUDENTS_DB", "BATCHES_URL", "TEST_RUNS_LOG"), strict=True
    ):
        if path.exists():
            raise SourceError(
                f"{path} is there already and was not made as a sample: it is left as it is. Set "
                f"{setting} to another path, or move the file away."
            )


def _changed(path: Path) -> SourceError:
    return SourceError(
        f"{path} was changed or deleted by another program since the sample school was written "
        f"to it. It is left as it is; {_RESET}."
    )
