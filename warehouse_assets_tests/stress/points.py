"""The points at which a run or the maintenance of the lake is killed, and how."""

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from warehouse_assets import crash_points


class Point(NamedTuple):
    """A crash point of the package, at which a process dies.

    If `is_amid` it goes on, and dies when the next file in the lake comes or goes.
    """

    name: str
    is_amid: bool = False

    def __str__(self) -> str:
        return f"{self.name}, then the next file" if self.is_amid else self.name


def _both(name: str) -> tuple[Point, Point]:
    return Point(name), Point(name, is_amid=True)


OF_A_RUN = (
    *_both("table to be created"),
    Point("table created"),
    *_both("source to be read"),
    Point("source read"),
    Point("rejects committed"),
    Point("rows committed"),
    Point("file archived"),
    *_both("duplicate to be removed"),
    *_both("Parquet to be written"),
    Point("Parquet written"),
    *_both("commit to be written"),
    Point("commit written"),
    *_both("merge to be written"),
    Point("merge written"),
    Point("table to be published"),
    Point("rows published"),
    Point("version noted"),
    Point("table published"),
)
OF_MAINTENANCE = (
    *_both("table to be laid out"),
    *_both("layout to be committed"),
    Point("layout committed"),
    *_both("files to be rearranged"),
    Point("files rearranged"),
    *_both("files to be vacuumed"),
    *_both("files vacuumed"),
    *_both("log to be trimmed"),
    Point("log trimmed"),
    Point("warehouse to be maintained"),
    Point("warehouse maintained"),
)


def arm(points: Sequence[Point], lake: Path, note: Path) -> None:
    """Let this process die at the first of `points` that it comes to, and write there where."""
    by_name = {point.name: point for point in points}

    def die(name: str, subject: str) -> None:
        point = by_name.get(name)
        if point is None:
            return
        note.write_text(str(point), encoding="utf-8")
        if point.is_amid:
            _die_at_the_next_change_below(lake)
        else:
            os.kill(os.getpid(), signal.SIGKILL)

    crash_points.hook = die


def _die_at_the_next_change_below(folder: Path) -> None:
    """Die as soon as a file comes or goes: one being written is then not whole."""
    before = set(_files(folder))

    def watch() -> None:
        while set(_files(folder)) == before:
            pass
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def _files(folder: Path) -> Iterator[str]:
    for parent, _, names in os.walk(folder):
        for name in names:
            yield f"{parent}/{name}"
