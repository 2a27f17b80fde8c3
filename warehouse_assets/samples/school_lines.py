"""How the producers of the log write a run of tests, and what they write that is none."""

import json
import random
from typing import NamedTuple


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
