"""What the ledger of a sample school hands to the writers of its sources, and what it counts."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from warehouse_assets.samples.school import Student


class Rename(NamedTuple):
    """A log, known by its inode, that gets another name, or is deleted if that is None."""

    old: str
    new: str | None
    inode: int


class Log(NamedTuple):
    """A log: its number, the position of its first byte, and how it begins."""

    number: int
    first: int
    head: bytes


@dataclass(frozen=True)
class Pending:
    """What is recorded and may not be in the sources: all of it can be written again.

    Attributes:
        students: rows as they are to be.
        log: the number of the log that the text belongs to, once `renames` are done.
        first: position of the text, in bytes from the beginning of the first log.
        text: what the log gets.
    """

    students: Sequence[Student] = ()
    log: int = 1
    first: int = 0
    text: bytes = b""
    renames: Sequence[Rename] = ()

    @property
    def end(self) -> int:
        """The position after the text."""
        return self.first + len(self.text)

    def row(self) -> tuple[str, int, int, bytes, str]:
        """What the ledger keeps of it."""
        return (
            json.dumps(self.students),
            self.log,
            self.first,
            self.text,
            json.dumps(self.renames),
        )

    @classmethod
    def of_row(cls, students: str, log: int, first: int, text: bytes, renames: str) -> "Pending":
        """What the ledger kept."""
        return cls(
            [Student(*values) for values in json.loads(students)],
            log,
            first,
            text,
            [Rename(*values) for values in json.loads(renames)],
        )


@dataclass
class Totals:
    """How much was made since the beginning."""

    runs: int = 0
    unusable: int = 0
    rotations: int = 0
    rotated_logs_deleted: int = 0
    end: int = 0
