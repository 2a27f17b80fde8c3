"""Disks that fill up: a small one in memory, or, where none can be mounted, a limit on files."""

import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MEGABYTES = 24


class SmallDisk:
    """A file system of a few megabytes."""

    says_it_is_full = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Leave not a byte."""
        with self._ballast.open("wb", buffering=0) as stream:
            for size in (1 << 20, 1 << 12, 1):
                try:
                    while True:
                        stream.write(bytes(size))
                except OSError:
                    continue

    def make_room(self) -> None:
        """Leave room again."""
        self._ballast.unlink(missing_ok=True)


class LimitedFiles:
    """A folder in which this process cannot make any file longer."""

    says_it_is_full = False  # but that a file is too large

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(self) -> None:
        """Allow no byte more."""
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, self._limits[1]))

    def make_room(self) -> None:
        """Allow what was allowed."""
        resource.setrlimit(resource.RLIMIT_FSIZE, self._limits)


Disk = SmallDisk | LimitedFiles


@contextmanager
def small_disk(folder: Path) -> Iterator[Disk]:
    """A small disk at `folder`, gone when the block ends; else limited files there."""
    if not _mount(folder):
        yield LimitedFiles(folder)
        return
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", folder], check=True)


def _mount(folder: Path) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", f"size={_MEGABYTES}m", "stress", str(folder)]
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False
