"""What a measured subject is given, and what it reports."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.data import Data


@dataclass
class Context:
    """The data and folders of one measurement, and its stopwatch.

    Args:
        data: the files; they are not changed.
        templates: what the preparation of the case has made; it is not changed.
        folder: an empty folder for this measurement alone.
    """

    data: Data
    templates: Path
    folder: Path
    startup: float = 0.0
    seconds: float = 0.0
    bytes_read: int = 0
    details: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Count the block as start-up."""
        started = time.perf_counter()
        yield
        self.startup += time.perf_counter() - started

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """Measure the block; what was written before is on the disk when it begins."""
        os.sync()
        read, started = _bytes_read(), time.perf_counter()
        yield
        self.seconds = time.perf_counter() - started
        self.bytes_read = _bytes_read() - read


def _bytes_read() -> int:
    """What this process has read so far, from the disk or its cache; 0 where no one tells."""
    try:
        lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return int(dict(line.split(": ") for line in lines)["rchar"])
