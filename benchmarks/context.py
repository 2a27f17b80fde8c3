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
        peak_bytes: peak memory of processes that do the work and are not started by this one.
    """

    data: Data
    templates: Path
    folder: Path
    startup: float = 0.0
    seconds: float = 0.0
    bytes_read: int = 0
    peak_bytes: int = 0
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


def peak_memory(process: int | str = "self") -> int:
    """The most bytes a process has had in memory, with what it shares; 0 where no one tells.

    What `getrusage` tells of a process includes what its parent had when it was started.
    """
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    fields = dict(line.split(":", 1) for line in lines)
    return int(fields["VmHWM"].split()[0]) * 1024
