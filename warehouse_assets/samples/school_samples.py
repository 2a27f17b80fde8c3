"""A finite sample school: as many students as asked for, with their batches and test runs."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from warehouse_assets.samples.files import Made, make_files
from warehouse_assets.samples.places import Places
from warehouse_assets.samples.school import LINES_PER_STUDENT, Event, School
from warehouse_assets.samples.school_sources import SchoolSources

_FIRST_DAY = datetime.fromisoformat("2025-01-06T08:00:00.125")
_YEAR = timedelta(days=360)
_LONGEST_PAUSE = timedelta(seconds=97.3)  # between events
_INSTANT = timedelta(milliseconds=10)  # between batches that begin together
_GROUP = 2000


def write_school_samples(places: Places, students: int, seed: int) -> Made:
    """Make a school at `places`, unless one of its sources is there already.

    The same size and seed make the same content.

    Args:
        places: where its sources go.
        students: how many there are.
        seed: another seed makes another school.

    Raises:
        SourceError: a source cannot be written.
    """

    def write(database: Path, batches: Path, log: Path) -> None:
        parts = replace(places, students=database, batches=batches, log=log)
        with SchoolSources(parts, final=places) as sources:
            _fill(sources, students, seed)

    return make_files(places.school, write)


def _fill(sources: SchoolSources, students: int, seed: int) -> None:
    pause = min(_YEAR / (LINES_PER_STUDENT * max(students, 1)), _LONGEST_PAUSE)
    school, moment = School(seed), _FIRST_DAY
    while not school.is_complete_with(students):
        events: list[Event] = []
        while len(events) < _GROUP and not school.is_complete_with(students):
            events.append(school.next_event(f"{moment:%Y-%m-%d %H:%M:%S.%f}"))
            moment += _INSTANT if school.batches % 2 else pause
        sources.write(events)
