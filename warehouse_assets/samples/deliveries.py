"""Sample deliveries: steps of several customers at once, as the mobile app makes them.

Some deliveries are abandoned, some steps are never recorded, come late or come twice, and some
lines are damaged. The same seed and times give the same lines.
"""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from warehouse_assets.defs.deliveries.records import FIRST_STEP, LAST_STEP
from warehouse_assets.samples.files import Made, make_files

_CUSTOMERS = 400
_MOST_ACTIVE = 40
_SHARE_ABANDONED = 0.02  # at each step
_SHARE_LEFT_OUT = 0.05
_SHARE_LATE = 0.03
_SHARE_TWICE = 0.03
_SHARE_DAMAGED = 0.003
_SHARE_OF_LATE_THAT_COME = 0.15  # with each line
_RECENT = 50
_FIRST_DAY = datetime.fromisoformat("2025-01-06T08:00:00")
_PAUSE = timedelta(seconds=13)

# The eight records of the question that this family answers.
_ORIGINAL = (
    (1, 1, "12:00"),
    (2, 1, "12:10"),
    (1, 2, "12:15"),
    (1, 1, "12:20"),
    (2, 2, "12:20"),
    (2, 1, "12:25"),
    (3, 2, "12:30"),
    (4, 2, "12:35"),
)


class DeliveryLife:
    """Customers that have things delivered, without end."""

    def __init__(self, seed: int) -> None:
        self._chance = Random(seed)
        self._active: dict[int, int] = {}
        self._recent: list[str] = []
        self._late: list[str] = []

    def next_line(self, now: datetime) -> str:
        """The next line of the feed, at the time `now`."""
        if self._late and self._happens(_SHARE_OF_LATE_THAT_COME):
            return self._late.pop(self._chance.randrange(len(self._late)))
        if self._recent and self._happens(_SHARE_TWICE):
            return self._chance.choice(self._recent)
        customer, step = self._next_step()
        record = {"Delivery Step": step, "Customer": customer, "Timestamp": now.isoformat()}
        line = json.dumps(record)
        if self._happens(_SHARE_DAMAGED):
            return self._chance.choice([line[: len(line) // 2], line.replace(str(now.year), "")])
        self._recent = [*self._recent[-_RECENT:], line]
        if self._happens(_SHARE_LATE):
            self._late.append(line)
            return self.next_line(now)
        return line

    def _next_step(self) -> tuple[int, int]:
        """A customer and its next step."""
        is_new = not self._active or (
            len(self._active) < _MOST_ACTIVE and self._happens(1 / LAST_STEP)
        )
        if is_new:
            customer = self._chance.randint(1, _CUSTOMERS)
            self._active[customer] = FIRST_STEP
            return customer, FIRST_STEP
        customer = self._chance.choice(list(self._active))
        step = self._active.pop(customer) + 1
        if self._happens(_SHARE_ABANDONED):
            return self._next_step()
        if step < LAST_STEP and self._happens(_SHARE_LEFT_OUT):
            step += 1
        if step < LAST_STEP:
            self._active[customer] = step
        return customer, step

    def _happens(self, share: float) -> bool:
        return self._chance.random() < share


def sample_lines(records: int, seed: int) -> Iterator[str]:
    """The records of the question, and as many after it as asked for."""
    for step, customer, clock in _ORIGINAL:
        time = f"2020-01-01T{clock}:00"
        yield json.dumps({"Delivery Step": step, "Customer": customer, "Timestamp": time})
    life = DeliveryLife(seed)
    for number in range(records):
        yield life.next_line(_FIRST_DAY + number * _PAUSE)


def write_deliveries_samples(path: Path, records: int, seed: int) -> Made:
    """Write a sample feed to `path`, unless there is one already."""

    def write(part: Path) -> None:
        part.write_text("".join(f"{line}\n" for line in sample_lines(records, seed)), "utf-8")

    return make_files([path], write)
