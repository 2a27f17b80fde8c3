"""The log of a sample school and the rotated ones beside it, as files."""

import time
from collections.abc import Sequence
from pathlib import Path

from warehouse_assets.errors import SourceError
from warehouse_assets.samples.school_files import writing
from warehouse_assets.samples.school_pending import Log, Rename

_PART_SECONDS = 0.002  # between the parts of a line that is written in two


class LogFiles:
    """The log at `path`; rotated ones have .1 (the newest), .2, … after their names.

    The age of a log is how many were begun after it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def path(self, age: int) -> Path:
        """Where the log of that age is."""
        return self._path.with_name(f"{self._path.name}.{age}") if age else self._path

    def size(self, age: int) -> int:
        """How many bytes it has; 0 if it is not there."""
        try:
            return self.path(age).stat().st_size
        except FileNotFoundError:
            return 0

    def holds(self, age: int, log: Log, size: int) -> bool:
        """Whether the file has the beginning of `log`, and at most `size` bytes."""
        if not self.size(age):
            return True
        with writing(self.path(age)), self.path(age).open("rb") as stream:
            head = stream.read(len(log.head))
        return log.head.startswith(head) and self.size(age) <= size

    def tail(self, age: int, begin: int, most: int) -> bytes | None:
        """At most so many bytes of the log from one of them on; None if it is shorter."""
        if self.size(age) < begin:
            return None
        if self.size(age) == begin:
            return b""
        with writing(self.path(age)), self.path(age).open("rb") as stream:
            stream.seek(begin)
            return stream.read(most)

    def append(self, age: int, parts: Sequence[bytes], is_slow: bool = False) -> None:
        """Write the parts one after the other, each of them visible before the next.

        Args:
            is_slow: whether to wait a little between them.
        """
        path = self.path(age)
        with writing(path), path.open("ab", buffering=0) as stream:
            for number, part in enumerate(parts):
                if number and is_slow:
                    time.sleep(_PART_SECONDS)
                rest = memoryview(part)
                while rest:
                    rest = rest[stream.write(rest) or 0 :]

    def plan_rotation(self, oldest: int, keep: int) -> list[Rename]:
        """The renames that make every log older by one, in their order.

        Args:
            oldest: the greatest age that a log may have now.
            keep: how many rotated logs stay; older ones are deleted.

        Raises:
            SourceError: a file that is not of the log is in the way.
        """
        renames = []
        for age in range(min(oldest, keep), -1, -1):
            old, new = self.path(age), self.path(age + 1)
            if age == oldest < keep and new.exists():
                raise SourceError(f"{new} is in the way of the log's rotation: move it away.")
            if old.exists():
                is_kept = age < keep
                renames.append(Rename(old.name, new.name if is_kept else None, old.stat().st_ino))
        return renames

    def rename(self, renames: Sequence[Rename]) -> None:
        """Do what is still to be done of `renames`."""
        for rename in renames:
            old = self._path.with_name(rename.old)
            with writing(old):
                if not old.exists() or old.stat().st_ino != rename.inode:
                    continue  # done before the process was killed
                if rename.new is None:
                    old.unlink()
                else:
                    old.replace(self._path.with_name(rename.new))
