"""Steps for tests, and what they must come to, computed another way: by looking back each time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st

Step = tuple[int, int, datetime]

NOON = datetime.fromisoformat("2020-01-01T12:00:00")
WINDOW = timedelta(hours=1)

ORIGINAL: list[dict[str, Any]] = [
    {"Delivery Step": step, "Customer": customer, "Timestamp": f"2020-01-01T{clock}:00"}
    for step, customer, clock in (
        (1, 1, "12:00"),
        (2, 1, "12:10"),
        (1, 2, "12:15"),
        (1, 1, "12:20"),
        (2, 2, "12:20"),
        (2, 1, "12:25"),
        (3, 2, "12:30"),
        (4, 2, "12:35"),
    )
]
"""The eight records of the question: the first delivery of customer 1 never ended."""


def step_of(record: dict[str, Any]) -> Step:
    """Customer, step and time of a record."""
    moment = datetime.fromisoformat(record["Timestamp"])
    return record["Customer"], record["Delivery Step"], moment


def record_of(step: Step) -> dict[str, Any]:
    """The record of a step."""
    customer, number, at = step
    return {"Delivery Step": number, "Customer": customer, "Timestamp": at.isoformat()}


def any_steps(most: int = 40) -> st.SearchStrategy[list[Step]]:
    """Steps of few customers in any order, over three times the window."""
    one = st.builds(
        lambda customer, number, minute: (customer, number, NOON + timedelta(minutes=minute)),
        st.integers(1, 3),
        st.sampled_from([1, 1, 2, 3, 4, 4]),
        st.integers(0, 180),
    )
    return st.lists(one, max_size=most)


@dataclass
class Result:
    """What steps come to."""

    successes: int = 0
    total: timedelta = timedelta()
    rejected: int = 0
    openings: int = 0

    @property
    def average(self) -> timedelta | None:
        """The average duration; None without a success."""
        return self.total / self.successes if self.successes else None


def expected(steps: Sequence[Step], window: timedelta = WINDOW) -> Result:
    """Look from each step back at all before it."""
    result = Result()
    for index, (customer, number, at) in enumerate(steps):
        newest = max(when for _, _, when in steps[: index + 1])
        if at < newest - window:
            result.rejected += 1
            continue
        before = [
            (when, other)
            for i, (who, other, when) in enumerate(steps[:index])
            if who == customer and other in {1, 4} and when >= newest_at(steps, i) - window
        ]
        last = max(before, default=None)
        if last is not None and (at, number) <= last and number in {1, 4}:
            continue
        if last is not None and (at < last[0] or (at == last[0] and last[1] == 4)):
            continue
        if number == 1:
            result.openings += 1
        elif last is None or last[1] == 4 or last[0] < newest - window:
            result.rejected += 1
        elif number == 4:
            result.successes += 1
            result.total += at - last[0]
    return result


def newest_at(steps: Sequence[Step], index: int) -> datetime:
    """The newest time of the steps up to that one."""
    return max(when for _, _, when in steps[: index + 1])
