"""What a case is, and what is measured in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Subject:
    """Something that is measured, each time in a process of its own.

    Args:
        name: for people.
        call: `module.function` below `benchmarks.subjects`.
        options: arguments of the function beside the context.
        target: the most its median may be, as a multiple of the median of `against`.
        against: the name of another subject of the case; the first if it is not given.
        limit: the most seconds that it may take at the size that the documentation speaks of.
    """

    name: str
    call: str
    options: Mapping[str, str | int] = field(default_factory=dict)
    target: float | None = None
    against: str | None = None
    limit: float | None = None


@dataclass(frozen=True)
class Case:
    """Subjects that are measured in turn.

    Args:
        title: what is done; `Data.filled` says what stands for the sizes.
        subjects: the baseline first.
        prepare: what is made once before, in processes of their own, and not measured.
        data: which files it needs, a method of `Data`.
    """

    name: str
    title: str
    subjects: Sequence[Subject]
    prepare: Sequence[Subject] = ()
    data: Literal["make_forum", "make_trips", "make_nothing"] = "make_forum"
