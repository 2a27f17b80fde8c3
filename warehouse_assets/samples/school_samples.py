"""A finite sample school: as many students as asked for, with their batches and test runs."""

from datetime import datetime, timedelta

from warehouse_assets.samples.school import LINES_PER_STUDENT, Event, School, Standing
from warehouse_assets.samples.school_places import Places
from warehouse_assets.samples.school_writer import SchoolInUseError, SchoolWriter

_FIRST_DAY = datetime.fromisoformat("2025-01-06T08:00:00.125")
_YEAR = timedelta(days=360)
_LONGEST_PAUSE = timedelta(seconds=97.3)
_INSTANT = timedelta(milliseconds=10)  # between batches that begin together
_GROUP = 2000
_LIVE = "live"  # the size of a school that has been simulated


def write_school_samples(places: Places, students: int, seed: int) -> str | None:
    """Make a school at `places`, unless there is one that was made before.

    A school that is there already stays as it is: then what it is, is returned in words. One
    whose making was cut short is completed. The same size and seed make the same content.

    Raises:
        SourceError: a file is in the way that is none of a sample school.
    """
    try:
        with SchoolWriter(places) as writer:
            size = f"{students} students and seed {seed}"
            known = writer.ledger.fact("size")
            if known not in (None, size):
                return _account(known, writer.ledger.standing.students)
            writer.ledger.remember(size=size)
            _fill(writer, students, seed)
    except SchoolInUseError as error:
        return f"{error} The school stays as it is."
    return None


def _fill(writer: SchoolWriter, students: int, seed: int) -> None:
    standing = writer.ledger.standing
    school, clock = School(seed, standing), _Clock(students)
    while not school.is_complete_with(students):
        events: list[Event] = []
        while len(events) < _GROUP and not school.is_complete_with(students):
            events.append(school.next_event(clock.time(standing)))
        writer.write(events)


def remember_as_live(writer: SchoolWriter) -> None:
    """Have the school of `writer` no longer taken for one of a certain size."""
    writer.ledger.remember(size=_LIVE)


def _account(size: str | None, students: int) -> str:
    what = f"simulated, with {students:,} students" if size == _LIVE else f"with {size}"
    return (
        f"There is a school already, {what}: it stays as it is. To make another one, remove it "
        "with 'warehouse samples --reset' first."
    )


class _Clock:
    """The time of an event, from what there was before it."""

    def __init__(self, students: int) -> None:
        self._pause = min(_YEAR / (LINES_PER_STUDENT * max(students, 1)), _LONGEST_PAUSE)

    def time(self, standing: Standing) -> str:
        moment = _FIRST_DAY + standing.lines * self._pause + standing.events * _INSTANT
        return f"{moment:%Y-%m-%d %H:%M:%S.%f}"
