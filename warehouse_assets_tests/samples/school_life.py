"""A sample school that lives for a test, and dies for it."""

from collections.abc import Callable
from random import Random

import pytest

from warehouse_assets.samples.school import School
from warehouse_assets.samples.school_places import Places
from warehouse_assets.samples.school_writer import SchoolWriter

NOW = "2026-11-20 13:51:54.463573"


class Killed(BaseException):
    """Stands for the end of the process."""


def live(writer: SchoolWriter, count: int) -> None:
    """Let `count` things happen."""
    school = School(1, writer.ledger.standing)
    writer.write([school.next_event(NOW) for _ in range(count)])


def grown(places: Places, rotations: int = 0) -> None:
    """A school of 300 events and that many rotated logs."""
    with SchoolWriter(places, Random(1)) as writer:
        for _ in range(rotations):
            live(writer, 60)
            writer.rotate(keep=9)
        live(writer, 300 - 60 * rotations)


def killed(places: Places, change: Callable[[SchoolWriter], None], seed: int = 1) -> None:
    """Have a process die in the middle of `change`."""

    def work() -> None:
        with SchoolWriter(places, Random(seed)) as writer:
            live(writer, 100)
            change(writer)

    with pytest.raises(Killed):
        work()
