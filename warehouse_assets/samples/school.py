"""What a school does, event by event: batches begin, students come and change, tests run.

Also how the producers of the log write a run of tests, and what they write that is none. Where
events are put is in `school_sources`. The same seed makes the same events but for their times.
"""

import json
import random
from typing import NamedTuple

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
_STUDENTS_OF_A_TERM = 75
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


class _Style(NamedTuple):
    """How a producer writes: what follows a mark, what follows "student_id", in which order."""

    space: str
    mark: str
    is_reversed: bool = False


_STYLES = (_Style(" ", ","), _Style("", ","), _Style(" ", ":"), _Style("", ":", is_reversed=True))
_SHARES_OF_STYLES = (0.7, 0.8, 0.95, 1)  # each the sum up to it

UNUSABLE: tuple[bytes, ...] = (
    b"Traceback (most recent call last):",
    b"-- MARK --",
    b'{"result": "2 out of 2", "student_',  # cut off
    b'{"result": "1/2", "student_id", 3',
    b'{"result": "1/{"result": "1/2", "student_id", 3, "lesson_id": 4}',  # two lines in one
    b"[3, 4]",
    b"null",
    b'"2/2"',
    '{"result": "2/2", "student_id": 3, "lesson_id": 4}'.encode("utf-16"),
    b'{"result": "2/2", "lesson_id": 4}',
    b'{"result": "2/2", "student_id", "anna", "lesson_id": 4}',
    b'{"result": "2 out of 2", "student_id", 3}',
    b'{"result": "2/2", "student_id": 3, "lesson_id": "four"}',
    b'{"student_id", 3, "lesson_id": "4"}',
    b'{"result": "passed", "student_id", 3, "lesson_id": "4"}',
    b'{"result": "2 out of", "student_id", 3, "lesson_id": "4"}',
)
"""Lines that nobody can use, whatever they make of them."""


class Run(NamedTuple):
    """A run of the tests of a lesson; of the lesson at least one of number and title is told."""

    student_id: int
    lesson_id: int | None
    lesson_title: str | None
    passed: int
    total: int


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
    """A line of the log, without its end; one without a run is unusable or blank."""

    text: bytes
    run: Run | None = None


Event = Batch | Student | Change | Line
KINDS_OF_LINES = ("test runs", "unusable lines", "blank lines")


def kind_of(event: Event) -> str:
    """What an event is called where they are counted."""
    if isinstance(event, Line):
        if event.run is not None:
            return "test runs"
        return "unusable lines" if event.text.strip() else "blank lines"
    return {Batch: "batches", Student: "students", Change: "changes"}[type(event)]


def seats(batches: int) -> int:
    """How many students that many batches take.

    Each second batch has one seat more than the one before. Batches thus come often in a small
    school, yet never 100 in a second however fast students come: a page of the server would then
    not reach the next second.
    """
    return batches * _SEATS_OF_A_SMALL_BATCH + batches * batches // 4


def written(run: Run, chance: random.Random) -> bytes:
    """The line of `run`, as one of the producers writes it.

    Most of them write a comma where a colon belongs: {"result": "2/2", "student_id", 3, …}.
    """
    space, mark, is_reversed = chance.choices(_STYLES, cum_weights=_SHARES_OF_STYLES)[0]
    link = chance.choice(("/", " out of "))
    fields = [
        f'"result":{space}"{run.passed}{link}{run.total}"',
        f'"student_id"{mark}{space}{run.student_id}',
    ]
    if run.lesson_id is not None:
        quote = chance.choice(('"', ""))
        fields.append(f'"lesson_id":{space}{quote}{run.lesson_id}{quote}')
    if run.lesson_title is not None:
        title = json.dumps(run.lesson_title, ensure_ascii=chance.choice((True, False)))
        fields.append(f'"lesson_title":{space}{title}')
    if is_reversed:
        fields.reverse()
    return f"{{{f',{space}'.join(fields)}}}".encode()


class School:
    """Makes events, which follow from the seed and from how many there were of each.

    Args:
        seed: another one makes other events.
        students: how many there are already.
        batches: how many there are already.
        last_batch_at: when the last of these was made.
    """

    def __init__(
        self, seed: int, students: int = 0, batches: int = 0, last_batch_at: str = ""
    ) -> None:
        self.students = students
        self.batches = batches
        self._last_batch_at = last_batch_at
        self._lines_due = 0
        self._chance = random.Random(f"{seed} {students} {batches}")

    def is_complete_with(self, students: int) -> bool:
        """Whether that many students are entered and have run their tests."""
        return self.students >= students and not self._lines_due

    def next_event(self, now: str) -> Event:
        """What happens next, at the time `now`."""
        # Batches begin in pairs: two of them are usually made in one second.
        if self.students >= seats(self.batches) or self.batches % 2:
            return self._batch(now)
        if not self._lines_due:
            return self._student(now)
        if self._chance.random() < _SHARE_OF_CHANGES:
            return self._change()
        return self._line()

    def _batch(self, now: str) -> Batch:
        self.batches += 1
        # A clock may be set back; the server's order would then not be that of the numbers.
        self._last_batch_at = max(now, self._last_batch_at)
        return Batch(self.batches, f"Batch {self.batches}", self._last_batch_at)

    def _student(self, now: str) -> Student:
        self.students += 1
        self._lines_due = LINES_PER_STUDENT
        return Student(self.students, self._name(), self._batch_of_a_student(), now)

    def _change(self) -> Change:
        student = max(self.students - self._chance.randrange(_ACTIVE_STUDENTS), 1)
        if self._chance.choice((True, False)):
            return Change(student, self._name(), None)
        return Change(student, None, self._chance.randint(1, self.batches))

    def _name(self) -> str:
        return f"{self._chance.choice(_FIRST_NAMES)} {self._chance.choice(_LAST_NAMES)}"

    def _batch_of_a_student(self) -> int | None:
        newest = self.batches
        # Of the two newest, or of one that is still to begin, or it is not decided yet.
        batches = (newest, newest - 1, newest + 1, None)
        return self._chance.choices(batches, cum_weights=_SHARES_OF_BATCHES)[0]

    def _line(self) -> Line:
        self._lines_due -= 1
        luck = self._chance.random()
        if luck < _SHARE_OF_BLANK_LINES:
            return Line(self._chance.choice((b"", b"  ")))
        if luck < _SHARE_OF_BLANK_LINES + _SHARE_OF_UNUSABLE_LINES:
            return Line(self._chance.choice(UNUSABLE))
        run = self._run()
        return Line(written(run, self._chance), run)

    def _run(self) -> Run:
        chance = self._chance
        newest = self.students + _AHEAD
        student = newest - int(min(newest, _ACTIVE_STUDENTS) * chance.random() ** 2)
        gift = student * 7919 % 97 / 97  # as many hardly complete a lesson as complete all
        total = chance.randint(1, _HARDEST_TESTS)
        is_completed = chance.random() < 0.5 * gift**3
        passed = total if is_completed else chance.randrange(total)
        return Run(student, *self._lesson(), passed, total)

    def _lesson(self) -> tuple[int | None, str | None]:
        """The lesson as the producer tells it: by its number, by its title or by both."""
        chance = self._chance
        term = self.students // _STUDENTS_OF_A_TERM
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
