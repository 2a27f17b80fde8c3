"""What a school does, event by event: batches begin, students come and change, tests run.

Only what happens is here, not how it is written down: that is in `school_lines` (a line of the
log) and `school_files` (the sources). The same seed makes the same events but for their times,
also where the school goes on from an earlier `Standing`.
"""

import random
from dataclasses import dataclass
from typing import NamedTuple

from warehouse_assets.samples import school_lines
from warehouse_assets.samples.school_lines import Run

LINES_PER_STUDENT = 40
_SEATS_OF_A_SMALL_BATCH = 10
_SHARE_OF_CHANGES = 0.002
_SHARE_OF_BLANK_LINES = 0.01
_SHARE_OF_UNUSABLE_LINES = 0.01
_SHARES_OF_BATCHES = (0.5, 0.93, 0.98, 1)  # each the sum up to it
_SHARE_OF_TITLES_ALONE = 0.3
_SHARE_OF_TITLES = 0.6
_ACTIVE_STUDENTS = 300  # the newest ones; the others have finished
_AHEAD = 3  # students are known to the producers of test runs before they are entered
_LINES_OF_A_TERM = 3000
_HARDEST_TESTS = 9

_FIRST_NAMES = ("Ada", "Bjørn", "Chloé", "Dmitri", "Emeka", "Farah", "Grace", "Hiroshi", "Zoë")
_LAST_NAMES = ("Andersson", "Brown", "Çelik", "Diallo", "Müller", "O'Brien", "Sato", "de la Cruz")

_PLAIN_LESSONS = (
    "Selecting rows",
    "Joins, inner and outer",
    "Grouping",
    "Dates: a field guide",
    "Übung macht den Meister",
    "Null",
    "Indexes",
    "Transactions",
)
_GUEST_LECTURE = "Guest lecture"  # has no number, ever
_PROJECT = "Project"  # its number is known from the second term on
_WINDOWS = ("Windows", "Window functions")  # a lesson whose title changes with the term
_EXAM = "Exam"  # a title whose lesson changes with the term


class Batch(NamedTuple):
    """A batch begins."""

    id: int
    name: str
    created_at: str


class Student(NamedTuple):
    """A student is entered."""

    id: int
    name: str
    batch_id: int | None
    created_at: str


class Change(NamedTuple):
    """A student gets another name or goes to another batch; what is None stays."""

    student_id: int
    name: str | None
    batch_id: int | None


class Line(NamedTuple):
    """A line of the log, without its end: a run, or why it is none, or neither if it is blank."""

    text: bytes
    run: Run | None
    flaw: str | None


Event = Batch | Student | Change | Line


@dataclass
class Standing:
    """How far a school has come: what the next event depends on beside the seed."""

    events: int = 0
    students: int = 0
    changes: int = 0
    batches: int = 0
    lines: int = 0
    last_batch_at: str = ""


def seats(batches: int) -> int:
    """How many students that many batches take.

    Each second batch has one seat more than the one before. Batches thus come often in a small
    school, yet never 100 in a second however fast students come: a page of the server would then
    not reach the next second.
    """
    return batches * _SEATS_OF_A_SMALL_BATCH + batches * batches // 4


class School:
    """Makes events, each from the seed and the standing; `standing` moves on with each."""

    def __init__(self, seed: int, standing: Standing) -> None:
        self.standing = standing
        self._seed = seed
        self._chance = random.Random()

    def is_complete_with(self, students: int) -> bool:
        """Whether that many students are entered and have run their tests."""
        standing = self.standing
        return standing.students >= students and standing.lines >= LINES_PER_STUDENT * students

    def next_event(self, now: str) -> Event:
        """What happens next, at the time `now`."""
        standing = self.standing
        # Each event has a beginning of its own, so that a school can go on anywhere.
        self._chance.seed((self._seed << 48) + standing.events)
        standing.events += 1
        # Batches begin in pairs: two of them are usually made in one second.
        if standing.students >= seats(standing.batches) or standing.batches % 2:
            return self._batch(now)
        if standing.lines >= LINES_PER_STUDENT * standing.students:
            return self._student(now)
        if self._chance.random() < _SHARE_OF_CHANGES:
            return self._change()
        return self._line()

    def _batch(self, now: str) -> Batch:
        standing = self.standing
        standing.batches += 1
        # A clock may be set back; the server's order would then not be that of the numbers.
        standing.last_batch_at = max(now, standing.last_batch_at)
        return Batch(standing.batches, f"Batch {standing.batches}", standing.last_batch_at)

    def _student(self, now: str) -> Student:
        self.standing.students += 1
        return Student(self.standing.students, self._name(), self._batch_of_a_student(), now)

    def _change(self) -> Change:
        self.standing.changes += 1
        student = max(self.standing.students - self._chance.randrange(_ACTIVE_STUDENTS), 1)
        if self._chance.choice((True, False)):
            return Change(student, self._name(), None)
        return Change(student, None, self._chance.randint(1, self.standing.batches))

    def _name(self) -> str:
        return f"{self._chance.choice(_FIRST_NAMES)} {self._chance.choice(_LAST_NAMES)}"

    def _batch_of_a_student(self) -> int | None:
        newest = self.standing.batches
        # Of the two newest, or of one that is still to begin, or it is not decided yet.
        batches = (newest, newest - 1, newest + 1, None)
        return self._chance.choices(batches, cum_weights=_SHARES_OF_BATCHES)[0]

    def _line(self) -> Line:
        standing = self.standing
        standing.lines += 1
        luck = self._chance.random()
        if luck < _SHARE_OF_BLANK_LINES:
            return Line(self._chance.choice((b"", b"  ")), None, None)
        if luck < _SHARE_OF_BLANK_LINES + _SHARE_OF_UNUSABLE_LINES:
            flaw, text = school_lines.unusable(self._chance)
            return Line(text, None, flaw)
        run = self._run()
        return Line(school_lines.written(run, self._chance), run, None)

    def _run(self) -> Run:
        chance = self._chance
        newest = self.standing.students + _AHEAD
        student = newest - int(min(newest, _ACTIVE_STUDENTS) * chance.random() ** 2)
        gift = student * 7919 % 97 / 97  # as many hardly complete a lesson as complete all
        total = chance.randint(1, _HARDEST_TESTS)
        is_completed = chance.random() < 0.5 * gift**3
        passed = total if is_completed else chance.randrange(total)
        return Run(student, *self._lesson(), passed, total)

    def _lesson(self) -> tuple[int | None, str | None]:
        """The lesson as the producer tells it: by its number, by its title or by both."""
        chance = self._chance
        term = self.standing.lines // _LINES_OF_A_TERM
        number = chance.randint(1, len(_PLAIN_LESSONS) + 4)
        special = {
            9: (None, _GUEST_LECTURE),
            10: (10 if term else None, _PROJECT),
            11: (11, _WINDOWS[term % 2]),
            12: (12 + term % 2, _EXAM),
        }
        lesson, title = special.get(number) or (number, _PLAIN_LESSONS[number - 1])
        form = chance.random()
        if lesson is None or form < _SHARE_OF_TITLES_ALONE:
            return None, title
        return lesson, title if form < _SHARE_OF_TITLES else None
