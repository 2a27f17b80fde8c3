"""Removing what was made: the sample school and reviews, and the sample files that wait.

A file goes only if it holds what the ledger says was written to it. One that somebody else has
changed since stays, and is reported; so does everything that is not remembered. The warehouse
keeps what it has taken.
"""

from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from warehouse_assets.samples.deliveries_made import ledger_in, remembered
from warehouse_assets.samples.forum import waiting_samples
from warehouse_assets.samples.reviews import are_as_made, forget_reviews, made_reviews
from warehouse_assets.samples.school_files import holds_batches, students_in, writing
from warehouse_assets.samples.school_ledger import Ledger
from warehouse_assets.samples.school_log import LogFiles
from warehouse_assets.samples.school_places import Places
from warehouse_assets.samples.school_writer import lock
from warehouse_assets.samples.trips import waiting_trips_samples

_COMPANIONS = ("-wal", "-shm", "-journal")  # what SQLite puts beside a database


@dataclass
class Removal:
    """What was removed, and what was made but has been changed by others and so was left."""

    removed: list[Path] = field(default_factory=list)
    left: list[Path] = field(default_factory=list)

    def remove(self, path: Path, is_as_made: Callable[[], bool]) -> None:
        """Remove the file if it is there and is as it was made."""
        if not path.exists():
            return
        with writing(path):
            if not is_as_made():
                self.left.append(path)
                return
            path.unlink()
        self.removed.append(path)


def remove_samples(places: Places, inbox: Path) -> Removal:
    """Remove the sample school, reviews and deliveries, and sample files still in `inbox`.

    Raises:
        BusyError: a simulation is running.
        SourceError: the ledger cannot be read, or a file cannot be removed.
    """
    removal = Removal()
    has_school = places.ledger.exists()
    reviews = made_reviews(places.made)
    if has_school:
        taken = lock(places)
        try:
            with closing(Ledger(places.ledger)) as ledger:
                _remove_school(removal, _remembered(places, ledger), ledger)
            with writing(places.made):
                _unlink([places.ledger, *_companions(places.ledger), places.lock])
        finally:
            taken.release()
    if reviews is not None:
        removal.remove(reviews, lambda: are_as_made(places.made, reviews))
        if reviews not in removal.left:
            with writing(places.made):
                _unlink(_companions(reviews))
        forget_reviews(places.made)
    feed = remembered(ledger_in(places.made))
    if feed is not None:
        removal.remove(Path(feed.path), feed.is_as_made)
        with writing(places.made):
            _unlink([ledger_in(places.made)])
    for path in (*waiting_samples(inbox), *waiting_trips_samples(inbox)):
        removal.remove(path, lambda: True)
    if has_school or reviews is not None or feed is not None:
        for folder in (places.made, places.made.parent):
            with suppress(OSError):  # something else is in it
                folder.rmdir()
    return removal


def _remembered(places: Places, ledger: Ledger) -> Places:
    """Where the school was made, wherever the settings have it now."""
    home = places.made.parent
    paths = (ledger.fact(f"{name}_path") for name in ("students", "batches", "log"))
    students, batches, log = (
        here if path is None else home / path
        for path, here in zip(paths, places.files, strict=True)
    )
    return Places(students, batches, log, places.made)


def _remove_school(removal: Removal, places: Places, ledger: Ledger) -> None:
    removal.remove(places.students, lambda: _has_students_of(ledger, places.students))
    if places.students not in removal.left:
        _unlink(_companions(places.students))
    _unlink([places.batches.with_name(f".{places.batches.name}.part")])
    removal.remove(places.batches, lambda: holds_batches(places.batches, ledger.batches()))
    logs = LogFiles(places.log)
    logs.rename(ledger.pending.renames)  # so that a log's age tells its number
    known = ledger.logs()
    ends = [*(log.first for log in known[1:]), ledger.totals.end]
    for log, end in zip(known, ends, strict=True):
        age = ledger.log.number - log.number
        is_as_made = partial(logs.holds, age, log, end - log.first)
        removal.remove(logs.path(age), is_as_made)


def _has_students_of(ledger: Ledger, path: Path) -> bool:
    found = students_in(path)
    if found is None:
        return False
    pending = {student.id for student in ledger.pending.students}
    known = {student.id: student for student in ledger.students()}
    return all(known.get(n) == student or n in pending for n, student in found.items())


def _companions(database: Path) -> list[Path]:
    return [database.with_name(database.name + ending) for ending in _COMPANIONS]


def _unlink(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
